//! What the operator does on the command line, beside a running server.

use cryptopay_auth::operator::{AccountState, NoSuchSubject};
use cryptopay_auth::{ActorRejection, CreateApiKeyRejection};
use cryptopay_domain::{ApiKeyId, PageRequest, Permission, UserId, Username};
use cryptopay_store::DatabaseUrl;
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{Backend, PASSWORD, TestAuth, context, login_command, on_both_databases};
use uuid::Uuid;

use crate::support::{SECOND, audit_of, eventually, is_accepted, make_key, principal_of, rejection};

on_both_databases! {
    a_disabled_account_opens_nothing_and_its_keys_work_again_when_enabled => disabled;
    accounts_and_their_keys_are_listed => listed;
    any_key_is_revoked_with_all_keys_under_it => any_key;
    ending_all_sessions_voids_every_token_ever_issued => end_all;
    a_login_right_after_all_sessions_ended_lasts => login_after;
}

async fn disabled(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let alice = principal_of(&test.auth, login.access.expose()).await;
    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let name = Username::parse("ALICE").unwrap();
    let user = test.auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    assert_eq!(user.disabled_at, Some(test.auth.clock().now()));
    assert!(!is_accepted(&test.auth, login.access.expose()).await);
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    rejection(test.auth.refresh(login.refresh.expose(), &context()).await);
    rejection(test.auth.login(login_command("alice", PASSWORD), &context()).await);
    rejection(test.auth.profile(&alice).await);
    for principal in [&alice, &key] {
        let request = crate::support::key_request(&[Permission::Read], None);
        let outcome = test.auth.create_api_key(principal, request, &context()).await;
        assert_eq!(rejection(outcome), CreateApiKeyRejection::Actor(ActorRejection::Unauthenticated));
    }
    // The operator still can.
    test.auth.set_account_state(&name, AccountState::Enabled).await.unwrap();
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    assert!(!is_accepted(&test.auth, login.access.expose()).await, "its sessions are over for good");
    test.login("alice").await;
    let nobody = Username::parse("nobody").unwrap();
    assert_eq!(rejection(test.auth.set_account_state(&nobody, AccountState::Disabled).await), NoSuchSubject);
}

async fn listed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    test.register("bob").await;
    let carol = test.register("carol").await;
    let names = async |after: UserId| {
        let users = test.auth.list_users(after, 2).await.unwrap();
        users.into_iter().map(|user| user.username).collect::<Vec<_>>()
    };
    assert_eq!(names(UserId(0)).await, ["alice", "bob"]);
    assert_eq!(names(UserId(carol.id.0 - 1)).await, ["carol"]);
    assert!(names(carol.id).await.is_empty());
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let name = Username::parse("alice").unwrap();
    let keys = test.auth.list_api_keys_of(&name, PageRequest::default()).await.unwrap();
    assert_eq!(keys.items, [made.details]);
    let nobody = Username::parse("nobody").unwrap();
    assert_eq!(rejection(test.auth.list_api_keys_of(&nobody, PageRequest::default()).await), NoSuchSubject);
}

async fn any_key(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let child = make_key(&test.auth, &key, &[Permission::Read]).await;
    test.auth.revoke_any_api_key(made.details.id).await.unwrap();
    for bearer in [made.key.expose(), child.key.expose()] {
        assert!(!is_accepted(&test.auth, bearer).await);
    }
    let nobodys = ApiKeyId(Uuid::from_u128(7));
    assert_eq!(rejection(test.auth.revoke_any_api_key(nobodys).await), NoSuchSubject);
    // A disabled merchant's key as well.
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let name = Username::parse("alice").unwrap();
    test.auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    test.auth.revoke_any_api_key(made.details.id).await.unwrap();
    test.auth.set_account_state(&name, AccountState::Enabled).await.unwrap();
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
}

/// What has to follow the restoring of a backup: tokens of sessions that the restored database has never
/// heard of are void, too.
async fn end_all(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("bob").await;
    let other = test.replica().await;
    let mut logins = vec![test.login("alice").await, test.login("bob").await];
    if let DatabaseUrl::Postgres(url) = test.database.url() {
        logins.push(test.login("bob").await);
        let unknown = principal_of(&test.auth, logins[2].access.expose()).await.session().unwrap();
        let statement = format!("DELETE FROM sessions WHERE id = '{unknown}'");
        connect(url).await.batch_execute(&statement).await.unwrap();
    }
    for login in &logins {
        assert!(is_accepted(&other, login.access.expose()).await);
    }
    test.clock.advance(SECOND);
    assert_eq!(test.auth.end_all_sessions().await.unwrap(), 2);
    other.load_revocations().await.unwrap();
    let restarted = test.replica().await;
    for login in &logins {
        for auth in [&test.auth, &other, &restarted] {
            assert!(!is_accepted(auth, login.access.expose()).await);
            rejection(auth.refresh(login.refresh.expose(), &context()).await);
        }
    }
    let events = audit_of(&test, None).await;
    let ended: Vec<_> = events.iter().filter(|row| row.event == "session.all_ended").collect();
    assert_eq!((ended.len(), ended[0].actor.as_str(), ended[0].user_id), (1, "operator", None));
}

async fn login_after(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let other = test.replica().await;
    let background = other.run_background();
    test.auth.end_all_sessions().await.unwrap();
    let login = test.login("alice").await;
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    let pair = test.auth.refresh(login.refresh.expose(), &context()).await.expect("it is a new session");
    // Another replica learns of the new generation with the feed.
    let mut current = pair.refresh.expose().to_owned();
    eventually(SECOND, async || match other.refresh(&current, &context()).await {
        Ok(pair) => {
            current = pair.refresh.expose().to_owned();
            true
        }
        Err(_) => false,
    })
    .await;
    background.stop().await;
}
