//! The first page.

use std::time::Duration;

use cryptopay_auth::Clock as _;
use cryptopay_domain::Permission;
use cryptopay_testkit::{Backend, Browser, TestApp, on_both_databases};

on_both_databases! {
    a_new_merchant_is_told_what_to_do_first => first_steps;
    keys_that_end_within_a_fortnight_are_named_soonest_first => ending;
}

async fn first_steps(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let shown = alice.open("/dashboard").await;
    assert!(shown.html.contains("First steps") && !shown.html.contains("Done"), "{}", shown.html);
    let access = app.core.login("alice").await.access;
    let principal = app.core.auth.authenticate(access.expose()).await.unwrap();
    let key = app.core.api_key(&principal, &[Permission::Read], None).await;
    assert_eq!(alice.open("/dashboard").await.html.matches("Done").count(), 1);
    assert_eq!(app.get("/api/auth/verify").bearer(key.key.expose()).send().await.status, 200);
    assert_eq!(alice.open("/dashboard").await.html.matches("Done").count(), 2);
}

async fn ending(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let access = app.core.login("alice").await.access;
    let principal = app.core.auth.authenticate(access.expose()).await.unwrap();
    let day = Duration::from_secs(86_400);
    let mut prefixes = Vec::new();
    for days in [13, 15, 2] {
        let end = Some(app.core.clock.now().after(days * day));
        prefixes.push(app.core.api_key(&principal, &[Permission::Read], end).await.details.prefix);
    }
    let shown = alice.open("/dashboard").await;
    let at = |prefix: &String| shown.html.find(prefix.as_str());
    assert!(at(&prefixes[2]) < at(&prefixes[0]) && at(&prefixes[2]).is_some(), "{}", shown.html);
    assert_eq!(at(&prefixes[1]), None);
}
