//! The account and its sessions over HTTP.

use cryptopay_auth::operator::AccountState;
use cryptopay_domain::{Permission, Username};
use cryptopay_http::HttpConfig;
use cryptopay_testkit::{Backend, OTHER_PASSWORD, PASSWORD, TestApp, TestAuth, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_logout_ends_this_session_alone_and_at_once => logout;
    sessions_are_listed_and_ended_one_by_one_or_all_others => sessions;
    a_new_password_ends_every_other_session => password;
    the_shop_is_renamed => profile;
    a_disabled_merchants_credentials_are_all_worthless => disabled;
    a_session_knows_its_client_behind_trusted_proxies_alone => proxies;
}

async fn login(app: &TestApp) -> String {
    app.core.login("alice").await.access.expose().to_owned()
}

async fn verify(app: &TestApp, access: &str) -> u16 {
    app.get("/api/auth/verify").bearer(access).send().await.status
}

async fn logout(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let other = login(&app).await;
    for call in [app.call("POST", "/api/auth/logout"), app.post("/api/auth/logout/", &json!({}))] {
        let pair = app.core.login("alice").await;
        let access = pair.access.expose();
        assert_eq!(verify(&app, access).await, 200);
        let answer = call.bearer(access).send().await;
        assert_eq!((answer.status, answer.json()), (200, json!({"ended": 1})));
        assert_eq!(verify(&app, access).await, 401);
        let again = app.call("POST", "/api/auth/logout").bearer(access).send().await;
        assert_eq!(again.verdict(), "401 INVALID_TOKEN");
        let refresh = json!({"refresh": pair.refresh.expose()});
        assert_eq!(app.post("/api/auth/token/refresh", &refresh).send().await.verdict(), "401 INVALID_TOKEN");
    }
    assert_eq!(verify(&app, &other).await, 200);
}

async fn sessions(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let body = json!({"username": "alice", "password": PASSWORD});
    let answer = app.post("/api/auth/login", &body).header("user-agent", "till/1.0").send().await;
    let first = answer.json()["access"].as_str().unwrap().to_owned();
    let (second, third) = (login(&app).await, login(&app).await);

    let list = app.get("/api/auth/sessions").bearer(&first).send().await.json();
    let listed = list["results"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let mine = &listed[2];
    assert_eq!(
        mine,
        &json!({
            "id": mine["id"], "created_at": "2026-01-02T12:00:00Z", "last_used_at": "2026-01-02T12:00:00Z",
            "expires_at": "2026-02-01T12:00:00Z", "ip": "127.0.0.1", "user_agent": "till/1.0", "current": true})
    );
    assert!(listed[..2].iter().all(|session| session["current"] == false));

    // `second` is the middle one of the list, newest first.
    let path = format!("/api/auth/sessions/{}/", listed[1]["id"].as_str().unwrap());
    let answer = app.call("DELETE", &path).bearer(&first).send().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"ended": 1})));
    assert_eq!(
        [verify(&app, &first).await, verify(&app, &second).await, verify(&app, &third).await],
        [200, 401, 200]
    );
    assert_eq!(app.call("DELETE", &path).bearer(&first).send().await.verdict(), "404 NOT_FOUND");

    let answer = app.call("DELETE", "/api/auth/sessions").bearer(&first).send().await;
    assert_eq!(answer.json(), json!({"ended": 1}));
    assert_eq!([verify(&app, &first).await, verify(&app, &third).await], [200, 401]);
    let answer = app.call("DELETE", "/api/auth/sessions/").bearer(&first).send().await;
    assert_eq!(answer.json(), json!({"ended": 0}));
    for id in ["x", "0193f1b2c3d4700089abcdef01234567", "%00", "1' OR '1'='1"] {
        let answer = app.call("DELETE", &format!("/api/auth/sessions/{id}")).bearer(&first).send().await;
        assert_eq!(answer.verdict(), "404 NOT_FOUND", "{id}");
    }
}

