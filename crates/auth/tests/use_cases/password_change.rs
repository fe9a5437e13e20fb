//! Changing the password.

use cryptopay_auth::hasher::ScryptCost;
use cryptopay_auth::operator::AccountState;
use cryptopay_auth::{Auth, ChangePasswordCommand, ChangePasswordRejection, Outcome, Principal};
use cryptopay_domain::login_throttle::Throttled;
use cryptopay_domain::{Permission, Username};
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context, login_command, on_both_databases, test_config,
};
use secrecy::SecretString;
use std::sync::Arc;
use tokio::task::JoinSet;

use crate::support::{SECOND, audit_of, is_accepted, make_key, principal_of, rejection};

on_both_databases! {
    a_new_password_replaces_the_old_one_and_ends_every_other_session => replaces;
    a_wrong_current_password_is_told_as_such_and_changes_nothing => wrong_current;
    a_weak_new_password_is_refused_with_advice => weak;
    only_a_live_login_changes_the_password => login_only;
    of_parallel_changes_one_is_made => parallel;
    the_current_password_is_guessed_slowly_whatever_the_session => guessing;
    right_passwords_are_changed_as_often_as_wanted => often;
    a_change_goes_through_while_a_login_hashes_the_password_anew => against_rehash;
}

async fn change(
    auth: &Auth,
    principal: &Principal,
    current: &str,
    new: &str,
) -> Outcome<u64, ChangePasswordRejection> {
    let command = ChangePasswordCommand {
        current_password: SecretString::from(current),
        new_password: SecretString::from(new),
    };
    auth.change_password(principal, command, &context()).await
}

async fn replaces(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("bob").await;
    let bob = test.login("bob").await;
    let own = test.login("alice").await;
    let others = [test.login("alice").await, test.login("alice").await];
    let principal = principal_of(&test.auth, own.access.expose()).await;
    let key = make_key(&test.auth, &principal, &[Permission::Read]).await;
    assert_eq!(change(&test.auth, &principal, PASSWORD, OTHER_PASSWORD).await.unwrap(), 2);
    for other in &others {
        assert!(!is_accepted(&test.auth, other.access.expose()).await);
        rejection(test.auth.refresh(other.refresh.expose(), &context()).await);
    }
    assert!(is_accepted(&test.auth, own.access.expose()).await);
    assert!(test.auth.refresh(own.refresh.expose(), &context()).await.is_ok());
    assert!(is_accepted(&test.auth, key.key.expose()).await, "a key is no session");
    assert!(is_accepted(&test.auth, bob.access.expose()).await);
    rejection(test.auth.login(login_command("alice", PASSWORD), &context()).await);
    assert!(test.auth.login(login_command("alice", OTHER_PASSWORD), &context()).await.is_ok());
}

async fn wrong_current(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let other = test.login("alice").await;
    for wrong in ["", OTHER_PASSWORD, "violet-tractor-91-moss", &"x".repeat(1_000)] {
        let hashes = test.auth.hash_runs();
        let outcome = change(&test.auth, &alice, wrong, "weak").await;
        assert_eq!(rejection(outcome), ChangePasswordRejection::WrongCurrentPassword);
        assert_eq!(test.auth.hash_runs(), hashes + 1);
    }
    assert!(is_accepted(&test.auth, other.access.expose()).await);
    let events = audit_of(&test, Some(alice.user_id)).await;
    let refused =
        events.iter().filter(|row| row.event == "user.password_changed" && row.outcome == "refused");
    assert_eq!(refused.count(), 4);
    assert!(test.auth.login(login_command("alice", PASSWORD), &context()).await.is_ok());
}

