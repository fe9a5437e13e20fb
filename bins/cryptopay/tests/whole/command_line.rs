//! The command line beside a running server on SQLite: two processes, one file.

use std::fs;
use std::time::Duration;

use cryptopay_testkit::{Backend, Installation, Server, Tokens, eventually, on_both_databases, time_until};
use serde_json::{Value, json};

use crate::PROGRAM;

/// How long an order of the operator may take to reach the server.
const SECOND: Duration = Duration::from_secs(1);

on_both_databases! {
    a_key_revoked_by_the_operator_is_refused_within_a_second => key_revoked;
    a_disabled_merchant_is_locked_out_within_a_second_and_let_in_again => merchant_disabled;
    ended_by_the_operator_every_session_is_over_within_a_second => sessions_ended;
    a_rotation_of_the_signing_key_logs_nobody_out => signing_key_rotated;
    the_tokens_of_a_revoked_signing_key_are_refused_within_a_second => signing_key_revoked;
    a_signing_key_is_revoked_while_no_server_runs => signing_key_revoked_offline;
    after_a_rotation_and_sealing_anew_the_old_encryption_key_can_go => encryption_key_rotated;
    what_a_lost_encryption_key_sealed_is_counted_as_unreadable => encryption_key_lost;
    a_key_file_that_is_damaged_under_a_running_server_logs_nobody_out => key_file_damaged;
}

struct Shop {
    installation: Installation,
    server: Server,
    tokens: Tokens,
}

impl Shop {
    async fn open(backend: Backend) -> Self {
        let installation = Installation::new(PROGRAM, backend).await;
        let server = installation.serve().await;
        server.register("alice").await;
        let tokens = server.login("alice").await;
        assert_eq!(server.verify(&tokens.access).await, "200");
        Self { installation, server, tokens }
    }

    async fn order(&self, arguments: &[&str]) -> String {
        self.installation.run(arguments).await.success()
    }

    async fn refuses(&self, credential: &str) {
        self.says(credential, "401 INVALID_TOKEN").await;
    }

    async fn says(&self, credential: &str, verdict: &str) {
        time_until(verdict, SECOND, async || self.server.verify(credential).await == verdict).await;
    }

    async fn published_keys(&self) -> Vec<(String, String)> {
        let answer = self.server.get("/.well-known/paseto-keys", "").await.json();
        let text = |key: &Value, field: &str| key[field].as_str().unwrap().to_owned();
        answer["keys"].as_array().unwrap().iter().map(|key| (text(key, "kid"), text(key, "status"))).collect()
    }
}

async fn key_revoked(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (id, key) = shop.server.create_api_key(&shop.tokens.access, &["full_access"]).await;
    let (_, child) = shop.server.create_api_key(&key, &["read"]).await;
    shop.says(&child, "200").await;
    let said = shop.order(&["api-key", "revoke", &id]).await;
    assert!(said.contains(&id) && said.contains("revoked"), "{said}");
    shop.refuses(&key).await;
    shop.refuses(&child).await;
    assert_eq!(shop.server.verify(&shop.tokens.access).await, "200");
    // Again and again, like the API's own.
    shop.order(&["api-key", "revoke", &id]).await;
}

async fn merchant_disabled(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (_, key) = shop.server.create_api_key(&shop.tokens.access, &["read"]).await;
    shop.says(&key, "200").await;
    assert_eq!(shop.order(&["user", "disable", "Alice"]).await, "alice is disabled\n");
    shop.refuses(&shop.tokens.access).await;
    shop.refuses(&key).await;
    let login = json!({"username": "alice", "password": cryptopay_testkit::PASSWORD});
    let refused = shop.server.post("/api/auth/login", "", &login).await;
    assert_eq!(refused.verdict(), "401 INVALID_CREDENTIALS");
    assert_eq!(shop.order(&["user", "enable", "alice"]).await, "alice is enabled\n");
    shop.says(&key, "200").await;
    assert_eq!(shop.server.verify(&shop.tokens.access).await, "401 INVALID_TOKEN", "the session is over");
    shop.server.login("alice").await;
}

async fn sessions_ended(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (_, key) = shop.server.create_api_key(&shop.tokens.access, &["read"]).await;
    let said = shop.order(&["session", "end-all"]).await;
    assert!(said.starts_with("1 "), "{said}");
    shop.refuses(&shop.tokens.access).await;
    let refresh = json!({"refresh": shop.tokens.refresh});
    let refused = shop.server.post("/api/auth/token/refresh", "", &refresh).await;
    assert_eq!(refused.verdict(), "401 INVALID_TOKEN");
    assert_eq!(shop.server.verify(&key).await, "200", "keys are no sessions");
    let again = shop.server.login("alice").await;
    shop.server.refresh(&again).await;
}

async fn signing_key_rotated(backend: Backend) {
    let shop = Shop::open(backend).await;
    let active = shop.published_keys().await.remove(0);
    assert_eq!(active.1, "active");
    let said = shop.order(&["signing-key", "rotate"]).await;
    time_until("the new key is published", SECOND, async || shop.published_keys().await.len() == 2).await;
    let keys = shop.published_keys().await;
    assert!(said.starts_with(&keys[0].0), "{said}");
    assert_eq!(keys[0].1, "next");
    assert_eq!(keys[1], active);
    let listed = shop.order(&["signing-key", "list"]).await;
    for (kid, status) in &keys {
        assert!(listed.lines().any(|line| line.contains(kid) && line.contains(status)), "{listed}");
    }
    assert_eq!(shop.server.verify(&shop.tokens.access).await, "200");
    shop.server.refresh(&shop.tokens).await;
    let refused = shop.installation.run(&["signing-key", "rotate"]).await.failure();
    assert!(refused.contains(&keys[0].0), "one waits already: {refused}");
}

