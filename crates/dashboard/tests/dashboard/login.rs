//! Signing up, logging in and out.

use std::time::Duration;

use cryptopay_testkit::{Backend, Browser, PASSWORD, TestApp, on_both_databases};

on_both_databases! {
    a_merchant_signs_up_and_is_logged_in => sign_up;
    a_sign_up_that_breaks_a_rule_says_so_beside_the_field => refused_sign_up;
    a_wrong_login_is_told_the_same_whoever_it_names => wrong_login;
    after_too_many_wrong_passwords_the_next_has_to_wait_whoever_it_names => throttled;
    a_login_leads_back_to_the_page_that_asked_for_it => leads_back;
    after_the_log_out_the_session_is_over_wherever_its_cookie_is => log_out;
    a_session_that_ended_elsewhere_opens_nothing => ended_elsewhere;
    a_session_that_nobody_uses_ends_after_half_a_day => idle;
}

async fn sign_up(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut browser = Browser::new(&app);
    let shown = browser.open("/").await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")));
    let shown = browser
        .submit(
            "/dashboard/register",
            "/dashboard/register",
            &[
                ("username", "alice"),
                ("email", "alice@example.com"),
                ("shop_name", "Alice & Sons"),
                ("password", PASSWORD),
            ],
        )
        .await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")), "{}", shown.html);
    let shown = browser.open("/dashboard").await;
    assert!(shown.html.contains("Welcome!") && shown.html.contains(">alice<"), "{}", shown.html);
    assert!(!browser.open("/dashboard").await.html.contains("Welcome!"), "a notice is shown once");
}

async fn refused_sign_up(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("alice").await;
    let mut browser = Browser::new(&app);
    for (username, email, shop_name, password, field) in [
        ("al", "bob@example.com", "Shop", PASSWORD, "username"),
        ("ALICE", "bob@example.com", "Shop", PASSWORD, "username"),
        ("bob", "nonsense", "Shop", PASSWORD, "email"),
        ("bob", "alice@example.com", "Shop", PASSWORD, "email"),
        ("bob", "bob@example.com", "  ", PASSWORD, "shop_name"),
        ("bob", "bob@example.com", "Shop", "password123", "password"),
    ] {
        let fields =
            [("username", username), ("email", email), ("shop_name", shop_name), ("password", password)];
        let shown = browser.submit("/dashboard/register", "/dashboard/register", &fields).await;
        assert_eq!(shown.status, 422, "{field}");
        assert!(!shown.text_of(&format!("{field}-problem")).is_empty());
        assert!(!shown.html.contains(password), "{field}: no password is sent back");
        assert!(shown.html.contains(&format!("value=\"{email}\"")), "what was typed is kept");
    }
}

async fn wrong_login(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("alice").await;
    let mut browser = Browser::new(&app);
    let mut told = Vec::new();
    for (username, password) in [("alice", "wrong"), ("nobody", PASSWORD), ("", "")] {
        let shown = browser.log_in(username, password).await;
        assert_eq!(shown.status, 422);
        assert!(!browser.cookies.contains_key("cryptopay-sandbox-session"));
        told.push(shown.text_of("login-problem"));
    }
    assert!(told.iter().all(|text| text == &told[0] && !text.is_empty()), "{told:?}");
}

async fn throttled(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("alice").await;
    let mut browser = Browser::new(&app);
    let mut told = Vec::new();
    for username in ["alice", "nobody"] {
        for _ in 0..10 {
            assert_eq!(browser.log_in(username, "wrong").await.status, 422, "{username}");
        }
        let hashed = app.core.auth.hash_runs();
        let shown = browser.log_in(username, PASSWORD).await;
        assert_eq!((shown.status, app.core.auth.hash_runs()), (429, hashed), "{username}");
        told.push(shown.html.replace(username, "NAME"));
    }
    assert_eq!(told[0], told[1]);
    app.core.clock.advance(Duration::from_secs(1));
    let shown = browser.log_in("alice", PASSWORD).await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")));
}

async fn leads_back(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("alice").await;
    let mut browser = Browser::new(&app);
    let shown = browser.open("/dashboard/settings/api-keys").await;
    let login = shown.location().unwrap().to_owned();
    assert_eq!((shown.status, login.as_str()), (303, "/dashboard/login?next=/dashboard/settings/api-keys"));
    let fields = [("username", "alice@example.com"), ("password", PASSWORD)];
    let shown = browser.submit(&login, "/dashboard/login", &fields).await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard/settings/api-keys")));
    assert_eq!(browser.open("/dashboard/settings/api-keys").await.status, 200);
    let shown = browser.open("/dashboard/login").await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")), "there is nothing to do");
}

async fn log_out(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let mut stolen = browser.clone();
    let shown = browser.submit("/dashboard", "/dashboard/logout", &[]).await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard/login")));
    assert!(!browser.cookies.contains_key("cryptopay-sandbox-session"), "{:?}", browser.cookies);
    let shown = stolen.open("/dashboard").await;
    assert_eq!((shown.status, shown.location()), (303, Some("/dashboard/login")));
}

async fn ended_elsewhere(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    assert_eq!(browser.open("/dashboard").await.status, 200);
    let access = app.core.login("alice").await.access;
    let ended = app.call("DELETE", "/api/auth/sessions").bearer(access.expose()).send().await;
    assert_eq!(ended.json()["ended"], 1, "the browser's session is one like any other");
    assert_eq!(browser.open("/dashboard").await.status, 303);
}

async fn idle(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let hour = Duration::from_secs(3600);
    for _ in 0..3 {
        app.core.clock.advance(11 * hour);
        assert_eq!(browser.open("/dashboard").await.status, 200, "it is used");
    }
    app.core.clock.advance(12 * hour);
    assert_eq!(browser.open("/dashboard").await.status, 303);
}
