//! Payment orders: the list, one of them, and what the sandbox lets become of it.

use cryptopay_auth::AuthConfig;
use cryptopay_dashboard::Transport;
use cryptopay_domain::Environment;
use cryptopay_testkit::{
    Backend, Browser, PASSWORD, TestApp, TestAuth, TestReceiver, on_both_databases, test_config,
};

use crate::shop::{ORDERS, add_endpoint, link, make_order, make_order_with};

on_both_databases! {
    a_merchant_without_orders_is_told_how_to_make_one => first;
    orders_are_listed_page_by_page_while_more_are_made => list;
    an_order_shows_what_happened_and_who_was_told => told;
    a_pending_order_is_let_be_paid_expire_or_fail_once => simulate;
    production_shows_no_simulation_and_has_none => production;
}

async fn first(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let shown = alice.open(ORDERS).await;
    let command = shown.text_of("curl");
    assert!(
        command.contains(&format!("curl -X POST http://{}/api/payment-orders", app.address())),
        "{command}"
    );
    let body = command.split("-d '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    let access = app.core.login("alice").await.access;
    let body = serde_json::from_str(body).unwrap();
    let made = app.post("/api/payment-orders", &body).bearer(access.expose()).send().await;
    assert_eq!(made.status, 201, "what is printed works");
    let shown = alice.open(ORDERS).await;
    assert!(shown.html.contains("49.90 USD") && !shown.html.contains("YOUR_API_KEY"), "{}", shown.html);
}

async fn list(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut made = Vec::new();
    for number in 0..22 {
        made.push(make_order(&app, "alice", Some(&format!("order number {number}."))).await);
    }
    let first = alice.open(ORDERS).await;
    assert!(first.html.contains(&made[21]) && first.html.contains("order number 21."), "{}", first.html);
    assert!(!first.html.contains(&made[1]));
    make_order(&app, "alice", None).await;
    let second = alice.open(&link(&first, |path| path.contains("?older="))).await;
    let shown: Vec<_> = made.iter().filter(|order| second.html.contains(*order)).collect();
    assert_eq!(shown, [&made[0], &made[1]], "what came meanwhile shifts nothing");
    let back = alice.open(&link(&second, |path| path.contains("?newer="))).await;
    assert!(back.html.contains(&made[2]), "{}", back.html);
    let mut bob = Browser::logged_in(&app, "bob").await;
    assert!(!bob.open(&link(&first, |path| path.contains("?older="))).await.html.contains("order number"));
}

async fn told(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let nobody_told = make_order(&app, "alice", None).await;
    assert!(alice.open(&nobody_told).await.html.contains("No webhook endpoint is told of it."));
    let receiver = TestReceiver::start().await;
    let (endpoint, _) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
    let metadata = vec![("cart".to_owned(), "000117\nx".to_owned())];
    let order = make_order_with(&app, "alice", Some("two\ncoffees"), metadata).await;
    make_order(&app, "alice", None).await;
    let shown = alice.open(&order).await;
    for words in ["49.90 USD", "two\ncoffees", "<dt>cart</dt><dd>000117\nx</dd>", "Order created"] {
        assert!(shown.html.contains(words), "{words}: {}", shown.html);
    }
    let is_delivery = |path: &str| path.starts_with(&format!("{endpoint}/deliveries/"));
    assert_eq!(shown.html.matches(&format!("{endpoint}/deliveries/")).count(), 1, "of this order alone");
    let delivery = alice.open(&link(&shown, is_delivery)).await;
    let id = order.rsplit('/').next().unwrap();
    assert!(delivery.text_of("body").contains(id), "{}", delivery.html);
    let fields = [("status", "paid")];
    assert_eq!(alice.submit(&order, &format!("{order}/simulate"), &fields).await.status, 303);
    let shown = alice.open(&order).await;
    assert!(shown.html.find("Order paid") < shown.html.find("Order created"), "newest first");
    assert_eq!(shown.html.matches(&format!("{endpoint}/deliveries/")).count(), 2, "{}", shown.html);
}

async fn simulate(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for (status, label) in [("paid", "Paid"), ("expired", "Expired"), ("failed", "Failed")] {
        let order = make_order(&app, "alice", None).await;
        let action = format!("{order}/simulate");
        let page = alice.open(&order).await;
        let wrong = alice.send_form(&page, &action, &[("status", "pending")]).await;
        assert_eq!(wrong.status, 400);
        let shown = alice.send_form(&page, &action, &[("status", status)]).await;
        assert_eq!((shown.status, shown.location()), (303, Some(order.as_str())), "{status}");
        let shown = alice.open(&order).await;
        assert!(shown.html.contains(&format!(">{label}</span>")) && shown.html.contains("has moved on"));
        assert!(!shown.html.contains("Let it"), "it has moved on already");
        let again = alice.send_form(&page, &action, &[("status", "paid")]).await;
        assert!(again.status == 409 && again.html.contains("no longer pending"), "{}", again.html);
        assert!(alice.open(&order).await.html.contains(&format!(">{label}</span>")));
    }
}

async fn production(backend: Backend) {
    let mut config = AuthConfig::new(Environment::Production, "https://pay.example.com".to_owned());
    config.hasher = test_config().hasher;
    let app = TestApp::with_dashboard(TestAuth::start_with(backend, config).await, Transport::Https);
    app.core.register("alice").await;
    let mut alice = Browser::new(&app);
    alice.insist_on("origin", "https://pay.example.com");
    assert_eq!(alice.log_in("alice", PASSWORD).await.status, 303);
    let order = make_order(&app, "alice", None).await;
    let page = alice.open(&order).await;
    assert!(page.status == 200 && !page.html.contains("Simulate"), "{}", page.html);
    let csrf = page.hidden_fields("/dashboard/logout")[0].1.clone();
    let fields = [("csrf", csrf.as_str()), ("status", "paid")];
    assert_eq!(alice.post(&format!("{order}/simulate"), &fields).await.status, 404);
    assert!(alice.open(&order).await.html.contains("Pending"));
}
