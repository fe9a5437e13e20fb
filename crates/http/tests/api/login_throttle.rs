//! The login throttle over HTTP: what is told, to whom, and whom nobody can pretend to be.

use std::time::Duration;

use cryptopay_http::{HttpConfig, RateLimiter, RateLimits};
use cryptopay_testkit::{
    Answer, Backend, OTHER_PASSWORD, PASSWORD, TestApp, TestAuth, context_from, login_command,
    on_both_databases,
};
use serde_json::json;

on_both_databases! {
    a_login_that_comes_too_early_is_a_429_whether_anybody_has_the_name_or_not => told;
    a_spoofed_header_is_no_known_network => spoofed;
    a_current_password_that_comes_too_early_is_a_429 => password;
}

const OWNER: &str = "198.51.100.7";
const LIMITED: &str = "429 RATE_LIMITED";
const WRONG: &str = "401 INVALID_CREDENTIALS";

/// An application behind these proxies, with the limits of production but for logins from one address.
fn serve(core: TestAuth, proxies: &[&str]) -> TestApp {
    let limits = RateLimits { login: "1000/60".parse().unwrap(), ..RateLimits::default() };
    let mut config = HttpConfig::new(7);
    config.trusted_proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    config.rate_limiter = Some(RateLimiter::with_time(limits, || Duration::ZERO));
    TestApp::serve(core, config)
}

async fn log_in(app: &TestApp, name: &str, password: &str, address: &str) -> Answer {
    let body = json!({"username": name, "password": password});
    app.post("/api/auth/login", &body).header("x-forwarded-for", address).send().await
}

async fn told(backend: Backend) {
    let app = serve(TestAuth::start(backend).await, &["127.0.0.0/8"]);
    app.core.register("alice").await;
    let mut seen = Vec::new();
    for (which, name) in
        ["alice", "ALICE@example.com", "nobody", "nobody@example.com"].into_iter().enumerate()
    {
        for number in 0..10 {
            let answer = log_in(&app, name, OTHER_PASSWORD, &format!("10.{which}.0.{number}")).await;
            assert_eq!(answer.verdict(), WRONG, "{name}");
        }
        let hashed = app.core.auth.hash_runs();
        // The right password is not looked at either.
        let answer = log_in(&app, name, PASSWORD, &format!("10.{which}.1.1")).await;
        assert_eq!(answer.verdict(), LIMITED, "{name}");
        assert_eq!(app.core.auth.hash_runs(), hashed, "{name}");
        let message = "Too many requests. Try again later.";
        let expected = json!({"error": {"code": "RATE_LIMITED", "message": message}, "retry_after": 1});
        assert_eq!((answer.json(), answer.header("retry-after")), (expected, Some("1")));
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
            .collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        seen.push((answer.body.clone(), format!("{headers:?}")));
    }
    // The limits of the route are told as ever.
    assert!(seen[0].1.contains(r#"\"login\";r=999;t=1"#), "{}", seen[0].1);
    seen.dedup();
    assert_eq!(seen.len(), 1, "whether a name exists can be told from the answer");
}

async fn spoofed(backend: Backend) {
    let core = TestAuth::start(backend).await;
    core.register("alice").await;
    core.auth.login(login_command("alice", PASSWORD), &context_from(OWNER)).await.unwrap();
    let app = serve(core.clone(), &[]);
    // Whatever the stranger claims, its guesses are a stranger's and of one network.
    for number in 0..10 {
        let answer = log_in(&app, "alice", OTHER_PASSWORD, &format!("10.0.0.{number}")).await;
        assert_eq!(answer.verdict(), WRONG);
    }
    for number in 10..20 {
        let answer =
            log_in(&app, &format!("shop-{number}"), OTHER_PASSWORD, &format!("10.0.0.{number}")).await;
        assert_eq!(answer.verdict(), WRONG);
    }
    for (name, address) in
        [("alice", OWNER), ("alice", "10.0.9.9"), ("shop-99", "10.0.9.9"), ("shop-98", OWNER)]
    {
        assert_eq!(log_in(&app, name, PASSWORD, address).await.verdict(), LIMITED, "{name} from {address}");
    }
    // A proxy that is trusted says who the owner is.
    let app = serve(core, &["127.0.0.0/8"]);
    assert_eq!(log_in(&app, "alice", PASSWORD, OWNER).await.verdict(), "200");
    assert_eq!(log_in(&app, "alice", PASSWORD, "10.0.9.9").await.verdict(), LIMITED);
    // What was put in front of what the proxy saw counts for nothing.
    assert_eq!(log_in(&app, "alice", PASSWORD, &format!("{OWNER}, 10.0.9.9")).await.verdict(), LIMITED);
}

async fn password(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let change = async |current: &str| {
        let body = json!({"current_password": current, "new_password": OTHER_PASSWORD});
        app.post("/api/auth/password", &body).bearer(access.expose()).send().await
    };
    for _ in 0..10 {
        assert_eq!(change("guessed").await.verdict(), "400 VALIDATION_ERROR");
    }
    let answer = change(PASSWORD).await;
    assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), (LIMITED, Some("1")));
    app.core.clock.advance(Duration::from_secs(1));
    assert_eq!(change(PASSWORD).await.verdict(), "200");
}
