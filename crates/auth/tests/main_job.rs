//! The main job from register to revoke, on both databases.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

use cryptopay_auth::Failure;
use cryptopay_domain::api_key::ApiKeyRequest;
use cryptopay_domain::{DisplayName, Permission};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};

on_both_databases! {
    a_merchant_registers_logs_in_refreshes_and_makes_a_key => main_job;
}

async fn main_job(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let principal = test.auth.authenticate(login.access.expose()).await.unwrap();
    assert_eq!(principal.username, "alice");

    let pair = test.auth.refresh(login.refresh.expose(), &context()).await.unwrap();
    assert!(test.auth.authenticate(pair.access.expose()).await.is_ok());

    let request = ApiKeyRequest {
        name: DisplayName::parse("till").unwrap(),
        permissions: [Permission::Read].into_iter().collect(),
        expires_at: None,
    };
    let made = test.auth.create_api_key(&principal, request, &context()).await.unwrap();
    let by_key = test.auth.authenticate(made.key.expose()).await.unwrap();
    assert_eq!(by_key.api_key(), Some(made.details.id));
    assert!(test.auth.authenticate_cached(made.key.expose()).is_some());

    test.auth.revoke_api_key(&principal, made.details.id, &context()).await.unwrap();
    assert!(matches!(test.auth.authenticate(made.key.expose()).await, Err(Failure::Rejected(_))));
    assert_eq!(test.auth.logout(&principal, &context()).await.unwrap(), 1);
    assert!(matches!(test.auth.authenticate(pair.access.expose()).await, Err(Failure::Rejected(_))));
}
