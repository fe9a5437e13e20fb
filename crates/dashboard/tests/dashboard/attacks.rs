//! What attackers try with forms, cookies and links.

use std::time::Duration;

use cryptopay_auth::AuthConfig;
use cryptopay_dashboard::Transport;
use cryptopay_domain::Environment;
use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_testkit::{
    Backend, Behaviour, Browser, PASSWORD, TestApp, TestAuth, TestReceiver, on_both_databases, test_config,
};

use crate::shop::{
    NEW_ENDPOINT, ORDERS, WEBHOOKS, add_endpoint, link, make_order, make_order_with, newest_is, press,
};

const SESSION: &str = "cryptopay-sandbox-session";
const KEYS: &str = "/dashboard/settings/api-keys";
const NEW_KEY: &str = "/dashboard/settings/api-keys/new";
const HOSTILE: &str = "\"><script>alert(1)</script>'&";
const KEY_FIELDS: [(&str, &str); 3] = [("name", "till"), ("permissions", "read"), ("expiry", "never")];

on_both_databases! {
    a_form_without_its_token_or_with_one_of_another_session_does_nothing => form_tokens;
    a_form_from_another_origin_does_nothing => other_origins;
    a_login_form_is_tied_to_the_browser_it_was_shown_to => login_forms;
    a_login_begins_a_new_session_and_ends_the_one_before => fixation;
    a_cookie_that_was_changed_or_made_up_opens_nothing => tampered_cookies;
    a_cookie_of_the_other_environment_or_of_the_api_opens_nothing => foreign_cookies;
    a_login_leads_nowhere_but_to_a_page_of_the_dashboard => open_redirects;
    every_page_forbids_storing_framing_and_foreign_scripts => headers;
    over_https_cookies_are_bound_to_the_host => secure_cookies;
    what_is_shown_is_escaped => escaping;
    what_shops_and_their_servers_write_is_shown_as_text => hostile_shop;
    no_form_of_orders_and_endpoints_works_from_elsewhere => forms_of_the_shop;
}

async fn form_tokens(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut mallory = Browser::logged_in(&app, "mallory").await;
    let foreign = mallory.open(NEW_KEY).await.hidden_fields(NEW_KEY)[0].1.clone();
    let visitor =
        Browser::new(&app).open("/dashboard/login").await.hidden_fields("/dashboard/login")[0].1.clone();
    let own = alice.open(NEW_KEY).await.hidden_fields(NEW_KEY)[0].1.clone();
    for token in [None, Some(""), Some("x"), Some(foreign.as_str()), Some(visitor.as_str()), Some(&own[1..])]
    {
        let mut fields = KEY_FIELDS.to_vec();
        fields.extend(token.map(|token| ("csrf", token)));
        let shown = alice.post(NEW_KEY, &fields).await;
        assert_eq!(shown.status, 403, "{token:?}: {}", shown.html);
    }
    assert!(alice.open(KEYS).await.html.contains("There are no keys"));
    let mut fields = KEY_FIELDS.to_vec();
    fields.push(("csrf", &own));
    assert_eq!(alice.post(NEW_KEY, &fields).await.status, 200);
    // The log-out, too, is nobody else's to press.
    assert_eq!(alice.post("/dashboard/logout", &[("csrf", &foreign)]).await.status, 403);
    assert_eq!(alice.open(KEYS).await.status, 200);
}

async fn other_origins(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let here = format!("http://{}", app.address());
    for (origin, fetched) in [
        (Some("https://evil.example"), None),
        (Some("null"), None),
        (Some("http://127.0.0.1:1"), None),
        (Some(here.as_str()), Some("cross-site")),
        (Some(here.as_str()), Some("same-site")),
        (None, Some("none")),
        (None, None),
    ] {
        let mut browser = alice.clone();
        browser.leave_out("origin");
        origin.into_iter().for_each(|origin| browser.insist_on("origin", origin));
        fetched.into_iter().for_each(|site| browser.insist_on("sec-fetch-site", site));
        let shown = browser.submit(NEW_KEY, NEW_KEY, &KEY_FIELDS).await;
        assert_eq!(shown.status, 403, "{origin:?} {fetched:?}: {}", shown.html);
    }
    assert!(alice.open(KEYS).await.html.contains("There are no keys"));
    alice.leave_out("origin");
    alice.insist_on("sec-fetch-site", "same-origin");
    assert_eq!(alice.submit(NEW_KEY, NEW_KEY, &KEY_FIELDS).await.status, 200);
}

