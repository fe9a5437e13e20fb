//! Sessions of browsers.

use std::time::Duration;

use cryptopay_auth::operator::AccountState;
use cryptopay_auth::{ActivityOutcome, ChangePasswordCommand, Failure, NoBrowserSession};
use cryptopay_domain::browser_session::Confidence;
use cryptopay_domain::{PageRequest, Username};
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context, login_command, on_both_databases,
};
use secrecy::SecretString;

use crate::support::{MINUTE, audit_of};

on_both_databases! {
    a_browser_logs_in_and_any_number_of_tabs_ask_with_one_token => tabs;
    a_browsers_session_ends_at_once_on_every_replica_whatever_ends_it => ended;
    a_login_in_place_of_another_ends_that_one_alone => replaced;
    a_refused_login_leaves_the_session_before_it_alone => refused;
    what_happened_is_told_without_refreshes_and_to_a_login_alone => activity;
}

async fn is_live(auth: &cryptopay_auth::Auth, token: &str) -> bool {
    match auth.browser_session(token).await {
        Ok(_) => true,
        Err(Failure::Rejected(NoBrowserSession)) => false,
        Err(failure) => panic!("{failure:?}"),
    }
}

async fn log_in(test: &TestAuth, username: &str, replaced: Option<&str>) -> cryptopay_auth::BrowserLogin {
    let command = login_command(username, PASSWORD);
    test.auth.log_in_browser(command, replaced, &context()).await.unwrap()
}

async fn tabs(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = log_in(&test, "alice", None).await;
    assert_eq!((login.user.username.as_str(), login.session.confidence), ("alice", Confidence::Recent));
    let other = test.replica().await;
    for _ in 0..3 {
        for auth in [&test.auth, &other] {
            let session = auth.browser_session(login.token.expose()).await.unwrap();
            assert_eq!(session.principal, login.session.principal);
        }
    }
    test.clock.advance(15 * MINUTE);
    let session = test.auth.browser_session(login.token.expose()).await.unwrap();
    assert_eq!(session.confidence, Confidence::Aged);
    let listed = test.auth.list_sessions(&session.principal, PageRequest::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(Some(listed.items[0].id), session.principal.session());
}

async fn ended(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let other = test.replica().await;
    let (first, second) = (log_in(&test, "alice", None).await, log_in(&test, "alice", None).await);
    test.auth.logout(&first.session.principal, &context()).await.unwrap();
    assert!(!is_live(&other, first.token.expose()).await && is_live(&other, second.token.expose()).await);

    let third = log_in(&test, "alice", None).await;
    let command = ChangePasswordCommand {
        current_password: SecretString::from(PASSWORD),
        new_password: SecretString::from(OTHER_PASSWORD),
    };
    test.auth.change_password(&third.session.principal, command, &context()).await.unwrap();
    assert!(!is_live(&other, second.token.expose()).await && is_live(&other, third.token.expose()).await);

    let alice = Username::parse("alice").unwrap();
    test.auth.set_account_state(&alice, AccountState::Disabled).await.unwrap();
    assert!(!is_live(&other, third.token.expose()).await);
}

async fn replaced(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("bob").await;
    let (old, elsewhere) = (log_in(&test, "alice", None).await, log_in(&test, "alice", None).await);
    let new = log_in(&test, "bob", Some(old.token.expose())).await;
    assert!(!is_live(&test.auth, old.token.expose()).await);
    assert!(
        is_live(&test.auth, new.token.expose()).await && is_live(&test.auth, elsewhere.token.expose()).await
    );
    assert_eq!(replacements(&test).await, 1);
    // What is no live session is nothing to replace.
    for nothing in [old.token.expose(), "", "nonsense"] {
        log_in(&test, "bob", Some(nothing)).await;
    }
    assert_eq!(replacements(&test).await, 1);
}

async fn replacements(test: &TestAuth) -> usize {
    audit_of(test, None).await.iter().filter(|row| row.event == "session.replaced").count()
}

async fn refused(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let old = log_in(&test, "alice", None).await;
    let command = login_command("alice", "wrong");
    let refused = test.auth.log_in_browser(command, Some(old.token.expose()), &context()).await;
    assert!(matches!(refused, Err(Failure::Rejected(_))), "{refused:?}");
    assert!(is_live(&test.auth, old.token.expose()).await);
}

async fn activity(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.principal("bob").await;
    let login = log_in(&test, "alice", None).await;
    let mut refresh = test.login("alice").await.refresh;
    for _ in 0..3 {
        test.clock.advance(Duration::from_secs(1));
        refresh = test.auth.refresh(refresh.expose(), &context()).await.unwrap().refresh;
    }
    assert!(test.auth.login(login_command("alice", "wrong"), &context()).await.is_err());
    let told = test.auth.recent_activity(&login.session.principal).await.unwrap();
    let told: Vec<_> = told.iter().map(|activity| (activity.event.as_str(), activity.outcome)).collect();
    let done = ActivityOutcome::Succeeded;
    let expected =
        [("login", ActivityOutcome::Refused), ("login", done), ("login", done), ("user.registered", done)];
    assert_eq!(told, expected);
    let key = test.api_key(&login.session.principal, &[cryptopay_domain::Permission::FullAccess], None).await;
    let key = test.auth.authenticate(key.key.expose()).await.unwrap();
    assert!(matches!(test.auth.recent_activity(&key).await, Err(Failure::Rejected(_))));
}