async fn password(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let key = app.core.api_key(&alice, &[Permission::Read], None).await;
    let (mine, other) = (login(&app).await, login(&app).await);
    let change = |current: &str, new: &str| {
        app.post("/api/auth/password", &json!({"current_password": current, "new_password": new}))
            .bearer(&mine)
    };
    let answer = change(OTHER_PASSWORD, OTHER_PASSWORD).send().await;
    assert_eq!(
        (answer.verdict(), answer.fields()),
        ("400 VALIDATION_ERROR".to_owned(), vec!["current_password".to_owned()])
    );
    let answer = change(PASSWORD, "alice@example.com").send().await;
    assert_eq!(
        (answer.verdict(), answer.fields()),
        ("400 VALIDATION_ERROR".to_owned(), vec!["new_password".to_owned()])
    );
    assert_eq!(verify(&app, &other).await, 200);

    let answer = change(PASSWORD, OTHER_PASSWORD).send().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"ended": 2})));
    assert_eq!(
        [verify(&app, &mine).await, verify(&app, &other).await, verify(&app, key.key.expose()).await],
        [200, 401, 200]
    );
    for (password, status) in [(PASSWORD, 401), (OTHER_PASSWORD, 200)] {
        let body = json!({"username": "alice", "password": password});
        assert_eq!(app.post("/api/auth/login", &body).send().await.status, status);
    }
}

async fn profile(backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.core.register("alice").await;
    let access = login(&app).await;
    let before = app.get("/api/auth/me").bearer(&access).send().await.json();
    assert_eq!(
        before,
        json!({
            "id": user.id.0, "username": "alice", "email": "alice@example.com", "shop_name": "Test Shop",
            "created_at": "2026-01-02T12:00:00Z"})
    );
    let change = json!({"shop_name": "  Caf\u{e9} \u{1f600} "});
    let changed = app.call("PATCH", "/api/auth/me").bearer(&access).json(&change).send().await.json();
    assert_eq!(changed["shop_name"], "Caf\u{e9} \u{1f600}");
    assert_eq!(app.get("/api/auth/me/").bearer(&access).send().await.json(), changed);
}

async fn disabled(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let key = app.core.api_key(&alice, &[Permission::FullAccess], None).await;
    let pair = app.core.login("alice").await;
    for credential in [pair.access.expose(), key.key.expose()] {
        assert_eq!(verify(&app, credential).await, 200);
    }
    let username = Username::parse("alice").unwrap();
    app.core.auth.set_account_state(&username, AccountState::Disabled).await.unwrap();
    for credential in [pair.access.expose(), key.key.expose()] {
        assert_eq!(verify(&app, credential).await, 401);
    }
    let refresh = json!({"refresh": pair.refresh.expose()});
    assert_eq!(app.post("/api/auth/token/refresh", &refresh).send().await.verdict(), "401 INVALID_TOKEN");
    let body = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(app.post("/api/auth/login", &body).send().await.verdict(), "401 INVALID_CREDENTIALS");
}

async fn proxies(backend: Backend) {
    for (trusted, ip) in [(vec![], "127.0.0.1"), (vec!["127.0.0.0/8".parse().unwrap()], "198.51.100.7")] {
        let core = TestAuth::start(backend).await;
        core.register("alice").await;
        let mut config = HttpConfig::new(1);
        config.trusted_proxies = trusted;
        let app = TestApp::serve(core, config);
        let body = json!({"username": "alice", "password": PASSWORD});
        let call = app.post("/api/auth/login", &body).header("x-forwarded-for", "203.0.113.9, 198.51.100.7");
        let access = call.send().await.json()["access"].as_str().unwrap().to_owned();
        let sessions = app.get("/api/auth/sessions").bearer(&access).send().await.json();
        assert_eq!(sessions["results"][0]["ip"], ip);
    }
}
