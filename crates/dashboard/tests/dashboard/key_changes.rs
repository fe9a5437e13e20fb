//! One API key: renaming, narrowing, rotating and revoking it.

use std::time::Duration;

use cryptopay_testkit::{Backend, Browser, PASSWORD, Shown, TestApp, on_both_databases};

const KEYS: &str = "/dashboard/settings/api-keys";
const NEW_KEY: &str = "/dashboard/settings/api-keys/new";

on_both_databases! {
    a_key_gets_another_name => rename;
    a_key_is_narrowed_at_once_and_never_widened => narrow;
    a_rotated_key_works_on_for_as_long_as_was_chosen => rotate;
    a_rotation_whose_key_was_lost_is_done_again_until_somebody_uses_it => rotate_again;
    a_key_is_revoked_after_a_question_and_opens_nothing => revoke;
    another_merchants_key_is_not_found => another_merchants;
    every_change_of_what_a_key_opens_wants_a_recent_password => recent;
}

/// A key, and the page of it.
async fn make_key(browser: &mut Browser, permissions: &[&str]) -> (String, String) {
    let mut fields = vec![("name", "till"), ("expiry", "never")];
    fields.extend(permissions.iter().map(|permission| ("permissions", *permission)));
    let shown = browser.submit(NEW_KEY, NEW_KEY, &fields).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    (shown.text_of("key"), newest_key(browser).await)
}

async fn newest_key(browser: &mut Browser) -> String {
    let list = browser.open(KEYS).await;
    let mut links = list.html.split('"').filter(|part| part.starts_with(KEYS) && !part.ends_with("/new"));
    links.find(|link| link.len() > KEYS.len()).expect("a key").to_owned()
}

async fn press(browser: &mut Browser, page: &str, what: &str, fields: &[(&str, &str)]) -> Shown {
    browser.submit(page, &format!("{page}/{what}"), fields).await
}

async fn status(app: &TestApp, key: &str) -> u16 {
    app.get("/api/auth/verify").bearer(key).send().await.status
}

async fn rename(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (key, page) = make_key(&mut alice, &["read"]).await;
    let shown = press(&mut alice, &page, "rename", &[("name", "new till")]).await;
    assert_eq!((shown.status, shown.location()), (303, Some(page.as_str())));
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("<h1>new till</h1>") && shown.html.contains("has its new name"));
    assert!(!shown.html.contains(&key));
    let shown = press(&mut alice, &page, "rename", &[("name", " ")]).await;
    assert_eq!(shown.status, 422);
    assert!(!shown.text_of("name-problem").is_empty());
}

async fn narrow(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (key, page) = make_key(&mut alice, &["full_access"]).await;
    let fields = [("permissions", "read"), ("permissions", "manage_webhooks")];
    assert_eq!(press(&mut alice, &page, "permissions", &fields).await.status, 303);
    let verified = app.get("/api/auth/verify").bearer(&key).send().await.json();
    assert_eq!(verified["user"]["permissions"], serde_json::json!(["read", "manage_webhooks"]));
    let shown = press(&mut alice, &page, "permissions", &[]).await;
    assert_eq!(shown.status, 422);
    let shown = press(&mut alice, &page, "permissions", &[("permissions", "full_access")]).await;
    assert_eq!(shown.status, 422);
    assert!(!shown.text_of("permissions-problem").is_empty());
    let verified = app.get("/api/auth/verify").bearer(&key).send().await.json();
    assert_eq!(verified["user"]["permissions"], serde_json::json!(["read", "manage_webhooks"]));
}

async fn rotate(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (old, page) = make_key(&mut alice, &["read"]).await;
    let shown = press(&mut alice, &page, "rotate", &[("overlap", "3600")]).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    let new = shown.text_of("key");
    assert_eq!((status(&app, &old).await, status(&app, &new).await), (200, 200));
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("Being replaced") && shown.html.contains(&new[..12]), "{}", shown.html);
    app.core.clock.advance(Duration::from_secs(3600));
    assert_eq!((status(&app, &old).await, status(&app, &new).await), (401, 200));
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("Expired") && !shown.html.contains("Rotate key"), "{}", shown.html);
    let newest = newest_key(&mut alice).await;
    let shown = press(&mut alice, &newest, "rotate", &[("overlap", "3601")]).await;
    assert!(shown.status == 200 && shown.html.contains("Your password again"), "an hour has passed");
    let fields = [("password_again", PASSWORD)];
    let shown = alice.send_form(&shown, &format!("{newest}/rotate"), &fields).await;
    assert_eq!(shown.status, 400, "a span that is none");
    assert_eq!(alice.open(KEYS).await.status, 200, "the new session goes on");
}

