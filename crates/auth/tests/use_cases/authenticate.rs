//! From a presented credential to a principal.

use std::time::Duration;

use cryptopay_auth::{
    AuthenticationRejection, Failure, KeyRing, KeySource, KeySources, RefreshRejection, SigningKey, Store,
    StoreConfig,
};
use cryptopay_domain::{Environment, Permission, PermissionSet};
use cryptopay_testkit::{
    Backend, TestAuth, TestClock, TestDatabase, context, on_both_databases, test_config,
};
use ring::rand::SystemRandom;

use crate::support::{
    DAY, MINUTE, SECOND, eventually, is_accepted, is_remembered, key_file, make_key, principal_of, rejection,
    start,
};

on_both_databases! {
    a_login_has_full_access_until_its_token_ends_to_the_second => access_token;
    what_was_verified_once_is_answered_from_memory => remembered;
    an_api_key_is_remembered_for_a_minute => remembered_for_a_minute;
    what_is_remembered_is_bounded => bounded;
    credentials_of_another_environment_or_issuer_are_refused => other_installations;
    every_kind_of_credential_is_refused_at_every_other_door => wrong_doors;
    tampered_and_truncated_credentials_are_refused => tampered;
    before_the_feed_is_known_everything_is_unavailable => before_the_feed;
    while_the_feed_is_stale_credentials_are_checked_in_the_store => stale_feed;
}

async fn access_token(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.clock.advance(Duration::from_millis(400));
    let user = test.register("alice").await;
    let login = test.login("alice").await;
    let principal = principal_of(&test.auth, login.access.expose()).await;
    let end = test.auth.clock().now().whole_seconds().after(DAY);
    assert_eq!((principal.user_id, principal.username.as_str()), (user.id, "alice"));
    assert_eq!((principal.permissions, principal.expires_at), (PermissionSet::FULL, Some(end)));
    assert_eq!(principal.credential.kind(), "access_token");
    test.clock.set(end.before(Duration::from_micros(1)));
    assert!(is_remembered(&test.auth, login.access.expose()).await);
    let other = test.replica().await;
    assert!(is_accepted(&other, login.access.expose()).await);
    test.clock.set(end);
    for auth in [&test.auth, &other] {
        assert!(!is_remembered(auth, login.access.expose()).await);
        assert!(!is_accepted(auth, login.access.expose()).await);
    }
}

async fn remembered(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(!is_remembered(&test.auth, bearer).await);
        let first = principal_of(&test.auth, bearer).await;
        assert!(is_remembered(&test.auth, bearer).await);
        assert_eq!(first, principal_of(&test.auth, bearer).await);
    }
    assert!(!is_remembered(&test.auth, "nonsense").await);
}

async fn remembered_for_a_minute(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    principal_of(&test.auth, made.key.expose()).await;
    test.clock.advance(MINUTE - SECOND);
    assert!(is_remembered(&test.auth, made.key.expose()).await);
    test.clock.advance(SECOND);
    assert!(!is_remembered(&test.auth, made.key.expose()).await);
    assert!(is_accepted(&test.auth, made.key.expose()).await);
}

async fn bounded(backend: Backend) {
    let mut config = test_config();
    config.remembered_credentials = 20;
    let test = TestAuth::start_with(backend, config).await;
    let alice = test.principal("alice").await;
    let mut bearers = Vec::new();
    for _ in 0..90 {
        let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
        principal_of(&test.auth, made.key.expose()).await;
        bearers.push(made);
    }
    let mut kept = 0;
    for made in &bearers {
        kept += usize::from(is_remembered(&test.auth, made.key.expose()).await);
    }
    assert!(kept <= 20, "{kept}");
    assert!(is_accepted(&test.auth, bearers[0].key.expose()).await);
}

/// Installations that share a signing key and differ in one thing alone.
async fn other_installations(backend: Backend) {
    let signing_key = SigningKey::generate(&SystemRandom::new()).unwrap();
    let clock = TestClock::new();
    let mut installations = Vec::new();
    for (environment, issuer) in [
        (Environment::Sandbox, "http://localhost:8080"),
        (Environment::Production, "http://localhost:8080"),
        (Environment::Sandbox, "http://localhost:8081"),
    ] {
        let config = cryptopay_auth::AuthConfig { environment, issuer: issuer.to_owned(), ..test_config() };
        let database = TestDatabase::create(backend).await;
        let keys = KeySource::Fixed(KeyRing::fixed(vec![signing_key.clone()]).unwrap());
        let auth = start(&database, &clock, config, keys).await.unwrap();
        auth.load_revocations().await.unwrap();
        let test = TestAuth { auth, clock: clock.clone(), database };
        test.register("alice").await;
        let login = test.login("alice").await;
        let alice = principal_of(&test.auth, login.access.expose()).await;
        let key = make_key(&test.auth, &alice, &[Permission::Read]).await;
        installations.push((test, login, key));
    }
    let ours = &installations[0].0.auth;
    for (theirs, login, key) in &installations[1..] {
        let invalid = AuthenticationRejection::Invalid;
        assert_eq!(rejection(ours.authenticate(login.access.expose()).await), invalid);
        assert_eq!(rejection(ours.refresh(login.refresh.expose(), &context()).await), RefreshRejection);
        let expected = match theirs.auth.environment() {
            // The key's own prefix says so; nothing is looked up.
            Environment::Production => AuthenticationRejection::OtherEnvironment(Environment::Production),
            Environment::Sandbox => invalid,
        };
        assert_eq!(rejection(ours.authenticate(key.key.expose()).await), expected);
    }
    let production = &installations[1].0.auth;
    let other = AuthenticationRejection::OtherEnvironment(Environment::Sandbox);
    assert_eq!(rejection(production.authenticate("cp_test_").await), other);
    assert_eq!(rejection(ours.authenticate("cp_test_").await), AuthenticationRejection::Invalid);
}

