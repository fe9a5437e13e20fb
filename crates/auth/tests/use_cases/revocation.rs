//! A revocation holds at once where it was made, and within a second on every other replica.
//!
//! The other replica learns of it from its background task, so here, and only here, real time passes.

use std::time::Duration;

use cryptopay_auth::operator::AccountState;
use cryptopay_auth::{Auth, ChangePasswordCommand};
use cryptopay_domain::api_key::ApiKeyChange;
use cryptopay_domain::{Permission, Username};
use cryptopay_store::DatabaseUrl;
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context, on_both_databases};
use secrecy::SecretString;

use crate::support::{
    DAY, SECOND, eventually, is_accepted, is_remembered, make_key, permissions, principal_of,
};

on_both_databases! {
    every_kind_of_revocation_reaches_another_replica_within_a_second => reaches;
    a_revocation_holds_across_a_restart => across_restart;
    a_transaction_held_open_by_somebody_else_stalls_nothing => held_open;
    a_key_looked_up_while_it_was_being_revoked_is_not_remembered => lookup_in_flight;
    a_revocation_is_forgotten_only_after_the_last_token_has_expired => forgotten;
}

/// Waits, a second at most, until a replica refuses a credential that it had remembered.
async fn assert_refused_within_a_second(replica: &Auth, bearer: &str) {
    eventually(SECOND, async || !is_accepted(replica, bearer).await).await;
}

async fn reaches(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let other = test.replica().await;
    let background = other.run_background();
    let alice = test.principal("alice").await;

    let login = test.login("alice").await;
    assert!(is_accepted(&other, login.access.expose()).await);
    let principal = principal_of(&test.auth, login.access.expose()).await;
    test.auth.logout(&principal, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, login.access.expose()).await, "here at once");
    assert_refused_within_a_second(&other, login.access.expose()).await;

    let login = test.login("alice").await;
    assert!(is_accepted(&other, login.access.expose()).await);
    let change = ChangePasswordCommand {
        current_password: SecretString::from(PASSWORD),
        new_password: SecretString::from(OTHER_PASSWORD),
    };
    test.auth.change_password(&alice, change, &context()).await.unwrap();
    assert_refused_within_a_second(&other, login.access.expose()).await;

    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let key = principal_of(&other, made.key.expose()).await;
    let child = make_key(&other, &key, &[Permission::Read]).await;
    assert!(is_accepted(&other, child.key.expose()).await);
    let narrower = permissions(&[Permission::Read]);
    let change = ApiKeyChange { name: None, permissions: Some(narrower) };
    test.auth.change_api_key(&alice, made.details.id, change, &context()).await.unwrap();
    eventually(SECOND, async || principal_of(&other, made.key.expose()).await.permissions == narrower).await;

    test.auth.rotate_api_key(&alice, made.details.id, DAY, &context()).await.unwrap();
    let expiring = async || principal_of(&other, made.key.expose()).await.expires_at.is_some();
    eventually(SECOND, expiring).await;

    let disabled = make_key(&test.auth, &alice, &[Permission::Read]).await;
    assert!(is_accepted(&other, disabled.key.expose()).await);
    let name = Username::parse("alice").unwrap();
    test.auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    assert!(!is_accepted(&test.auth, disabled.key.expose()).await, "here at once");
    assert_refused_within_a_second(&other, disabled.key.expose()).await;
    background.stop().await;
}

async fn across_restart(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let principal = principal_of(&test.auth, login.access.expose()).await;
    test.auth.logout(&principal, &context()).await.unwrap();
    test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    test.clock.advance(DAY - 2 * SECOND);
    let restarted = test.replica().await;
    assert!(!is_accepted(&restarted, login.access.expose()).await);
    assert!(!is_accepted(&restarted, made.key.expose()).await);
}

/// On SQLite nothing can be held open beside a writer but a reader, so it is the server that matters here.
async fn held_open(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let held = match test.database.url() {
        DatabaseUrl::Postgres(url) => {
            let client = connect(url).await;
            // It has a number and a place in the feed's order, and does not end.
            client
                .batch_execute("BEGIN; SELECT pg_current_xact_id(); LOCK TABLE users IN ACCESS SHARE MODE")
                .await
                .unwrap();
            Some(client)
        }
        DatabaseUrl::Sqlite(_) => None,
    };
    let other = test.replica().await;
    let background = other.run_background();
    test.register("alice").await;
    for _ in 0..3 {
        let login = test.login("alice").await;
        assert!(is_accepted(&other, login.access.expose()).await);
        let principal = principal_of(&test.auth, login.access.expose()).await;
        test.auth.logout(&principal, &context()).await.unwrap();
        assert_refused_within_a_second(&other, login.access.expose()).await;
    }
    drop(held);
    background.stop().await;
}

async fn lookup_in_flight(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for _ in 0..20 {
        let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
        let lookups: Vec<_> = (0..8)
            .map(|_| {
                let (auth, bearer) = (test.auth.clone(), made.key.expose().to_owned());
                tokio::spawn(async move { is_accepted(&auth, &bearer).await })
            })
            .collect();
        test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
        // Whatever the lookups found, none of it outlives the revocation's answer.
        assert!(!is_accepted(&test.auth, made.key.expose()).await);
        for lookup in lookups {
            lookup.await.unwrap();
        }
        assert!(!is_remembered(&test.auth, made.key.expose()).await);
    }
}

async fn forgotten(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let principal = principal_of(&test.auth, login.access.expose()).await;
    // The token lives for a day, whatever a later configuration says.
    let mut shorter = test.auth.config().clone();
    shorter.access_ttl = Duration::from_secs(60);
    let later = test.replica_with(shorter.clone()).await;
    later.logout(&principal, &context()).await.unwrap();
    test.clock.advance(DAY - SECOND);
    let store = later.store();
    store.clear_away(test.auth.clock().now(), 365 * DAY).await.unwrap();
    let restarted = test.replica_with(shorter).await;
    assert!(!is_accepted(&restarted, login.access.expose()).await);
    test.clock.advance(DAY);
    let cleared = store.clear_away(test.auth.clock().now(), 365 * DAY).await.unwrap();
    assert_eq!((cleared.revocations, cleared.sessions), (1, 1), "no table grows for ever");
}