async fn weak(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for new in ["short", "password1", "alice@example.com", &"x".repeat(257)] {
        match rejection(change(&test.auth, &alice, PASSWORD, new).await) {
            ChangePasswordRejection::WeakPassword(messages) => assert!(!messages.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    assert!(test.auth.login(login_command("alice", PASSWORD), &context()).await.is_ok());
}

async fn login_only(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let required = ChangePasswordRejection::LoginRequired;
    assert_eq!(rejection(change(&test.auth, &key, PASSWORD, OTHER_PASSWORD).await), required);
    test.auth.logout(&alice, &context()).await.unwrap();
    assert_eq!(rejection(change(&test.auth, &alice, PASSWORD, OTHER_PASSWORD).await), required);
    let login = test.login("alice").await;
    let alice = principal_of(&test.auth, login.access.expose()).await;
    let name = Username::parse("alice").unwrap();
    test.auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    assert_eq!(rejection(change(&test.auth, &alice, PASSWORD, OTHER_PASSWORD).await), required);
    test.auth.set_account_state(&name, AccountState::Enabled).await.unwrap();
    assert!(test.auth.login(login_command("alice", PASSWORD), &context()).await.is_ok());
}

async fn parallel(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let mut changes = JoinSet::new();
    for number in 0..8 {
        let (auth, alice) = (test.auth.clone(), Arc::clone(&alice));
        changes.spawn(
            async move { change(&auth, &alice, PASSWORD, &format!("{OTHER_PASSWORD}{number}")).await },
        );
    }
    let (made, refused): (Vec<_>, Vec<_>) = changes.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    // By then the current password is another one.
    for outcome in refused {
        assert_eq!(rejection(outcome), ChangePasswordRejection::WrongCurrentPassword);
    }
}

async fn guessing(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let other = principal_of(&test.auth, test.login("alice").await.access.expose()).await;
    let bob = test.principal("bob").await;
    let replica = test.replica().await;
    let throttled = |seconds| ChangePasswordRejection::Throttled(Throttled { retry_after: seconds * SECOND });
    for number in 0..10 {
        let (auth, thief) = if number % 2 == 0 { (&test.auth, &alice) } else { (&replica, &other) };
        let outcome = change(auth, thief, "guessed", OTHER_PASSWORD).await;
        assert_eq!(rejection(outcome), ChangePasswordRejection::WrongCurrentPassword);
    }
    let records = audit_of(&test, Some(alice.user_id)).await;
    let last = records.last().unwrap();
    assert_eq!(
        (last.event.as_str(), last.subject.as_deref()),
        ("password.throttled", Some("password_change"))
    );
    for (auth, thief) in [(&test.auth, &alice), (&replica, &other)] {
        // The right one is not looked at either, and nothing more is recorded.
        let hashes = auth.hash_runs();
        assert_eq!(rejection(change(auth, thief, PASSWORD, OTHER_PASSWORD).await), throttled(1));
        assert_eq!(auth.hash_runs(), hashes);
    }
    assert_eq!(audit_of(&test, Some(alice.user_id)).await.len(), records.len());
    // Logging in is another matter, and so is another merchant.
    for _ in 0..20 {
        rejection(test.auth.login(login_command("alice", "guessed"), &context()).await);
    }
    change(&test.auth, &bob, PASSWORD, OTHER_PASSWORD).await.unwrap();
    test.clock.advance(SECOND);
    let wrong = change(&test.auth, &other, "guessed", OTHER_PASSWORD).await;
    assert_eq!(rejection(wrong), ChangePasswordRejection::WrongCurrentPassword);
    assert_eq!(rejection(change(&test.auth, &alice, PASSWORD, OTHER_PASSWORD).await), throttled(2));
    test.clock.advance(2 * SECOND);
    change(&test.auth, &alice, PASSWORD, OTHER_PASSWORD).await.unwrap();
}

async fn often(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for _ in 0..15 {
        change(&test.auth, &alice, PASSWORD, OTHER_PASSWORD).await.unwrap();
        // What is wrong with the new one makes the current one no guess.
        let outcome = change(&test.auth, &alice, OTHER_PASSWORD, "weak").await;
        assert!(matches!(rejection(outcome), ChangePasswordRejection::WeakPassword(_)));
        change(&test.auth, &alice, OTHER_PASSWORD, PASSWORD).await.unwrap();
    }
}

async fn against_rehash(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let mut config = test_config();
    for log_n in 5..10 {
        config.hasher.cost = ScryptCost { log_n, r: 8, p: 1 };
        let dearer = test.replica_with(config.clone()).await;
        let login = tokio::spawn({
            let auth = dearer.clone();
            async move { auth.login(login_command("alice", PASSWORD), &context()).await }
        });
        change(&dearer, &alice, PASSWORD, PASSWORD).await.expect("the current password is right");
        login.await.unwrap().expect("the password is right");
    }
}
