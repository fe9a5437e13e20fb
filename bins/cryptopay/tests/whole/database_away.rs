//! The database goes away and comes back.

use cryptopay_testkit::postgres::PrivateCluster;
use cryptopay_testkit::{Answer, Installation, PASSWORD, eventually};
use serde_json::json;

use crate::PROGRAM;

fn assert_overloaded(answer: &Answer) {
    assert_eq!(answer.verdict(), "503 OVERLOADED");
    let retry_after = answer.json()["retry_after"].as_u64().expect("seconds");
    assert_eq!(answer.header("retry-after"), Some(retry_after.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn meanwhile_answers_are_503_and_afterwards_it_goes_on_by_itself() {
    let mut cluster = tokio::task::spawn_blocking(PrivateCluster::start).await.unwrap();
    let url = cluster.create_database().await;
    let installation = Installation::without_database(PROGRAM).with("CRYPTOPAY_DATABASE_URL", &url);
    let server = installation.serve().await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let (_, key) = server.create_api_key(&tokens.access, &["read"]).await;
    let (_, never_seen) = server.create_api_key(&tokens.access, &["read"]).await;
    for credential in [&tokens.access, &key] {
        assert_eq!(server.verify(credential).await, "200");
    }

    for _ in 0..2 {
        cluster.stop();
        // What is remembered may be answered for as long as what is known of revocations is fresh, and then
        // no more: whether it was revoked meanwhile, nobody can know.
        for credential in [&tokens.access, &key] {
            eventually("remembered credentials are not answered blindly", async || {
                match server.verify(credential).await.as_str() {
                    "200" => false,
                    "503 OVERLOADED" => true,
                    other => panic!("{other}"),
                }
            })
            .await;
        }
        let login = json!({"username": "alice", "password": PASSWORD});
        let refresh = json!({"refresh": tokens.refresh});
        for answer in [
            server.get("/readyz", "").await,
            server.get("/api/auth/verify", &never_seen).await,
            server.get("/api/auth/sessions", &tokens.access).await,
            server.post("/api/auth/login", "", &login).await,
            server.post("/api/auth/token/refresh", "", &refresh).await,
        ] {
            assert_overloaded(&answer);
        }
        assert_eq!(server.get("/healthz", "").await.status, 200, "the process lives");
        assert_eq!(server.verify("nonsense").await, "401 INVALID_TOKEN", "no database is needed for that");

        cluster.start_again();
        eventually("it is ready again", async || server.get("/readyz", "").await.status == 200).await;
        for credential in [&tokens.access, &key, &never_seen] {
            eventually("it answers again", async || server.verify(credential).await == "200").await;
        }
    }
    server.refresh(&tokens).await;
    assert_eq!(server.stop().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_it_stops_in_order_all_the_same() {
    let mut cluster = tokio::task::spawn_blocking(PrivateCluster::start).await.unwrap();
    let url = cluster.create_database().await;
    let server = Installation::without_database(PROGRAM).with("CRYPTOPAY_DATABASE_URL", &url).serve().await;
    cluster.stop();
    assert_eq!(server.stop().await.status.code(), Some(0));
}
