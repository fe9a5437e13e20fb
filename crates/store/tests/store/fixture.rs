//! What the tests of the store share: a fresh installation, and things to put into it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::session::{EarlierUses, RefreshLine};
use cryptopay_domain::{
    ApiKeyId, DisplayName, EmailAddress, Environment, PermissionSet, Session, SessionId, Timestamp, User,
    UserId, Username,
};
use cryptopay_store::api_key::{ApiKeyFacts, ApiKeyPlan, ApiKeyWrite, KeyActor};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::installation::Installation;
use cryptopay_store::login_throttle::AttemptSettlement;
use cryptopay_store::session::VerifiedLogin;
use cryptopay_store::user::{InsertUserOutcome, NewUser};
use cryptopay_store::{DatabaseUrl, Store, StoreError};
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{Backend, TestDatabase};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use uuid::Uuid;

/// The hash that every account of these tests begins with.
pub(crate) const HASH: &str = "$scrypt$first";
/// The longest life of an access token, in seconds.
pub(crate) const ACCESS_TTL: u64 = 86_400;

/// An installation of its own.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
}

impl Fixture {
    pub(crate) async fn new(backend: Backend) -> Self {
        let database = TestDatabase::create(backend).await;
        let store = database.open().await;
        install(&store).await;
        Self { database, store }
    }

    /// A connection beside the store's own.
    pub(crate) async fn postgres(&self) -> Client {
        connect(&postgres_url(&self.database)).await
    }

    /// Changes the database by hand, past the store.
    pub(crate) async fn execute(&self, sql: &str) {
        use diesel::{Connection, RunQueryDsl, SqliteConnection};
        match self.database.url() {
            DatabaseUrl::Postgres(_) => self.postgres().await.batch_execute(sql).await.unwrap(),
            DatabaseUrl::Sqlite(_) => {
                let mut beside = SqliteConnection::establish(&sqlite_path(&self.database)).unwrap();
                diesel::sql_query(sql).execute(&mut beside).unwrap();
            }
        }
    }
}

pub(crate) fn postgres_url(database: &TestDatabase) -> String {
    match database.url() {
        DatabaseUrl::Postgres(url) => url.clone(),
        DatabaseUrl::Sqlite(path) => panic!("{} is no PostgreSQL database", path.display()),
    }
}

pub(crate) fn sqlite_path(database: &TestDatabase) -> String {
    match database.url() {
        DatabaseUrl::Sqlite(path) => path.to_string_lossy().into_owned(),
        DatabaseUrl::Postgres(_) => panic!("the database is no SQLite file"),
    }
}

pub(crate) async fn install(store: &Store) {
    store.get_or_insert_installation(installation(), at(0)).await.unwrap();
}

pub(crate) fn installation() -> Installation {
    Installation {
        environment: Environment::Sandbox,
        issuer: "http://localhost:8080".to_owned(),
        generation: 1,
        signing_key: "k4.pid.test".to_owned(),
        encryption_key: None,
        longest_access_ttl: ACCESS_TTL,
    }
}

/// So many seconds after a moment that all tests count from.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_767_355_200 + seconds)
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A new identifier, later in order than all that this test made before, with room for the deliveries of an event.
pub(crate) fn next_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128((0x0193_f1b2_c3d4 << 80) | u128::from(NEXT.fetch_add(0x1000, Ordering::Relaxed)))
}

pub(crate) fn session_id() -> SessionId {
    SessionId(next_id())
}

pub(crate) fn key_id() -> ApiKeyId {
    ApiKeyId(next_id())
}

pub(crate) fn audit(event: &'static str) -> AuditEvent {
    AuditEvent {
        occurred_at: at(0),
        event,
        outcome: "succeeded",
        user_id: None,
        actor: "test".to_owned(),
        subject: None,
        ip: "192.0.2.7".to_owned(),
        user_agent: None,
        request_id: "test".to_owned(),
        detail: None,
    }
}

pub(crate) fn new_user(username: &str, email: &str) -> NewUser {
    NewUser {
        username: Username::parse(username).unwrap(),
        email: EmailAddress::parse(email).unwrap(),
        shop_name: DisplayName::parse("Shop").unwrap(),
        password_hash: SecretString::from(HASH),
        created_at: at(0),
    }
}

