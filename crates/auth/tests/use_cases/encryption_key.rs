//! Encryption keys that change under a running core. It watches its key file, so here real time passes.

use std::time::Duration;

use cryptopay_auth::EncryptionKeyFile;
use cryptopay_testkit::{Backend, TestAuth, on_both_databases};
use ring::rand::SystemRandom;

use crate::support::eventually;

on_both_databases! {
    after_a_rotation_the_new_key_seals_and_the_old_one_still_opens => rotation;
    a_damaged_encryption_key_file_leaves_the_keys_as_they_were => damaged;
}

/// How long a watcher may take.
const PATIENCE: Duration = Duration::from_secs(5);
const CONTEXT: &str = "webhook_endpoints/1/secret";

async fn rotation(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let background = test.auth.run_background();
    let sealed = test.auth.encryption().seal(CONTEXT, b"secret", &SystemRandom::new()).unwrap();
    let file = EncryptionKeyFile::in_directory(test.database.directory());
    let new = file.rotate(&SystemRandom::new()).unwrap();
    eventually(PATIENCE, async || test.auth.encryption().active().id() == &new).await;
    assert_eq!(test.auth.encryption().open(CONTEXT, &sealed).unwrap().as_slice(), b"secret");
    let recorded = async || {
        let installation = test.auth.store().find_installation().await.unwrap().unwrap();
        installation.encryption_key.as_deref() == Some(new.as_str())
    };
    eventually(PATIENCE, recorded).await;
    // A replica that starts now reads what either key sealed.
    let other = test.replica().await;
    let later = test.auth.encryption().seal(CONTEXT, b"later", &SystemRandom::new()).unwrap();
    assert_eq!(other.encryption().open(CONTEXT, &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(other.encryption().open(CONTEXT, &later).unwrap().as_slice(), b"later");
    background.stop().await;
}

async fn damaged(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let background = test.auth.run_background();
    let first = test.auth.encryption().active().id().clone();
    let file = EncryptionKeyFile::in_directory(test.database.directory());
    let good = std::fs::read(file.path()).unwrap();
    std::fs::write(file.path(), &good[..good.len() / 2]).unwrap();
    assert!(file.load().is_err());
    assert_eq!(test.auth.encryption().active().id(), &first);
    // A good change after the damaged one shows that the watcher has been there in between, or goes on.
    std::fs::write(file.path(), &good).unwrap();
    let new = file.rotate(&SystemRandom::new()).unwrap();
    eventually(PATIENCE, async || test.auth.encryption().active().id() == &new).await;
    assert!(test.auth.encryption().contains(first.as_str()));
    background.stop().await;
}
