//! Rate limits: who is counted together, what is told first, and what every answer says of them.

use std::time::Duration;

use cryptopay_auth::Clock as _;
use cryptopay_domain::Permission;
use cryptopay_http::{HttpConfig, RateLimiter, RateLimits};
use cryptopay_testkit::{
    Answer, Backend, Call, Document, OTHER_PASSWORD, PASSWORD, TestApp, TestAuth, on_both_databases,
};
use serde_json::json;

on_both_databases! {
    whoever_waits_as_long_as_it_is_told_is_let_in_again => recovery;
    each_session_and_each_api_key_has_a_limit_of_its_own => credentials;
    a_refresh_is_answered_when_every_other_request_is_refused => refresh;
    a_password_is_guessed_slowly_even_with_a_session => password;
}

/// An application with these limits, by the clock of its core, behind proxies that say who calls.
async fn limited(backend: Backend, limits: RateLimits) -> TestApp {
    serve(TestAuth::start(backend).await, limits, &["127.0.0.0/8"])
}

fn serve(core: TestAuth, limits: RateLimits, proxies: &[&str]) -> TestApp {
    let clock = core.clock.clone();
    let time = move || Duration::from_micros(u64::try_from(clock.now().unix_micros()).unwrap());
    let mut config = HttpConfig::new(7);
    config.trusted_proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    config.cors_origins = vec!["https://shop.example".to_owned()];
    config.rate_limiter = Some(RateLimiter::with_time(limits, time));
    TestApp::serve(core, config)
}

fn limits(change: impl FnOnce(&mut RateLimits)) -> RateLimits {
    let mut limits = RateLimits::default();
    change(&mut limits);
    limits
}

fn few_by_address(limit: &str) -> RateLimits {
    limits(|limits| limits.address = limit.parse().unwrap())
}

/// A request by way of a proxy that saw it come from this address.
trait From {
    fn from(self, address: &str) -> Self;
}

impl From for Call<'_> {
    fn from(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }
}

const LIMITED: &str = "429 RATE_LIMITED";
const VERIFY: &str = "/api/auth/verify/";

fn fields(answer: &Answer) -> (&str, &str) {
    (answer.header("ratelimit").unwrap_or_default(), answer.header("ratelimit-policy").unwrap_or_default())
}

