//! Signing keys that change under a running core. It watches its key file, so here real time passes.

use std::time::Duration;

use cryptopay_auth::{Auth, KeyStatus};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};
use ring::rand::SystemRandom;

use crate::support::{DAY, SECOND, eventually, is_accepted, is_remembered, key_file, rejection};

on_both_databases! {
    a_rotation_of_signing_keys_logs_nobody_out => rotation;
    a_revoked_signing_key_is_withdrawn_at_once => revocation;
    a_damaged_key_file_logs_nobody_out => damaged;
}

/// How long a key is published before it signs.
const NOTICE: Duration = Duration::from_secs(300);
/// How long a watcher may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn active(auth: &Auth) -> String {
    let keys = auth.published_keys();
    let active: Vec<_> = keys.iter().filter(|key| key.status == KeyStatus::Active).collect();
    assert_eq!(active.len(), 1);
    active[0].kid.as_str().to_owned()
}

async fn rotation(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let background = test.auth.run_background();
    let login = test.login("alice").await;
    let lost = test.auth.refresh(login.refresh.expose(), &context()).await.unwrap();
    let first = active(&test.auth);
    let file = key_file(&test.database);
    let now = test.auth.clock().now();
    let next = file.rotate(NOTICE, 30 * DAY, now, &SystemRandom::new()).unwrap();
    eventually(PATIENCE, async || test.auth.published_keys().len() == 2).await;
    assert_eq!(active(&test.auth), first, "it is published before it signs");
    test.clock.advance(NOTICE);
    assert_eq!(active(&test.auth), next.as_str());
    // Access tokens, refresh tokens, and successors whose answer was lost, all from before.
    assert!(is_accepted(&test.auth, lost.access.expose()).await);
    let found = test.auth.refresh(login.refresh.expose(), &context()).await.unwrap();
    assert_eq!(found.refresh.expose(), lost.refresh.expose(), "byte for byte, whatever becomes of the ring");
    let pair = test.auth.refresh(found.refresh.expose(), &context()).await.unwrap();
    assert!(is_accepted(&test.auth, pair.access.expose()).await);
    // A replica that starts now knows the same, and the database the key that signs.
    let recorded = async || {
        let installation = test.auth.store().find_installation().await.unwrap().unwrap();
        installation.signing_key == next.as_str()
    };
    eventually(PATIENCE, recorded).await;
    let other = test.replica().await;
    assert!(is_accepted(&other, lost.access.expose()).await);
    assert!(other.refresh(pair.refresh.expose(), &context()).await.is_ok());
    background.stop().await;
}

async fn revocation(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let background = test.auth.run_background();
    let login = test.login("alice").await;
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    assert!(is_remembered(&test.auth, login.access.expose()).await);
    let first = active(&test.auth);
    let now = test.auth.clock().now();
    key_file(&test.database).revoke(&first, now, &SystemRandom::new()).unwrap();
    let waited = eventually(PATIENCE, async || !is_accepted(&test.auth, login.access.expose()).await).await;
    assert!(waited < 2 * SECOND, "{waited:?}");
    assert!(!is_remembered(&test.auth, login.access.expose()).await);
    rejection(test.auth.refresh(login.refresh.expose(), &context()).await);
    assert_ne!(active(&test.auth), first);
    let login = test.login("alice").await;
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    assert!(test.auth.refresh(login.refresh.expose(), &context()).await.is_ok());
    background.stop().await;
}

async fn damaged(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let background = test.auth.run_background();
    let login = test.login("alice").await;
    let first = active(&test.auth);
    let file = key_file(&test.database);
    let good = std::fs::read(file.path()).unwrap();
    std::fs::write(file.path(), "{").unwrap();
    // A good change after the damaged one shows that the watcher has been there in between, or goes on.
    std::fs::write(file.path(), &good[..good.len() / 2]).unwrap();
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    std::fs::write(file.path(), &good).unwrap();
    let now = test.auth.clock().now();
    file.rotate(NOTICE, 30 * DAY, now, &SystemRandom::new()).unwrap();
    eventually(PATIENCE, async || test.auth.published_keys().len() == 2).await;
    assert_eq!(active(&test.auth), first);
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    background.stop().await;
}