async fn login_forms(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("mallory").await;
    let of_mallory = Browser::new(&app).open("/dashboard/login").await;
    let mut victim = Browser::new(&app);
    let fields = [("username", "mallory"), ("password", PASSWORD)];
    let shown = victim.send_form(&of_mallory, "/dashboard/login", &fields).await;
    assert_eq!(shown.status, 403, "nobody is logged in as somebody else");
    assert!(!victim.cookies.contains_key(SESSION));
}

async fn fixation(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut victim = Browser::logged_in(&app, "mallory").await;
    app.core.register("alice").await;
    let mut planted = victim.clone();
    let shown = victim.open("/dashboard").await;
    let token = shown.hidden_fields("/dashboard/logout")[0].1.clone();
    let fields = [("csrf", token.as_str()), ("username", "alice"), ("password", PASSWORD)];
    assert_eq!(victim.post("/dashboard/login", &fields).await.status, 303);
    assert_ne!(victim.cookies[SESSION], planted.cookies[SESSION]);
    assert!(victim.open("/dashboard").await.html.contains(">alice<"));
    assert_eq!(planted.open("/dashboard").await.status, 303, "the session before has ended");
}

async fn tampered_cookies(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let browser = Browser::logged_in(&app, "alice").await;
    let good = browser.cookies[SESSION].clone();
    let changed = format!("{}{}", if good.starts_with("AQ") { "AR" } else { "AQ" }, &good[2..]);
    let last = if good.ends_with('A') { "B" } else { "A" };
    let changed_tag = format!("{}{last}", &good[..good.len() - 1]);
    for cookie in ["", "x", &changed, &changed_tag, &good[1..], &format!("{good}A"), "%00", "..."] {
        let mut browser = browser.clone();
        browser.cookies.insert(SESSION.to_owned(), cookie.to_owned());
        let shown = browser.open("/dashboard").await;
        assert_eq!((shown.status, shown.location()), (303, Some("/dashboard/login")), "{cookie}");
    }
}

async fn foreign_cookies(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let production = production(backend).await;
    production.core.register("alice").await;
    let login = production.core.login("alice").await;
    let command = cryptopay_testkit::login_command("alice", PASSWORD);
    let browser =
        production.core.auth.log_in_browser(command, None, &cryptopay_testkit::context()).await.unwrap();
    let own = Browser::logged_in(&app, "alice").await;
    let api = app.core.login("alice").await;
    for token in [browser.token.expose(), login.refresh.expose(), api.refresh.expose(), api.access.expose()] {
        let mut browser = Browser::new(&app);
        browser.cookies.insert(SESSION.to_owned(), token.to_owned());
        assert_eq!(browser.open("/dashboard").await.status, 303, "{token}");
    }
    // Nor does the API take what a browser holds, in a header or as a cookie.
    let cookie = own.cookies[SESSION].as_str();
    assert_eq!(app.get("/api/auth/verify").bearer(cookie).send().await.status, 401);
    let call = app.get("/api/auth/me").header("cookie", &format!("{SESSION}={cookie}"));
    assert_eq!(call.send().await.status, 401);
    let body = serde_json::json!({ "refresh": cookie });
    assert_eq!(app.post("/api/auth/token/refresh", &body).send().await.status, 401);
}

async fn production(backend: Backend) -> TestApp {
    let sandbox = test_config();
    let mut config = AuthConfig::new(Environment::Production, "https://pay.example.com".to_owned());
    config.hasher = sandbox.hasher;
    TestApp::with_dashboard(TestAuth::start_with(backend, config).await, Transport::Https)
}

async fn open_redirects(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    app.core.register("alice").await;
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/dashboard/..//evil.example",
        "/dashboard@evil.example",
        "javascript:alert(1)",
        "/api/auth/logout",
        "/dashboard/logout",
    ] {
        let mut browser = Browser::new(&app);
        let shown = browser.open("/dashboard/login").await;
        let token = shown.hidden_fields("/dashboard/login")[0].1.clone();
        let fields =
            [("csrf", token.as_str()), ("next", next), ("username", "alice"), ("password", PASSWORD)];
        let shown = browser.post("/dashboard/login", &fields).await;
        assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")), "{next}");
        let encoded: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let shown = browser.open(&format!("/dashboard/login?next={encoded}")).await;
        assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")), "{next}");
    }
}