async fn signing_key_revoked(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (_, key) = shop.server.create_api_key(&shop.tokens.access, &["read"]).await;
    let (withdrawn, _) = shop.published_keys().await.remove(0);
    let said = shop.order(&["signing-key", "revoke", &withdrawn]).await;
    shop.refuses(&shop.tokens.access).await;
    let refresh = json!({"refresh": shop.tokens.refresh});
    let refused = shop.server.post("/api/auth/token/refresh", "", &refresh).await;
    assert_eq!(refused.verdict(), "401 INVALID_TOKEN");
    assert_eq!(shop.server.verify(&key).await, "200", "keys are not signed");
    let keys = shop.published_keys().await;
    assert!(keys.len() == 1 && said.contains(&keys[0].0) && keys[0].0 != withdrawn, "{keys:?}: {said}");
    let again = shop.server.login("alice").await;
    assert_eq!(shop.server.verify(&again.access).await, "200");

    let unknown = shop.installation.run(&["signing-key", "revoke", &withdrawn]).await.failure();
    assert!(unknown.contains(&withdrawn) && unknown.contains("signing-key list"), "{unknown}");
    shop.server.stop().await;
    shop.installation.serve().await;
}

async fn signing_key_revoked_offline(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    installation.run(&["user", "list"]).await.success();
    let listed = installation.run(&["signing-key", "list"]).await.success();
    let kid = listed.split_whitespace().next().unwrap();
    installation.run(&["signing-key", "revoke", kid]).await.success();
    let server = installation.serve().await;
    let keys = server.get("/.well-known/paseto-keys", "").await.json();
    assert_ne!(keys["keys"][0]["kid"], kid);
}

async fn encryption_key_rotated(backend: Backend) {
    let shop = Shop::open(backend).await;
    let endpoint = json!({"url": "https://198.41.0.4/hook", "events": ["*"]});
    assert_eq!(shop.server.post("/api/webhooks", &shop.tokens.access, &endpoint).await.verdict(), "201");
    let before = shop.order(&["encryption-key", "list"]).await;
    let said = shop.order(&["encryption-key", "rotate"]).await;
    let listed = shop.order(&["encryption-key", "list"]).await;
    let (first, second) = listed.split_once('\n').unwrap();
    let id = first.strip_suffix("  seals").unwrap();
    assert!(said.starts_with(id) && !before.contains(id), "{said} {before}");
    assert_eq!(second.strip_suffix("  opens\n"), before.strip_suffix("  seals\n"), "the old one is kept");
    let recorded = async || {
        let installation = shop.installation.store().find_installation().await.unwrap().unwrap();
        installation.encryption_key.as_deref() == Some(id)
    };
    time_until("the server seals with the new key", SECOND, recorded).await;
    assert!(shop.server.log().contains("sealed with another key"));

    for count in [1, 0] {
        let said = shop.order(&["encryption-key", "reseal"]).await;
        assert_eq!(said, format!("sealed anew with {id}: {count}\n"));
    }
    // Now the old key can go.
    shop.server.stop().await;
    let key = newest_encryption_key(&shop.installation);
    let newest = shop.installation.with("CRYPTOPAY_ENCRYPTION_KEYS", &key);
    assert_eq!(newest.run(&["encryption-key", "list"]).await.success(), format!("{id}  seals\n"));
    assert_eq!(
        newest.run(&["encryption-key", "reseal"]).await.success(),
        format!("sealed anew with {id}: 0\n")
    );
}

async fn encryption_key_lost(backend: Backend) {
    let shop = Shop::open(backend).await;
    let endpoint = json!({"url": "https://198.41.0.4/hook", "events": ["*"]});
    assert_eq!(shop.server.post("/api/webhooks", &shop.tokens.access, &endpoint).await.verdict(), "201");
    shop.server.stop().await;
    fs::remove_file(shop.installation.data_dir().join("encryption-keys.json")).unwrap();
    let refused = shop.installation.run(&["encryption-key", "reseal"]).await.failure();
    assert!(refused.contains("--accept-encryption-key-change"), "{refused}");
    let accepting = ["encryption-key", "reseal", "--accept-encryption-key-change"];
    let told = shop.installation.run(&accepting).await.failure();
    assert!(told.contains("unreadable with these keys: 1"), "{told}");
}

fn newest_encryption_key(installation: &Installation) -> String {
    let text = fs::read_to_string(installation.data_dir().join("encryption-keys.json")).unwrap();
    text.split('"').find(|piece| piece.starts_with("k4.local.")).unwrap().to_owned()
}

async fn key_file_damaged(backend: Backend) {
    let shop = Shop::open(backend).await;
    let file = shop.installation.data_dir().join("signing-keys.json");
    let intact = fs::read_to_string(&file).unwrap();
    fs::write(&file, &intact[..intact.len() / 2]).unwrap();
    let complaints = || shop.server.log().matches("the signing keys cannot be read again").count();
    eventually("the server complains", async || complaints() > 0).await;
    // Long enough for it to have looked again.
    for _ in 0..3 {
        let tokens = shop.server.login("alice").await;
        assert_eq!(shop.server.verify(&tokens.access).await, "200");
    }
    assert_eq!(shop.server.verify(&shop.tokens.access).await, "200");
    assert_eq!(complaints(), 1, "said once");

    fs::write(&file, &intact).unwrap();
    shop.order(&["signing-key", "rotate"]).await;
    time_until("the mended file is read", SECOND, async || shop.published_keys().await.len() == 2).await;
}
