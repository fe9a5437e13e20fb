//! Logging in and registering over HTTP: what a refusal must not tell, and what a conflict must.

use cryptopay_auth::operator::AccountState;
use cryptopay_domain::Username;
use cryptopay_testkit::{Backend, OTHER_PASSWORD, PASSWORD, TestApp, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_refused_login_is_the_same_whatever_its_cause => refusals;
    a_login_takes_name_or_address_in_any_case => names;
    a_taken_name_is_told_and_so_is_a_taken_address => conflicts;
    a_weak_password_is_told_what_would_make_it_stronger => advice;
}

async fn refusals(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    app.core.register("gone").await;
    let gone = Username::parse("gone").unwrap();
    app.core.auth.set_account_state(&gone, AccountState::Disabled).await.unwrap();
    let mut seen = Vec::new();
    for (username, password) in [
        ("alice", OTHER_PASSWORD),
        ("alice", ""),
        ("alice", "\0"),
        ("alice", &PASSWORD.to_uppercase()),
        ("alice", &format!("{PASSWORD} ")),
        ("alice", &"x".repeat(50_000)),
        ("alice@example.com", OTHER_PASSWORD),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("gone", PASSWORD),
        ("gone", OTHER_PASSWORD),
        ("", PASSWORD),
        ("\0", PASSWORD),
        ("alice\0", PASSWORD),
        (" alice", PASSWORD),
        ("\u{430}lice", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        (&"x".repeat(50_000), PASSWORD),
    ] {
        let hashed = app.core.auth.hash_runs();
        let body = json!({"username": username, "password": password});
        let answer = app.post("/api/auth/login", &body).send().await;
        let what = format!("{username:.20} {password:.20}");
        assert_eq!(answer.verdict(), "401 INVALID_CREDENTIALS", "{what}");
        assert_eq!(app.core.auth.hash_runs(), hashed + 1, "{what}");
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        seen.push((answer.body, headers));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "a cause can be told from the answer");
}

async fn names(backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.core.register("Alice").await;
    for name in ["Alice", "alice", "ALICE", "Alice@example.com", "alice@EXAMPLE.com"] {
        let answer =
            app.post("/api/auth/login/", &json!({"username": name, "password": PASSWORD})).send().await;
        assert_eq!(answer.status, 200, "{name}");
        let expected = json!({"id": user.id.0, "username": "Alice", "email": "Alice@example.com"});
        assert_eq!(answer.json()["user"], expected, "{name}");
    }
    // Compared after NFKC: a ligature and its letters are one password.
    let register = |username: &str, password: &str| {
        json!({
        "username": username, "email": format!("{username}@example.com"), "password": password, "shop_name": "\u{1f600}"})
    };
    let body = register("bob", "\u{fb01}ne violet tractor 91 moss");
    assert_eq!(app.post("/api/auth/register", &body).send().await.status, 201);
    let body = json!({"username": "bob", "password": "fine violet tractor 91 moss"});
    assert_eq!(app.post("/api/auth/login", &body).send().await.status, 200);
}

fn registration(username: &str, email: &str) -> Value {
    json!({"username": username, "email": email, "password": PASSWORD, "shop_name": "Shop"})
}

async fn conflicts(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    for (username, email, verdict) in [
        ("ALICE", "new@example.com", "409 USERNAME_TAKEN"),
        ("new", "Alice@Example.com", "409 EMAIL_TAKEN"),
        ("alice", "alice@example.com", "409 USERNAME_TAKEN"),
    ] {
        let answer = app.post("/api/auth/register", &registration(username, email)).send().await;
        assert_eq!(answer.verdict(), verdict, "{username} {email}");
    }
    let answers = tokio::join!(
        app.post("/api/auth/register", &registration("race", "1@example.com")).send(),
        app.post("/api/auth/register", &registration("Race", "2@example.com")).send(),
        app.post("/api/auth/register", &registration("RACE", "3@example.com")).send(),
    );
    let answers: [_; 3] = answers.into();
    let mut verdicts = answers.map(|answer| answer.verdict());
    verdicts.sort();
    assert_eq!(verdicts, ["201", "409 USERNAME_TAKEN", "409 USERNAME_TAKEN"]);
}

async fn advice(backend: Backend) {
    let app = TestApp::start(backend).await;
    for weak in ["password1", "alice-shop", "qwertyuiop", "aaaaaaaaaaaa", "12345678"] {
        let mut body = registration("alice", "alice@example.com");
        body["password"] = weak.into();
        let answer = app.post("/api/auth/register", &body).send().await;
        assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{weak}");
        assert_eq!(answer.fields(), ["password"], "{weak}");
        let told = answer.json()["error"]["fields"]["password"].to_string();
        assert!(told.len() > 20 && !told.contains(weak), "{told}");
    }
}