async fn headers(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut anonymous = Browser::new(&app);
    let mut pages = vec![
        anonymous.open("/dashboard/login").await,
        anonymous.open("/dashboard/register").await,
        anonymous.open("/dashboard").await,
        anonymous.open("/dashboard/nothing/there").await,
        anonymous.post("/dashboard/login", &[]).await,
        anonymous.post("/dashboard/settings/api-keys", &[]).await,
        alice.submit(NEW_KEY, NEW_KEY, &KEY_FIELDS).await,
    ];
    let (endpoint, _) = add_endpoint(&mut alice, "https://shop.example/hook").await;
    let delivery = press(&mut alice, &endpoint, "test").await.location().unwrap().to_owned();
    let order = make_order(&app, "alice", None).await;
    let log = format!("{endpoint}/deliveries");
    let question = format!("{endpoint}/delete");
    for path in ["/dashboard", "/dashboard/", KEYS, NEW_KEY, "/dashboard/settings/security", ORDERS, WEBHOOKS]
    {
        pages.push(alice.open(path).await);
    }
    for path in [NEW_ENDPOINT, &endpoint, &question, &log, &delivery, &order] {
        pages.push(alice.open(path).await);
    }
    let fields = [("url", "https://shop.example/other"), ("scope", "all")];
    pages.push(alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &fields).await);
    pages.push(press(&mut alice, &endpoint, "test").await);
    for page in pages {
        assert_eq!(page.header("cache-control"), Some("no-store"), "{page:?}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{page:?}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        if page.status != 303 {
            assert!(page.html.contains("<strong>Sandbox</strong>"), "{}", page.html);
            assert!(policy.contains("form-action 'self'") && policy.contains("base-uri 'none'"), "{policy}");
            assert!(policy.contains("connect-src 'self';"), "{policy}");
            let is_inline = [" style=", "<style", " onclick=", "javascript:", "<script>"];
            assert!(!is_inline.iter().any(|part| page.html.contains(part)), "{}", page.html);
        }
    }
    let login = anonymous.open("/dashboard/login").await;
    let mut bytes = login.html.len();
    for asset in login.html.split('"').filter(|part| part.starts_with("/dashboard/assets/")) {
        let asset = anonymous.open(asset).await;
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
        bytes += asset.html.len();
    }
    assert!(bytes <= 50 * 1024, "the first page is {bytes} bytes in all");
}

async fn secure_cookies(backend: Backend) {
    let app = production(backend).await;
    app.core.register("alice").await;
    let mut browser = Browser::new(&app);
    browser.insist_on("origin", "https://pay.example.com");
    let shown = browser.log_in("alice", PASSWORD).await;
    assert_eq!(shown.status, 303);
    let cookies = shown.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("__Host-cryptopay-session=")).unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert!(!browser.open("/dashboard").await.html.contains("Sandbox"));
    // In production the host that is asked means nothing.
    let mut plain = Browser::new(&app);
    assert_eq!(plain.log_in("alice", PASSWORD).await.status, 403);
    app.core.clock.advance(Duration::from_secs(1));
}

async fn escaping(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut anonymous = Browser::new(&app);
    let login = [("username", HOSTILE), ("password", "x")];
    let sign_up = [("username", HOSTILE), ("email", HOSTILE), ("shop_name", HOSTILE), ("password", HOSTILE)];
    let mut alice = Browser::logged_in(&app, "alice").await;
    let key = [("name", HOSTILE), ("permissions", "read"), ("expiry", "never")];
    let mut elsewhere = Browser::new(&app);
    elsewhere.insist_on("user-agent", HOSTILE);
    assert_eq!(elsewhere.log_in("alice", PASSWORD).await.status, 303);
    let wrong = [("name", HOSTILE), ("permissions", HOSTILE), ("expiry", HOSTILE), ("expires_on", HOSTILE)];
    let mut pages = vec![
        anonymous.submit("/dashboard/login", "/dashboard/login", &login).await,
        anonymous.submit("/dashboard/register", "/dashboard/register", &sign_up).await,
        alice.submit(NEW_KEY, NEW_KEY, &wrong).await,
        alice.submit(NEW_KEY, NEW_KEY, &key).await,
        alice.open(KEYS).await,
        alice.open("/dashboard/settings/security").await,
    ];
    let list = alice.open(KEYS).await;
    let question = list.html.split('"').find(|part| part.ends_with("/revoke")).unwrap();
    pages.push(alice.open(question).await);
    pages.push(alice.open(question.trim_end_matches("/revoke")).await);
    for page in pages {
        assert!(page.html.contains("&#60;script&#62;alert(1)"), "it is shown: {}", page.html);
        assert!(!page.html.contains("<script>") && !page.html.contains(HOSTILE), "{}", page.html);
    }
}

