//! How keys are used, on the overview and beside each key.

use std::time::Duration;

use cryptopay_domain::Permission::{ManageWebhooks, Read};
use cryptopay_testkit::{Backend, Browser, TestApp, context, on_both_databases};

const KEYS: &str = "/dashboard/settings/api-keys";

on_both_databases! {
    a_key_is_narrowed_to_what_it_was_used_for_with_one_click => narrow;
    a_key_that_was_used_otherwise_meanwhile_keeps_its_permissions => meanwhile;
    the_overview_draws_what_each_key_was_used_for => overview;
    during_a_rotation_the_old_key_says_who_still_calls => rotation;
}

async fn calls(app: &TestApp, key: &str, path: &str) -> u16 {
    app.get(path).bearer(key).send().await.status
}

/// A key of Alice's that reads and may manage webhooks, used for reading alone, old enough to tell.
async fn observed(app: &TestApp) -> (String, String) {
    let alice = app.core.principal("alice").await;
    let made = app.core.api_key(&alice, &[Read, ManageWebhooks], None).await;
    assert_eq!(calls(app, made.key.expose(), "/api/payment-orders").await, 200);
    app.core.clock.advance(Duration::from_secs(14 * 86_400));
    (made.key.expose().to_owned(), format!("{KEYS}/{}/narrow", made.details.id))
}

async fn logged_in(app: &TestApp) -> Browser {
    let mut browser = Browser::new(app);
    assert_eq!(browser.log_in("alice", cryptopay_testkit::PASSWORD).await.status, 303);
    browser
}

async fn narrow(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let (key, action) = observed(&app).await;
    let mut alice = logged_in(&app).await;
    let page = alice.open(KEYS).await;
    assert!(page.html.contains("No use in the last 90 days: Manage Webhooks."), "{}", page.html);
    let shown = alice.send_form(&page, &action, &[]).await;
    assert_eq!((shown.status, shown.location()), (303, Some(KEYS)), "{}", shown.html);
    let page = alice.open(KEYS).await;
    assert!(page.html.contains("fewer permissions now") && !page.html.contains("No use in"), "{}", page.html);
    assert_eq!(calls(&app, &key, "/api/auth/verify?permission=read").await, 200);
    assert_eq!(calls(&app, &key, "/api/auth/verify?permission=manage_webhooks").await, 403);

    let mut bob = Browser::logged_in(&app, "bob").await;
    let csrf = bob.open("/dashboard").await.hidden_fields("/dashboard/logout");
    let csrf = [(csrf[0].0.as_str(), csrf[0].1.as_str()), ("permissions", "read")];
    assert_eq!(bob.post(&action, &csrf).await.status, 404, "another merchant's key");
}

async fn meanwhile(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let (key, action) = observed(&app).await;
    let mut alice = logged_in(&app).await;
    let page = alice.open(KEYS).await;
    assert_eq!(calls(&app, &key, "/api/auth/verify?permission=manage_webhooks").await, 200);
    assert_eq!(alice.send_form(&page, &action, &[]).await.status, 409);
    assert_eq!(calls(&app, &key, "/api/auth/verify?permission=manage_webhooks").await, 200);
}

async fn overview(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let alice = app.core.principal("alice").await;
    let mut browser = logged_in(&app).await;
    assert!(!browser.open("/dashboard").await.html.contains("<svg"), "nothing to draw");
    let made = app.core.api_key(&alice, &[Read], None).await;
    for (path, status) in [("/api/payment-orders", 200), ("/api/webhooks", 200), ("/api/auth/me", 403)] {
        assert_eq!(calls(&app, made.key.expose(), path).await, status);
    }
    let page = browser.open("/dashboard").await;
    assert_eq!(page.html.matches("<svg").count(), 1);
    assert!(page.html.contains("3 requests, 1 refused"), "{}", page.html);
    assert!(page.html.contains("<th scope=\"row\">2026-01-02</th><td>3</td><td>1</td>"), "{}", page.html);
}

async fn rotation(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let alice = app.core.principal("alice").await;
    let made = app.core.api_key(&alice, &[Read], None).await;
    let day = Duration::from_secs(86_400);
    app.core.auth.rotate_api_key(&alice, made.details.id, day, &context()).await.unwrap();
    let mut browser = logged_in(&app).await;
    let page = browser.open(KEYS).await;
    assert_eq!(page.html.matches("Still calling with it").count(), 1);
    assert!(page.html.contains("0 requests today"), "{}", page.html);
    assert_eq!(calls(&app, made.key.expose(), "/api/payment-orders").await, 200);
    assert!(browser.open(KEYS).await.html.contains("1 request today"));
}
