//! Two servers on one PostgreSQL database.

use std::time::Duration;

use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{
    Backend, Installation, OTHER_PASSWORD, PASSWORD, Server, Tokens, on_both_databases, time_until,
};
use serde_json::json;

use crate::PROGRAM;

/// How long a revocation may take to reach every replica.
const SECOND: Duration = Duration::from_secs(1);

const SIGNING_KEYS: (&str, &str) = ("signing-keys.json", "k4.secret.");
const ENCRYPTION_KEYS: (&str, &str) = ("encryption-keys.json", "k4.local.");

on_both_databases! {
    a_replica_with_another_signing_key_refuses_to_start_and_says_so => another_signing_key;
    a_replica_that_cannot_read_what_the_others_seal_refuses_to_start_and_says_so => another_encryption_key;
    a_database_of_the_other_environment_is_refused => another_environment;
    another_issuer_needs_to_be_meant => another_issuer;
}

struct Pair {
    installation: Installation,
    here: Server,
    there: Server,
}

impl Pair {
    async fn start() -> Self {
        let installation = Installation::new(PROGRAM, Backend::Postgres).await;
        let here = installation.serve().await;
        let there = installation.replica().serve().await;
        Self { installation, here, there }
    }

    /// Tokens that both replicas have seen and remember.
    async fn login(&self, username: &str) -> Tokens {
        let tokens = self.here.login(username).await;
        self.is_good(&tokens.access).await;
        tokens
    }

    async fn is_good(&self, credential: &str) {
        for server in [&self.here, &self.there] {
            assert_eq!(server.verify(credential).await, "200");
        }
    }

    /// The other replica refuses a credential within a second, counted from the answer that revoked it.
    async fn refuses(&self, credential: &str) {
        assert_eq!(self.here.verify(credential).await, "401 INVALID_TOKEN", "here it is so at once");
        time_until("the other replica refuses it", SECOND, async || {
            self.there.verify(credential).await == "401 INVALID_TOKEN"
        })
        .await;
    }