async fn wrong_doors(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let invalid = AuthenticationRejection::Invalid;
    let bearer = format!("Bearer {}", login.access.expose());
    for wrong in
        [login.refresh.expose(), bearer.as_str(), "", " ", "\0", "cp_", "v4.public.", "v4.local.AAAA"]
    {
        assert_eq!(rejection(test.auth.authenticate(wrong).await), invalid, "{wrong:.20}");
    }
    for wrong in [login.access.expose(), made.key.expose()] {
        let outcome = test.auth.refresh(wrong, &context()).await;
        assert_eq!(rejection(outcome), RefreshRejection, "{wrong:.20}");
    }
    assert!(test.auth.refresh(login.refresh.expose(), &context()).await.is_ok());
}

async fn tampered(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    for good in [login.access.expose(), made.key.expose()] {
        assert!(is_accepted(&test.auth, good).await);
        let mut wrong: Vec<String> = vec![format!("{good} "), format!("{good}A"), good.repeat(50)];
        for place in (0..good.len()).step_by(good.len() / 12) {
            wrong.push(good[..place].to_owned());
            let mut altered = good.to_owned().into_bytes();
            altered[place] = if altered[place] == b'Z' { b'Y' } else { b'Z' };
            wrong.push(String::from_utf8(altered).unwrap());
        }
        for wrong in wrong {
            let outcome = test.auth.authenticate(&wrong).await;
            assert_eq!(rejection(outcome), AuthenticationRejection::Invalid, "{wrong:.80}");
        }
    }
}

async fn before_the_feed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let keys = KeySource::File(key_file(&test.database));
    let started = start(&test.database, &test.clock, test_config(), keys).await.unwrap();
    for bearer in [login.access.expose(), made.key.expose(), "nonsense"] {
        assert!(started.authenticate_cached(bearer).is_none());
        let outcome = started.authenticate(bearer).await;
        assert!(matches!(outcome, Err(Failure::Unavailable { .. })), "{outcome:?}");
    }
    let outcome = started.refresh(login.refresh.expose(), &context()).await;
    assert!(matches!(outcome, Err(Failure::Unavailable { .. })), "{outcome:?}");
    assert!(started.ready().await.is_err());
    started.load_revocations().await.unwrap();
    assert!(started.ready().await.is_ok());
    assert!(is_accepted(&started, login.access.expose()).await);
    assert!(is_accepted(&started, made.key.expose()).await);
}

async fn stale_feed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let other = test.replica().await;
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(is_accepted(&other, bearer).await);
    }
    // Nobody reads the feed for the other replica, so what it knows gets too old to be relied on.
    eventually(5 * SECOND, async || other.authenticate_cached(login.access.expose()).is_none()).await;
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(is_accepted(&other, bearer).await, "the store says that it is good");
    }
    let principal = principal_of(&test.auth, login.access.expose()).await;
    test.auth.logout(&principal, &context()).await.unwrap();
    test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(!is_accepted(&other, bearer).await, "the store says that it is over");
    }
}

/// A store goes away together with the runtime that its operations run on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_store_what_is_remembered_is_answered_until_the_feed_is_stale() {
    let test = TestAuth::start(Backend::Postgres).await;
    let alice = test.principal("alice").await;
    let login = test.login("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = StoreConfig { connections: 2, readers: 1 };
    let store = Store::open(test.database.url(), config, runtime.handle().clone()).unwrap();
    let keys = KeySources::in_directory(test.database.directory());
    let (clock, random) = (std::sync::Arc::new(test.clock.clone()), std::sync::Arc::new(SystemRandom::new()));
    let auth = cryptopay_auth::Auth::start(test_config(), store, keys, clock, random).await.unwrap();
    auth.load_revocations().await.unwrap();
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(is_accepted(&auth, bearer).await);
    }
    auth.load_revocations().await.unwrap();
    runtime.shutdown_background();
    for bearer in [login.access.expose(), made.key.expose()] {
        assert!(auth.authenticate_cached(bearer).is_some(), "no store is needed");
    }
    eventually(5 * SECOND, async || auth.authenticate_cached(login.access.expose()).is_none()).await;
    for bearer in [login.access.expose(), made.key.expose()] {
        let outcome = auth.authenticate(bearer).await;
        assert!(matches!(outcome, Err(Failure::Unavailable { .. })), "never a refusal: {outcome:?}");
    }
    // What is wrong by itself needs no store to be refused.
    assert_eq!(rejection(auth.authenticate("nonsense").await), AuthenticationRejection::Invalid);
}