async fn hostile_shop(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let receiver = TestReceiver::behaving(Behaviour::Say(HOSTILE)).await;
    let url = receiver.url(&format!("/{HOSTILE}"));
    let fields = [("url", url.as_str()), ("description", HOSTILE), ("scope", "all")];
    let mut pages = vec![alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &fields).await];
    assert!(
        pages[0].text_of("express").contains("app.post('/webhooks/cryptopay'"),
        "no such path in a program"
    );
    let endpoint = link(&pages[0], |path| path.starts_with(WEBHOOKS) && path.len() > WEBHOOKS.len());
    let workers = app.payments.run_deliveries();
    let metadata = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    let order = make_order_with(&app, "alice", Some(HOSTILE), metadata).await;
    newest_is(&app, "alice", &endpoint, DeliveryStatus::Succeeded).await;
    workers.stop().await;
    let log = format!("{endpoint}/deliveries");
    let delivery = link(&alice.open(&log).await, |path| path.contains("/deliveries/"));
    let question = format!("{endpoint}/delete");
    for path in [WEBHOOKS, &endpoint, &question, &log, &delivery, ORDERS, &order] {
        pages.push(alice.open(path).await);
    }
    let wrong = [("url", HOSTILE), ("description", HOSTILE), ("scope", "some"), ("events", HOSTILE)];
    pages.push(alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &wrong).await);
    pages.push(alice.submit(&endpoint, &format!("{endpoint}/change"), &wrong).await);
    app.core.clock.advance(Duration::from_secs(15 * 60));
    pages.push(alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &fields).await);
    for page in pages {
        assert!(page.html.contains("&#60;script&#62;alert(1)"), "it is shown: {}", page.html);
        assert!(!page.html.contains("<script>") && !page.html.contains(HOSTILE), "{}", page.html);
    }
    let shown = alice.open(&delivery).await;
    assert!(shown.html.contains(&format!("<code>{}", "&#34;&#62;&#60;script")), "the answer: {}", shown.html);
}

async fn forms_of_the_shop(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut mallory = Browser::logged_in(&app, "mallory").await;
    let (endpoint, _) = add_endpoint(&mut alice, "https://shop.example/hook").await;
    let delivery = press(&mut alice, &endpoint, "test").await.location().unwrap().to_owned();
    let order = make_order(&app, "alice", None).await;
    let own = alice.open(NEW_ENDPOINT).await.hidden_fields(NEW_ENDPOINT)[0].1.clone();
    let foreign = mallory.open(NEW_ENDPOINT).await.hidden_fields(NEW_ENDPOINT)[0].1.clone();
    let actions = ["change", "enable", "disable", "rotate-secret", "delete", "test"];
    let mut paths = actions.map(|action| format!("{endpoint}/{action}")).to_vec();
    paths.extend([NEW_ENDPOINT.to_owned(), format!("{delivery}/resend"), format!("{order}/simulate")]);
    let mut elsewhere = alice.clone();
    elsewhere.insist_on("origin", "https://evil.example");
    let rest = [("url", "https://evil.example/"), ("scope", "all"), ("overlap", "0"), ("status", "paid")];
    let audited = app.audit_events().await;
    for path in &paths {
        for token in [None, Some(foreign.as_str())] {
            let mut fields = rest.to_vec();
            fields.extend(token.map(|token| ("csrf", token)));
            assert_eq!(alice.post(path, &fields).await.status, 403, "{path}");
        }
        let mut fields = rest.to_vec();
        fields.push(("csrf", &own));
        assert_eq!(elsewhere.post(path, &fields).await.status, 403, "{path}");
        // Nothing is done by a link; two of these paths are pages.
        let opened = alice.open(&format!("{path}?csrf={own}&status=paid&url=https://evil.example/")).await;
        assert!(opened.status == 405 || opened.status == 200 && opened.html.contains("<form"), "{path}");
    }
    assert_eq!(app.audit_events().await, audited);
    assert!(alice.open(&order).await.html.contains("Pending"));
    let pending = alice.open(&endpoint).await.html.matches("data-live=\"pending\"").count();
    assert_eq!(pending, 2, "the order's, and the one test that she sent herself");
}
