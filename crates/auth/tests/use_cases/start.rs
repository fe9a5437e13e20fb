//! Starting: a core runs on its own installation and on no other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use cryptopay_auth::{
    Auth, AuthConfig, Change, EncryptionKey, EncryptionKeyFile, EncryptionKeySource, EncryptionRing, KeyFile,
    KeyRing, KeySource, KeySources, SigningKey, StartError,
};
use cryptopay_domain::Environment;
use cryptopay_testkit::{Backend, TestAuth, TestClock, TestDatabase, on_both_databases, test_config};
use ring::rand::SystemRandom;

use crate::support::{is_accepted, key_file, start, start_with_keys};

on_both_databases! {
    the_other_environment_refuses_to_start => environment;
    another_issuer_refuses_to_start_unless_the_change_is_meant => issuer;
    an_unknown_signing_key_refuses_to_start_unless_the_change_is_meant => signing_key;
    an_unknown_encryption_key_refuses_to_start_unless_it_is_given_up => encryption_key;
    a_key_file_that_others_may_read_refuses_to_start => open_key_files;
    two_first_starts_at_once_end_with_one_ring => first_starts;
}

fn fixed(keys: &[&SigningKey]) -> KeySource {
    KeySource::Fixed(KeyRing::fixed(keys.iter().map(|key| (*key).clone()).collect()).unwrap())
}

fn key() -> SigningKey {
    SigningKey::generate(&SystemRandom::new()).unwrap()
}

fn new_encryption_key() -> EncryptionKey {
    EncryptionKey::generate(&SystemRandom::new()).unwrap()
}

