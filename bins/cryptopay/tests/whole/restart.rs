//! What outlives the process.

use cryptopay_testkit::{Backend, Installation, on_both_databases};

use crate::PROGRAM;

on_both_databases! {
    sessions_keys_and_revocations_survive_a_restart => everything_survives;
}

async fn everything_survives(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let server = installation.serve().await;
    server.register("alice").await;
    let kept = server.login("alice").await;
    let ended = server.login("alice").await;
    let (_, key) = server.create_api_key(&kept.access, &["read"]).await;
    let (revoked_id, revoked) = server.create_api_key(&kept.access, &["read"]).await;
    assert_eq!(server.send("POST", "/api/auth/logout", &ended.access, None).await.verdict(), "200");
    let path = format!("/api/auth/api-keys/{revoked_id}");
    assert_eq!(server.send("DELETE", &path, &kept.access, None).await.verdict(), "200");
    server.stop().await;

    let server = installation.serve().await;
    assert_eq!(server.verify(&kept.access).await, "200");
    assert_eq!(server.verify(&key).await, "200");
    assert_eq!(server.verify(&ended.access).await, "401 INVALID_TOKEN");
    assert_eq!(server.verify(&revoked).await, "401 INVALID_TOKEN");
    let body = serde_json::json!({"refresh": ended.refresh});
    assert_eq!(server.post("/api/auth/token/refresh", "", &body).await.verdict(), "401 INVALID_TOKEN");
    let renewed = server.refresh(&kept).await;
    assert_eq!(server.verify(&renewed.access).await, "200");
}
