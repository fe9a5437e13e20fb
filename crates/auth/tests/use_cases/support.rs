//! What the tests of the use cases share.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptopay_auth::{
    Auth, AuthConfig, Failure, KeyFile, KeySource, KeySources, NewApiKey, Outcome, Principal,
    RegisterCommand, StartError,
};
use cryptopay_domain::api_key::ApiKeyRequest;
use cryptopay_domain::{DisplayName, EmailAddress, Permission, PermissionSet, Timestamp, UserId, Username};
use cryptopay_store::audit::AuditRow;
use cryptopay_testkit::{TestAuth, TestClock, TestDatabase, context};
use ring::rand::SystemRandom;
use secrecy::SecretString;

/// The rejection of an outcome that has to be one.
#[track_caller]
pub(crate) fn rejection<T: Debug, R: Debug>(outcome: Outcome<T, R>) -> R {
    match outcome {
        Err(Failure::Rejected(rejection)) => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

/// A registration whose shop is called "Test Shop".
pub(crate) fn registration(username: &str, email: &str, password: &str) -> RegisterCommand {
    RegisterCommand {
        username: Username::parse(username).unwrap(),
        email: EmailAddress::parse(email).unwrap(),
        password: SecretString::from(password),
        shop_name: DisplayName::parse("Test Shop").unwrap(),
    }
}

/// A set of permissions.
pub(crate) fn permissions(permissions: &[Permission]) -> PermissionSet {
    permissions.iter().copied().collect()
}

/// What somebody asks of a key called "till".
pub(crate) fn key_request(allowed: &[Permission], expires_at: Option<Timestamp>) -> ApiKeyRequest {
    ApiKeyRequest { name: DisplayName::parse("till").unwrap(), permissions: permissions(allowed), expires_at }
}

/// Makes a key that has to be makeable.
pub(crate) async fn make_key(auth: &Auth, maker: &Principal, allowed: &[Permission]) -> NewApiKey {
    auth.create_api_key(maker, key_request(allowed, None), &context()).await.unwrap()
}

/// The principal of a credential that has to be good.
pub(crate) async fn principal_of(auth: &Auth, bearer: &str) -> Arc<Principal> {
    auth.authenticate(bearer).await.expect("a good credential")
}

/// Whether a credential is accepted; anything but yes and no fails the test.
pub(crate) async fn is_accepted(auth: &Auth, bearer: &str) -> bool {
    match auth.authenticate(bearer).await {
        Ok(_) => true,
        Err(Failure::Rejected(_)) => false,
        Err(other) => panic!("neither accepted nor refused: {other:?}"),
    }
}

/// Whether a credential is answered from memory alone.
pub(crate) async fn is_remembered(auth: &Auth, bearer: &str) -> bool {
    // What is known of revocations ages by the real clock, and these tests run no background task.
    auth.load_revocations().await.unwrap();
    auth.authenticate_cached(bearer).is_some()
}

/// Audit events, oldest first.
pub(crate) async fn audit_of(test: &TestAuth, user: Option<UserId>) -> Vec<AuditRow> {
    let mut rows = test.auth.store().list_audit_events(user, 10_000).await.unwrap();
    rows.reverse();
    rows
}

/// Waits for something that another task does in real time, and tells how long that took; fails the test
/// when it takes longer than `patience`.
pub(crate) async fn eventually(patience: Duration, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < patience, "not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Starts a core that knows nothing of revocations yet, with the encryption keys of the test's database.
pub(crate) async fn start(
    database: &TestDatabase,
    clock: &TestClock,
    config: AuthConfig,
    signing: KeySource,
) -> Result<Auth, StartError> {
    let keys = KeySources { signing, ..KeySources::in_directory(database.directory()) };
    start_with_keys(database, clock, config, keys).await
}

/// The same with keys of the test's choice.
pub(crate) async fn start_with_keys(
    database: &TestDatabase,
    clock: &TestClock,
    config: AuthConfig,
    keys: KeySources,
) -> Result<Auth, StartError> {
    let random = Arc::new(SystemRandom::new());
    Auth::start(config, database.open().await, keys, Arc::new(clock.clone()), random).await
}

/// The key file of a test's database.
pub(crate) fn key_file(database: &TestDatabase) -> KeyFile {
    KeyFile::in_directory(database.directory())
}