    async fn every_revocation_reaches_the_other_replica(&self, username: &str) {
        self.here.register(username).await;
        let owner = self.login(username).await;

        let logged_out = self.login(username).await;
        let answer = self.here.send("POST", "/api/auth/logout", &logged_out.access, None).await;
        assert_eq!(answer.verdict(), "200");
        self.refuses(&logged_out.access).await;

        let (id, key) = self.here.create_api_key(&owner.access, &["read"]).await;
        self.is_good(&key).await;
        let path = format!("/api/auth/api-keys/{id}");
        assert_eq!(self.here.send("DELETE", &path, &owner.access, None).await.verdict(), "200");
        self.refuses(&key).await;

        let (id, key) = self.here.create_api_key(&owner.access, &["read", "create_payments"]).await;
        self.is_good(&key).await;
        let narrower = json!({"permissions": ["create_payments"]});
        let path = format!("/api/auth/api-keys/{id}");
        let answer = self.here.send("PATCH", &path, &owner.access, Some(&narrower)).await;
        assert_eq!(answer.verdict(), "200");
        time_until("the other replica has narrowed the key", SECOND, async || {
            self.there.get("/api/payment-orders", &key).await.verdict() == "403 INSUFFICIENT_PERMISSIONS"
        })
        .await;

        let other = self.login(username).await;
        let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
        assert_eq!(self.here.post("/api/auth/password", &owner.access, &change).await.verdict(), "200");
        self.refuses(&other.access).await;
        self.is_good(&owner.access).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_the_other_replica_within_a_second() {
    Pair::start().await.every_revocation_reaches_the_other_replica("alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_held_open_by_somebody_else_does_not_stall_revocations() {
    let pair = Pair::start().await;
    let url = pair.installation.variable("CRYPTOPAY_DATABASE_URL").expect("PostgreSQL").to_owned();
    let client = connect(&url).await;
    // It has a number of its own, lower than all that follow, and a snapshot.
    client
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); CREATE TABLE held ()",
        )
        .await
        .expect("a transaction");
    pair.every_revocation_reaches_the_other_replica("alice").await;
    client.batch_execute("ROLLBACK").await.expect("it was open all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_may_be_given_their_keys_by_the_environment() {
    let first = Installation::new(PROGRAM, Backend::Postgres).await;
    first.run(&["user", "list"]).await.success();
    let keys = paserk_of(&first, SIGNING_KEYS);
    let encryption_keys = paserk_of(&first, ENCRYPTION_KEYS);
    let given = first
        .clone()
        .with("CRYPTOPAY_SIGNING_KEYS", &keys)
        .with("CRYPTOPAY_ENCRYPTION_KEYS", &encryption_keys);
    let here = given.with_other_data_dir().serve().await;
    let file = first.secret_file("keys", &format!("{keys}\n"));
    let encryption_file = first.secret_file("encryption-keys", &format!("{encryption_keys}\n"));
    let there = first
        .with_other_data_dir()
        .with("CRYPTOPAY_SIGNING_KEYS_FILE", &file)
        .with("CRYPTOPAY_ENCRYPTION_KEYS_FILE", &encryption_file)
        .serve()
        .await;
    here.register("alice").await;
    let tokens = here.login("alice").await;
    assert_eq!(there.verify(&tokens.access).await, "200");
    let renewed = there.refresh(&tokens).await;
    assert_eq!(here.verify(&renewed.access).await, "200");
    for (command, variable) in
        [("signing-key", "CRYPTOPAY_SIGNING_KEYS"), ("encryption-key", "CRYPTOPAY_ENCRYPTION_KEYS")]
    {
        let refused = given.run(&[command, "rotate"]).await.failure();
        assert!(refused.contains(variable), "{refused}");
    }
}

async fn another_signing_key(backend: Backend) {
    let first = Installation::new(PROGRAM, backend).await.with_database_outside();
    let server = first.serve().await;
    let kid = server.get("/.well-known/paseto-keys", "").await.json()["keys"][0]["kid"].clone();
    let encryption_keys = paserk_of(&first, ENCRYPTION_KEYS);
    let other = first.with_other_data_dir().with("CRYPTOPAY_ENCRYPTION_KEYS", &encryption_keys);
    let error = other.run(&["serve"]).await.failure();
    let kid = kid.as_str().unwrap();
    assert!(error.contains(kid) && error.contains("CRYPTOPAY_SIGNING_KEYS"), "{error}");

    let accepted = other.serve_by(&["serve", "--accept-signing-key-change"]).await;
    assert_eq!(accepted.get("/readyz", "").await.status, 200);
}

async fn another_encryption_key(backend: Backend) {
    let first = Installation::new(PROGRAM, backend).await.with_database_outside();
    first.run(&["user", "list"]).await.success();
    let signing_keys = paserk_of(&first, SIGNING_KEYS);
    let other = first.with_other_data_dir().with("CRYPTOPAY_SIGNING_KEYS", &signing_keys);
    let listed = first.run(&["encryption-key", "list"]).await.success();
    let key = listed.split_whitespace().next().unwrap();
    let error = other.run(&["serve"]).await.failure();
    for part in [key, "CRYPTOPAY_ENCRYPTION_KEYS", "--accept-encryption-key-change"] {
        assert!(error.contains(part), "{part} in {error}");
    }

    // With another one that seals it may run, as long as it can read what the first one sealed.
    other.run(&["encryption-key", "list"]).await.success();
    let both = format!("{},{}", paserk_of(&other, ENCRYPTION_KEYS), paserk_of(&first, ENCRYPTION_KEYS));
    other.clone().with("CRYPTOPAY_ENCRYPTION_KEYS", &both).run(&["user", "list"]).await.success();
    // The database has that one now, which the first does not hold.
    let error = first.run(&["user", "list"]).await.failure();
    assert!(error.contains("--accept-encryption-key-change"), "{error}");
    let accepted = first.serve_by(&["serve", "--accept-encryption-key-change"]).await;
    assert_eq!(accepted.get("/readyz", "").await.status, 200);
}

async fn another_environment(backend: Backend) {
    let sandbox = Installation::new(PROGRAM, backend).await;
    sandbox.run(&["user", "list"]).await.success();
    let production = sandbox
        .with("CRYPTOPAY_ENVIRONMENT", "production")
        .with("CRYPTOPAY_PUBLIC_URL", "https://api.example.com");
    let error = production.run(&["serve"]).await.failure();
    assert!(error.contains("sandbox environment") && error.contains("production"), "{error}");
    let error = production.run(&["serve", "--accept-issuer-change"]).await.failure();
    assert!(error.contains("sandbox environment"), "an issuer's change is another matter: {error}");
}

async fn another_issuer(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let before = installation.serve().await;
    before.register("alice").await;
    let tokens = before.login("alice").await;
    before.stop().await;

    let renamed = installation.with("CRYPTOPAY_PUBLIC_URL", "https://sandbox.example.com");
    let error = renamed.run(&["serve"]).await.failure();
    for part in ["http://localhost:8080", "https://sandbox.example.com", "--accept-issuer-change"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let server = renamed.serve_by(&["serve", "--accept-issuer-change"]).await;
    assert_eq!(server.verify(&tokens.access).await, "401 INVALID_TOKEN");
    server.stop().await;
    // Accepted once, it is the issuer from then on.
    renamed.serve().await;
}

/// The newest key of one of an installation's key files, as the environment takes it.
fn paserk_of(installation: &Installation, (name, header): (&str, &str)) -> String {
    let text = std::fs::read_to_string(installation.data_dir().join(name)).unwrap();
    text.split('"').find(|piece| piece.starts_with(header)).unwrap().to_owned()
}