/// Registers an account under a name that nobody has.
pub(crate) async fn register(store: &Store, username: &str) -> User {
    let new = new_user(username, &format!("{username}@example.com"));
    match store.insert_user(new, audit("user.registered")).await.unwrap() {
        InsertUserOutcome::Inserted(user) => user,
        other => panic!("{username}: {other:?}"),
    }
}

pub(crate) fn new_session(user: UserId) -> Session {
    Session {
        id: session_id(),
        user_id: user,
        created_at: at(0),
        last_used_at: at(0),
        expires_at: at(2_592_000),
        ip: "192.0.2.7".to_owned(),
        user_agent: Some("test/1.0".to_owned()),
        line: RefreshLine {
            counter: 0,
            issued_at: at(0),
            mac_key: "k4.pid.test".to_owned(),
            used_at: None,
            earlier_uses: EarlierUses::default(),
        },
        ended_at: None,
    }
}

pub(crate) fn verified(session: Session) -> VerifiedLogin {
    VerifiedLogin {
        session,
        verified: SecretString::from(HASH),
        rehashed: None,
        attempt: AttemptSettlement::default(),
    }
}

/// Begins a session and gives its identifier.
pub(crate) async fn login(store: &Store, user: UserId) -> SessionId {
    let session = new_session(user);
    let id = session.id;
    assert!(store.insert_session(verified(session), audit("login")).await.unwrap());
    id
}

pub(crate) fn new_key(user: UserId, parent: Option<ApiKeyId>) -> ApiKey {
    ApiKey {
        id: key_id(),
        user_id: user,
        parent,
        name: "till".to_owned(),
        prefix: "cp_test_AbC1".to_owned(),
        permissions: PermissionSet::FULL,
        created_at: at(0),
        expires_at: None,
        overlap_ends_at: None,
        revoked_at: None,
        successor: None,
        last_used_at: None,
    }
}

/// A hash that only this key has.
pub(crate) fn hash_of(id: ApiKeyId) -> [u8; 32] {
    let mut hash = [7; 32];
    hash[..16].copy_from_slice(id.0.as_bytes());
    hash
}

/// Changes keys as the operator does, whatever the facts are.
pub(crate) async fn change_keys(
    store: &Store,
    user: UserId,
    target: Option<ApiKeyId>,
    plan: impl FnOnce(ApiKeyFacts) -> ApiKeyPlan + Send + 'static,
) {
    let decide = |facts| Ok::<_, ()>((plan(facts), ()));
    let write = store.change_api_keys(user, KeyActor::Operator, target, at(0), decide).await.unwrap();
    assert!(matches!(write, ApiKeyWrite::Written { .. }), "{write:?}");
}

/// Puts a key into the store as it is, and gives it back.
pub(crate) async fn put_key(store: &Store, key: ApiKey) -> ApiKey {
    let made = key.clone();
    change_keys(store, key.user_id, None, move |_| ApiKeyPlan {
        insert: Some((made.clone(), hash_of(made.id))),
        // What a key cannot be made with is written as a change.
        changes: vec![made],
        audit: vec![],
    })
    .await;
    key
}

/// The plan that revokes a key and all under it.
pub(crate) fn revocation_plan(facts: ApiKeyFacts, now: Timestamp) -> ApiKeyPlan {
    let family = facts.key.into_iter().chain(facts.under);
    let changes = family.map(|key| ApiKey { revoked_at: Some(now), ..key }).collect();
    ApiKeyPlan { insert: None, changes, audit: vec![audit("api_key.revoked")] }
}

/// Runs something at once in many tasks, and gives their results.
pub(crate) async fn at_once<T, F>(count: usize, operation: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<JoinHandle<T>> = (0..count).map(|number| tokio::spawn(operation(number))).collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.expect("the task does not panic"));
    }
    results
}

/// Asks the database again and again until it says what is waited for.
pub(crate) async fn until(client: &Client, question: &str) {
    let asking = async {
        while !client.query_one(question, &[]).await.expect("the question is SQL").get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(seconds(20), asking).await.unwrap_or_else(|_| panic!("never true: {question}"));
}

/// Whether an error says that trying again later may help.
#[track_caller]
pub(crate) fn assert_unavailable<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => panic!("the database is away, and yet it answered"),
        Err(error) => {
            assert!(error.is_unavailable(), "{error:?}");
            error.to_string()
        }
    }
}