async fn rotate_again(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (old, page) = make_key(&mut alice, &["read"]).await;
    let lost = press(&mut alice, &page, "rotate", &[("overlap", "86400")]).await.text_of("key");
    let new = press(&mut alice, &page, "rotate", &[("overlap", "86400")]).await.text_of("key");
    assert_eq!(
        (status(&app, &lost).await, status(&app, &new).await, status(&app, &old).await),
        (401, 200, 200)
    );
    let shown = alice.open(&page).await;
    assert!(!shown.html.contains("Rotate key"), "the new key is in use");
    let token = shown.hidden_fields(&format!("{page}/rename"))[0].1.clone();
    let fields = [("csrf", token.as_str()), ("overlap", "0")];
    assert_eq!(alice.post(&format!("{page}/rotate"), &fields).await.status, 409);
}

async fn revoke(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (key, page) = make_key(&mut alice, &["read"]).await;
    let question = format!("{page}/revoke");
    let shown = alice.open(&question).await;
    assert!(shown.status == 200 && shown.html.contains("Revoke this key?"));
    assert_eq!(status(&app, &key).await, 200, "a question revokes nothing");
    let shown = alice.send_form(&shown, &question, &[]).await;
    assert_eq!((shown.status, shown.location()), (303, Some(KEYS)));
    assert_eq!(status(&app, &key).await, 401);
    let shown = alice.open(&page).await;
    assert!(
        shown.html.contains("Revoked")
            && !shown.html.contains("<form method=\"post\" action=\"/dashboard/settings")
    );
    assert_eq!(alice.open(&question).await.location(), Some(page.as_str()));
}

async fn another_merchants(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (key, page) = make_key(&mut alice, &["read"]).await;
    let mut bob = Browser::logged_in(&app, "bob").await;
    let token = bob.open(NEW_KEY).await.hidden_fields(NEW_KEY)[0].1.clone();
    for page in
        [page.as_str(), &format!("{KEYS}/nonsense"), &format!("{KEYS}/00000000-0000-0000-0000-000000000000")]
    {
        assert_eq!(bob.open(page).await.status, 404, "{page}");
        assert_eq!(bob.open(&format!("{page}/revoke")).await.status, 404, "{page}");
        for (what, field) in [
            ("rename", ("name", "x")),
            ("permissions", ("permissions", "read")),
            ("rotate", ("overlap", "0")),
            ("revoke", ("x", "")),
        ] {
            let shown = bob.post(&format!("{page}/{what}"), &[("csrf", &token), field]).await;
            assert_eq!(shown.status, 404, "{page} {what}");
        }
    }
    assert_eq!(status(&app, &key).await, 200);
}

async fn recent(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (key, page) = make_key(&mut alice, &["read", "create_payments"]).await;
    app.core.clock.advance(Duration::from_secs(15 * 60));
    for (form, what, field) in [
        (&page, "permissions", ("permissions", "read")),
        (&page, "rotate", ("overlap", "0")),
        (&format!("{page}/revoke"), "revoke", ("x", "")),
    ] {
        let shown = alice.submit(form, &format!("{page}/{what}"), &[field]).await;
        assert!(shown.html.contains("Your password again"), "{what}: {}", shown.html);
    }
    let verified = app.get("/api/auth/verify").bearer(&key).send().await;
    assert_eq!(verified.status, 200);
    assert_eq!(verified.json()["user"]["permissions"], serde_json::json!(["read", "create_payments"]));
    // A name opens nothing.
    assert_eq!(press(&mut alice, &page, "rename", &[("name", "x")]).await.status, 303);
}