/// `Auth` says nothing of itself, so `unwrap_err` cannot be used.
fn refusal(started: Result<Auth, StartError>) -> StartError {
    match started {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

async fn environment(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let keys = KeySource::File(key_file(&test.database));
    let config = AuthConfig { environment: Environment::Production, ..test_config() };
    let error = refusal(start(&test.database, &test.clock, config, keys).await);
    assert!(matches!(error, StartError::OtherEnvironment { stored: Environment::Sandbox, .. }), "{error}");
    assert!(error.to_string().contains("sandbox") && error.to_string().contains("production"), "{error}");
    // Nothing was changed by the attempt.
    test.replica().await;
}

async fn issuer(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let keys = || KeySource::File(key_file(&test.database));
    let config = AuthConfig { issuer: "https://api.example.com".to_owned(), ..test_config() };
    let error = refusal(start(&test.database, &test.clock, config.clone(), keys()).await);
    assert!(matches!(error, StartError::OtherIssuer { .. }), "{error}");
    assert!(error.to_string().contains("--accept-issuer-change"), "{error}");
    let accepted = AuthConfig { issuer_change: Change::Accepted, ..config.clone() };
    let auth = start(&test.database, &test.clock, accepted, keys()).await.unwrap();
    auth.load_revocations().await.unwrap();
    assert!(!is_accepted(&auth, login.access.expose()).await, "tokens under the old name are void");
    assert!(start(&test.database, &test.clock, config, keys()).await.is_ok(), "it is recorded");
    assert!(start(&test.database, &test.clock, test_config(), keys()).await.is_err());
}

async fn signing_key(backend: Backend) {
    let (database, clock) = (TestDatabase::create(backend).await, TestClock::new());
    let (first, second, stranger) = (key(), key(), key());
    let begin = async |config: AuthConfig, keys: KeySource| start(&database, &clock, config, keys).await;
    begin(test_config(), fixed(&[&first])).await.unwrap();
    let error = refusal(begin(test_config(), fixed(&[&stranger])).await);
    assert!(matches!(error, StartError::OtherSigningKey { .. }), "{error}");
    assert!(error.to_string().contains("--accept-signing-key-change"), "{error}");
    let paserk = secrecy::ExposeSecret::expose_secret(&stranger.to_paserk()).to_owned();
    assert!(!error.to_string().contains(&paserk));
    // The new key is active and the old one retiring: a rotation.
    begin(test_config(), fixed(&[&second, &first])).await.unwrap();
    assert!(begin(test_config(), fixed(&[&first])).await.is_err());
    let accepted = AuthConfig { signing_key_change: Change::Accepted, ..test_config() };
    begin(accepted, fixed(&[&stranger])).await.unwrap();
    begin(test_config(), fixed(&[&stranger])).await.unwrap();
    assert!(begin(test_config(), fixed(&[&second, &first])).await.is_err());
}

async fn encryption_key(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let mine = test.auth.encryption().active().clone();
    let (second, stranger) = (new_encryption_key(), new_encryption_key());
    let recorded = async || test.auth.store().find_installation().await.unwrap().unwrap().encryption_key;
    let begin = async |config: AuthConfig, keys: &[&EncryptionKey]| {
        let ring = EncryptionRing::new(keys.iter().map(|key| (*key).clone()).collect()).unwrap();
        let encryption = EncryptionKeySource::Fixed(ring);
        let keys = KeySources { encryption, ..KeySources::in_directory(test.database.directory()) };
        start_with_keys(&test.database, &test.clock, config, keys).await
    };
    assert_eq!(recorded().await.as_deref(), Some(mine.id().as_str()));
    let error = refusal(begin(test_config(), &[&stranger]).await);
    assert!(matches!(error, StartError::OtherEncryptionKey { .. }), "{error}");
    for part in [mine.id().as_str(), stranger.id().as_str(), "--accept-encryption-key-change", "unreadable"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    assert_eq!(recorded().await.as_deref(), Some(mine.id().as_str()), "nothing was changed by the attempt");
    // The new key seals and the old one opens: a rotation.
    begin(test_config(), &[&second, &mine]).await.unwrap();
    assert_eq!(recorded().await.as_deref(), Some(second.id().as_str()));
    assert!(begin(test_config(), &[&mine]).await.is_err(), "it could not read what the others seal");
    let accepted = AuthConfig { encryption_key_change: Change::Accepted, ..test_config() };
    let auth = begin(accepted, &[&stranger]).await.unwrap();
    assert_eq!(auth.encryption().active().id(), stranger.id());
    begin(test_config(), &[&stranger]).await.unwrap();
}

async fn open_key_files(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let directory = test.database.directory();
    let begin = async || {
        refusal(
            start_with_keys(&test.database, &test.clock, test_config(), KeySources::in_directory(directory))
                .await,
        )
    };
    let encryption = EncryptionKeyFile::in_directory(directory);
    fs::set_permissions(encryption.path(), Permissions::from_mode(0o644)).unwrap();
    let error = begin().await;
    assert!(matches!(error, StartError::EncryptionKeyFile(_)), "{error}");
    assert!(error.to_string().contains("chmod 600") && error.to_string().contains("encryption-keys.json"));
    fs::set_permissions(KeyFile::in_directory(directory).path(), Permissions::from_mode(0o640)).unwrap();
    let error = begin().await;
    assert!(matches!(error, StartError::KeyFile(_)), "{error}");
    assert!(error.to_string().contains("chmod 600") && error.to_string().contains("signing-keys.json"));
}

async fn first_starts(backend: Backend) {
    let (database, clock) = (TestDatabase::create(backend).await, TestClock::new());
    let database = std::sync::Arc::new(database);
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let (database, clock) = (std::sync::Arc::clone(&database), clock.clone());
            tokio::spawn(async move {
                let keys = KeySources::in_directory(database.directory());
                let auth = start_with_keys(&database, &clock, test_config(), keys).await?;
                Ok::<_, StartError>((auth.published_keys(), auth.encryption().active().id().clone()))
            })
        })
        .collect();
    let mut rings = Vec::new();
    for started in starts {
        rings.push(started.await.unwrap().unwrap());
    }
    assert_eq!(rings[0].0.len(), 1);
    assert!(rings.iter().all(|ring| *ring == rings[0]), "{rings:?}");
}
