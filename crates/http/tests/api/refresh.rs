//! Refreshing over HTTP: parallel requests, lost answers, theft.

use std::time::Duration;

use cryptopay_testkit::{Backend, TestApp, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    ten_parallel_refreshes_get_one_successor => parallel;
    an_answer_that_was_lost_is_given_again_however_late => lost;
    a_successor_in_use_leaves_the_spent_token_a_grace_and_then_ends_the_session => theft;
    what_is_no_refresh_token_is_told_nothing => worthless;
}

async fn refresh(app: &TestApp, token: &str) -> Result<(String, String), String> {
    let answer = app.post("/api/auth/token/refresh/", &json!({"refresh": token})).send().await;
    assert_eq!(answer.header("www-authenticate"), None);
    let body = answer.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if answer.status == 200 {
        Ok((text(&body["access"]), text(&body["refresh"])))
    } else {
        Err(answer.verdict())
    }
}

async fn verify(app: &TestApp, access: &str) -> u16 {
    app.get("/api/auth/verify/").bearer(access).send().await.status
}

async fn parallel(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let login = app.core.login("alice").await;
    let spent = login.refresh.expose();
    let answers = tokio::join!(
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
        refresh(&app, spent),
    );
    let answers: [_; 10] = answers.into();
    let pairs: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    for (access, successor) in &pairs {
        assert_eq!(successor, &pairs[0].1);
        assert_ne!(successor, spent);
        assert_eq!(verify(&app, access).await, 200);
    }
    let (_, next) = refresh(&app, &pairs[0].1).await.unwrap();
    assert_ne!(next, pairs[0].1);
}

async fn lost(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let login = app.core.login("alice").await;
    let (_, successor) = refresh(&app, login.refresh.expose()).await.unwrap();
    app.core.clock.advance(Duration::from_secs(29 * 86_400));
    let (access, again) = refresh(&app, login.refresh.expose()).await.unwrap();
    assert_eq!(again, successor);
    assert_eq!(verify(&app, &access).await, 200);
}

async fn theft(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let login = app.core.login("alice").await;
    let (access, successor) = refresh(&app, login.refresh.expose()).await.unwrap();
    // An access token issued together with the successor is its use, too.
    assert_eq!(verify(&app, &access).await, 200);
    app.core.clock.advance(Duration::from_secs(29));
    assert_eq!(refresh(&app, login.refresh.expose()).await.unwrap().1, successor);
    app.core.clock.advance(Duration::from_secs(2));
    assert_eq!(refresh(&app, login.refresh.expose()).await.unwrap_err(), "401 INVALID_TOKEN");
    assert_eq!(verify(&app, &access).await, 401);
    assert_eq!(verify(&app, login.access.expose()).await, 401);
    assert_eq!(refresh(&app, &successor).await.unwrap_err(), "401 INVALID_TOKEN");
}

async fn worthless(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let login = app.core.login("alice").await;
    let key = app.core.api_key(&alice, &[cryptopay_domain::Permission::FullAccess], None).await;
    let token = login.refresh.expose();
    let mut bodies = Vec::new();
    for worthless in [
        "",
        "x",
        "\0",
        "\u{1f600}",
        login.access.expose(),
        key.key.expose(),
        &token[1..],
        &token[..token.len() - 1],
        &format!("{token}="),
        &format!(" {token}"),
        &token.to_uppercase(),
        &"x".repeat(60_000),
    ] {
        let answer = app.post("/api/auth/token/refresh", &json!({"refresh": worthless})).send().await;
        assert_eq!(answer.verdict(), "401 INVALID_TOKEN", "{worthless}");
        bodies.push(answer.body);
    }
    app.core.clock.advance(Duration::from_secs(30 * 86_400));
    let answer = app.post("/api/auth/token/refresh", &json!({"refresh": token})).send().await;
    bodies.push(answer.body);
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the message tells causes apart");
}