async fn recovery(backend: Backend) {
    let app = limited(backend, few_by_address("2/60")).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let verify = async || app.get(VERIFY).bearer(access.expose()).send().await;
    let policies = r#""address";q=2;w=60, "credential";q=6000;w=60"#;

    let answer = verify().await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(fields(&answer), (r#""address";r=1;t=30, "credential";r=5999;t=1"#, policies));
    app.core.clock.advance(Duration::from_secs(10));
    let answer = verify().await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(fields(&answer), (r#""address";r=0;t=20, "credential";r=5999;t=1"#, policies));

    app.core.clock.advance(Duration::from_millis(500));
    let answer = verify().await;
    assert_eq!(answer.verdict(), LIMITED);
    assert_eq!(fields(&answer), (r#""address";r=0;t=20"#, policies));
    let message = "Too many requests. Try again later.";
    let expected = json!({"error": {"code": "RATE_LIMITED", "message": message}, "retry_after": 20});
    assert_eq!((answer.header("retry-after"), answer.json()), (Some("20"), expected));

    app.core.clock.advance(Duration::from_secs(19));
    assert_eq!(verify().await.header("retry-after"), Some("1"));
    app.core.clock.advance(Duration::from_secs(1));
    assert_eq!(verify().await.verdict(), "200");
}

async fn credentials(backend: Backend) {
    let app = limited(backend, limits(|limits| limits.credential = "2/3600".parse().unwrap())).await;
    let alice = app.core.principal("alice").await;
    let sessions = [app.core.login("alice").await.access, app.core.login("alice").await.access];
    let key = app.core.api_key(&alice, &[Permission::Read], None).await.key;
    let credentials = [sessions[0].expose(), sessions[1].expose(), key.expose()];
    for (number, credential) in credentials.into_iter().enumerate() {
        // Wherever it is used from, and whatever for: remembered or not, it is one credential.
        let ask =
            async |path: &str, address: &str| app.get(path).from(address).bearer(credential).send().await;
        assert_eq!(ask("/api/payment-orders", "192.0.2.1").await.verdict(), "200", "{number}");
        assert_eq!(ask(VERIFY, "192.0.2.2").await.verdict(), "200", "{number}");
        for path in [VERIFY, "/api/payment-orders", "/api/auth/api-keys", "/api/auth/verify/ext/x"] {
            let answer = ask(path, "192.0.2.3").await;
            assert_eq!(answer.verdict(), LIMITED, "{number} {path}");
            let (standing, _) = fields(&answer);
            assert!(standing.ends_with(r#", "credential";r=0;t=1800"#), "{standing}");
        }
    }
}

async fn refresh(backend: Backend) {
    let app = limited(backend, few_by_address("1/3600")).await;
    app.core.register("alice").await;
    let mut refresh = app.core.login("alice").await.refresh.expose().to_owned();
    assert_eq!(app.get("/readyz").send().await.verdict(), "200");
    assert_eq!(app.get("/readyz").send().await.verdict(), LIMITED);
    for left in [1199, 1198, 1197] {
        let answer = app.post("/api/auth/token/refresh/", &json!({"refresh": refresh})).send().await;
        assert_eq!(answer.verdict(), "200");
        let standing = format!(r#""refresh";r={left};t=1"#);
        assert_eq!(fields(&answer), (standing.as_str(), r#""refresh";q=1200;w=60"#));
        refresh = answer.json()["refresh"].as_str().unwrap().to_owned();
    }
}

async fn password(backend: Backend) {
    let app = limited(backend, limits(|limits| limits.password = "2/3600".parse().unwrap())).await;
    app.core.register("alice").await;
    let (one, other) = (app.core.login("alice").await.access, app.core.login("alice").await.access);
    let guess = json!({"current_password": OTHER_PASSWORD, "new_password": PASSWORD});
    let guess = async |access: &str, address: &str| {
        app.post("/api/auth/password", &guess).from(address).bearer(access).send().await
    };
    assert_eq!(guess(one.expose(), "192.0.2.1").await.verdict(), "400 VALIDATION_ERROR");
    assert_eq!(guess(one.expose(), "192.0.2.2").await.verdict(), "400 VALIDATION_ERROR");
    let answer = guess(one.expose(), "192.0.2.3").await;
    assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), (LIMITED, Some("1800")));
    let policies = r#""address";q=3000;w=60, "credential";q=6000;w=60, "password";q=2;w=3600"#;
    assert_eq!(answer.header("ratelimit-policy"), Some(policies));
    assert_eq!(guess(other.expose(), "192.0.2.3").await.verdict(), "400 VALIDATION_ERROR");
    assert_eq!(app.get("/api/auth/me").bearer(one.expose()).send().await.verdict(), "200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_registrations_are_limited_beside_everything_else() {
    let tight = limits(|limits| {
        limits.login = "2/60".parse().unwrap();
        limits.register = "1/3600".parse().unwrap();
    });
    let app = limited(Backend::Sqlite, tight).await;
    app.core.register("alice").await;
    let login = json!({"username": "alice", "password": "guessed"});
    let login = async |address: &str| app.post("/api/auth/login/", &login).from(address).send().await;
    for _ in 0..2 {
        assert_eq!(login("192.0.2.1").await.verdict(), "401 INVALID_CREDENTIALS");
    }
    let answer = login("192.0.2.1").await;
    assert_eq!(answer.verdict(), LIMITED);
    let (standing, policies) = fields(&answer);
    assert_eq!(standing, r#""address";r=2997;t=1, "login";r=0;t=30"#);
    assert_eq!(policies, r#""address";q=3000;w=60, "login";q=2;w=60"#);
    assert_eq!(login("192.0.2.2").await.verdict(), "401 INVALID_CREDENTIALS");
    assert_eq!(app.get("/api/openapi.json").from("192.0.2.1").send().await.verdict(), "200");

    // What is refused for another reason counts all the same.
    let register = async |body| app.post("/api/auth/register", &body).from("192.0.2.1").send().await;
    assert_eq!(register(json!({})).await.verdict(), "400 VALIDATION_ERROR");
    assert_eq!(register(json!({})).await.verdict(), LIMITED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_an_ipv4_address_or_an_ipv6_network_as_a_trusted_proxy_saw_it() {
    let app = limited(Backend::Sqlite, few_by_address("1/3600")).await;
    for (address, verdict) in [
        ("192.0.2.1", "401 INVALID_TOKEN"),
        ("192.0.2.1", LIMITED),
        ("::ffff:192.0.2.1", LIMITED),
        // What stands further left came from the client.
        ("198.51.100.1, 192.0.2.1", LIMITED),
        ("192.0.2.2", "401 INVALID_TOKEN"),
        ("2001:db8:0:1::1", "401 INVALID_TOKEN"),
        ("2001:db8:0:1:ffff::2", LIMITED),
        ("2001:db8:0:2::1", "401 INVALID_TOKEN"),
    ] {
        assert_eq!(app.get(VERIFY).from(address).send().await.verdict(), verdict, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoofed_header_gains_nothing() {
    let app = serve(TestAuth::start(Backend::Sqlite).await, few_by_address("1/3600"), &[]);
    assert_eq!(app.get(VERIFY).send().await.verdict(), "401 INVALID_TOKEN");
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"] {
        for value in ["198.51.100.1", "for=198.51.100.1", "127.0.0.2"] {
            let answer = app.get(VERIFY).header(header, value).send().await;
            assert_eq!(answer.verdict(), LIMITED, "{header}: {value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_told_in_its_place_among_the_other_refusals() {
    let app = limited(Backend::Sqlite, few_by_address("1/3600")).await;
    let alice = app.core.principal("alice").await;
    let key = app.core.api_key(&alice, &[Permission::Read], None).await.key;
    assert_eq!(app.get("/readyz").send().await.verdict(), "200");
    // By address: behind the route and the method, before the credential and all the rest.
    assert_eq!(app.get("/nowhere").send().await.verdict(), "404 NOT_FOUND");
    assert_eq!(app.call("PUT", "/api/auth/login").send().await.verdict(), "405 METHOD_NOT_ALLOWED");
    assert_eq!(app.get("/api/auth/me").send().await.verdict(), LIMITED);
    assert_eq!(app.get("/api/auth/me").bearer(key.expose()).send().await.verdict(), LIMITED);
    let huge = || app.call("POST", "/api/auth/login").body(vec![b'x'; 70 * 1024]);
    assert_eq!(huge().send().await.verdict(), LIMITED);
    assert_eq!(
        app.get(VERIFY).bearer(key.expose()).sandbox_error("CONFLICT").send().await.verdict(),
        LIMITED
    );

    // By credential: behind a 401, before permission, body and object.
    let limits = limits(|limits| limits.credential = "1/3600".parse().unwrap());
    let app = serve(app.core.clone(), limits, &[]);
    let key = key.expose();
    assert_eq!(app.get(VERIFY).bearer(key).send().await.verdict(), "200");
    assert_eq!(app.get(VERIFY).bearer("nonsense").send().await.verdict(), "401 INVALID_TOKEN");
    for (method, path, body) in [
        ("POST", "/api/payment-orders", "not JSON"),
        ("POST", "/api/auth/password", "{}"),
        ("GET", "/api/payment-orders/nothing", ""),
        ("GET", "/api/payment-orders?unknown=1", ""),
        ("GET", "/api/auth/verify?permission=full_access", ""),
    ] {
        let call = app.call(method, path).bearer(key).body(body);
        assert_eq!(call.send().await.verdict(), LIMITED, "{method} {path}");
    }
    let huge = app.call("POST", "/api/webhooks").bearer(key).body(vec![b'x'; 70 * 1024]);
    assert_eq!(huge.send().await.verdict(), LIMITED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_a_limited_route_tells_its_limits_and_no_other_does() {
    let app = limited(Backend::Sqlite, RateLimits::default()).await;
    for operation in Document::of_the_code().operations() {
        let path = operation.path.replace("{path}", "x").replace(['{', '}'], "");
        let answer = app.call(&operation.method, &path).send().await;
        let (standings, policies) = fields(&answer);
        if path == "/healthz" {
            assert_eq!((standings, policies), ("", ""));
            continue;
        }
        let what = format!("{} {path}: {answer:?}", operation.method);
        let first = if path.ends_with("/refresh") { "refresh" } else { "address" };
        for (list, parameters) in [(standings, ["r", "t"]), (policies, ["q", "w"])] {
            assert!(list.starts_with(&format!("\"{first}\";")), "{what}");
            assert!(list.split(", ").all(|item| is_item(item, parameters)), "{what}");
        }
        assert_eq!(policies.contains("\"credential\""), !operation.is_open, "{what}");
    }
    for answer in [
        app.get("/nowhere").send().await,
        app.call("PUT", "/api/auth/login").send().await,
        app.get("/docs/").send().await,
    ] {
        assert_eq!(fields(&answer), ("", ""), "{answer:?}");
    }
}

/// Whether this is `"name";a=1;b=2`: a string with two integers as parameters (RFC 9651).
fn is_item(item: &str, parameters: [&str; 2]) -> bool {
    let mut parts = item.split(';');
    let name = parts.next().and_then(|name| name.strip_prefix('"')?.strip_suffix('"'));
    let named = name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()));
    let is_parameter = |(part, expected): (&str, &str)| {
        part.split_once('=').is_some_and(|(key, value)| key == expected && value.parse::<u32>().is_ok())
    };
    let parts: Vec<_> = parts.collect();
    named && parts.len() == 2 && parts.into_iter().zip(parameters).all(is_parameter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_and_the_liveness_check_are_never_limited() {
    let app = limited(Backend::Sqlite, few_by_address("1/3600")).await;
    assert_eq!(app.get(VERIFY).send().await.verdict(), "401 INVALID_TOKEN");
    for _ in 0..3 {
        let preflight = app
            .call("OPTIONS", "/api/auth/login/")
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST");
        assert_eq!(preflight.send().await.status, 200);
        assert_eq!(app.get("/healthz").send().await.verdict(), "200");
    }
    let answer = app.get(VERIFY).header("origin", "https://shop.example").send().await;
    assert_eq!(answer.verdict(), LIMITED);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{exposed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_on_purpose_carries_the_headers_of_a_real_one() {
    let core = TestAuth::start(Backend::Sqlite).await;
    core.register("alice").await;
    let access = core.login("alice").await.access;
    let unlimited = TestApp::serve(core.clone(), HttpConfig::new(7));
    let limited = serve(core, RateLimits::default(), &[]);
    for app in [unlimited, limited] {
        for (path, policies) in [
            (VERIFY, r#""address";q=3000;w=60, "credential";q=6000;w=60"#),
            ("/api/openapi.json", r#""address";q=3000;w=60"#),
        ] {
            let answer = app.get(path).bearer(access.expose()).sandbox_error("RATE_LIMITED").send().await;
            assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), (LIMITED, Some("60")));
            assert_eq!(fields(&answer), (r#""address";r=0;t=60"#, policies));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limiter_nothing_is_limited_and_nothing_is_told() {
    let app = TestApp::start(Backend::Sqlite).await;
    assert_eq!(fields(&app.get(VERIFY).send().await), ("", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_requests_at_once_the_burst_is_let_in_exactly() {
    let app = limited(Backend::Sqlite, few_by_address("300/86400")).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let verify = || async {
        let mut admitted = 0;
        for _ in 0..50 {
            let answer = app.get(VERIFY).bearer(access.expose()).send().await;
            admitted += usize::from(answer.status == 200);
        }
        admitted
    };
    let admitted = futures_util::future::join_all((0..20).map(|_| verify())).await;
    assert_eq!(admitted.into_iter().sum::<usize>(), 300);
}
