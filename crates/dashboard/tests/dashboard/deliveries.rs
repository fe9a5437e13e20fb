//! The log of an endpoint, one delivery, and sending again.

use std::time::Duration;

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_testkit::{
    Backend, Behaviour, Browser, TestApp, TestReceiver, on_both_databases, page_signature,
};

use crate::shop::{add_endpoint, link, make_order, newest_is, press};

on_both_databases! {
    a_test_is_shown_with_what_was_sent_and_what_came_back => test_event;
    a_delivery_is_sent_again_with_the_same_bytes => resend;
    a_delivery_that_failed_says_what_went_wrong => failed;
    the_log_goes_on_page_by_page_while_events_happen => log;
}

async fn test_event(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let receiver = TestReceiver::start().await;
    let (page, secret) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
    let sent = press(&mut alice, &page, "test").await;
    let delivery = sent.location().unwrap().to_owned();
    assert!(sent.status == 303 && delivery.starts_with(&format!("{page}/deliveries/")), "{delivery}");
    let shown = alice.open(&delivery).await;
    assert!(
        shown.html.contains("A test event is on its way") && shown.html.contains("data-live=\"pending\"")
    );
    assert!(shown.html.contains("Nothing yet.") && shown.html.contains("As it would be signed now"));
    let workers = app.payments.run_deliveries();
    let received = receiver.wait_for(1).await.remove(0);
    newest_is(&app, "alice", &page, DeliveryStatus::Succeeded).await;
    workers.stop().await;

    let shown = alice.open(&delivery).await;
    assert!(
        shown.html.contains("Delivered") && !shown.html.contains("data-live=\"pending\""),
        "{}",
        shown.html
    );
    assert_eq!(shown.text_of("body").as_bytes(), received.body, "byte for byte");
    let headers = shown.text_of("headers");
    let signature = page_signature(&secret, &received.body);
    assert_eq!(received.header("x-webhook-signature"), signature);
    for line in [
        format!("X-Webhook-Signature: {signature}"),
        format!("webhook-id: {}", received.header("webhook-id")),
        format!("webhook-timestamp: {}", received.header("webhook-timestamp")),
        format!("webhook-signature: {}", received.header("webhook-signature")),
        "Content-Type: application/json".to_owned(),
    ] {
        assert!(headers.lines().any(|known| known == line), "{line}: {headers}");
    }
    assert!(!shown.html.contains(&secret));
    assert!(shown.html.contains("answered 200</code>"), "what the receiver said: {}", shown.html);
    let endpoint = alice.open(&page).await;
    assert!(endpoint.html.contains(&delivery) && endpoint.html.contains("Delivered"), "{}", endpoint.html);
}

async fn resend(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let receiver = TestReceiver::start().await;
    let (page, _) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
    let workers = app.payments.run_deliveries();
    make_order(&app, "alice", None).await;
    newest_is(&app, "alice", &page, DeliveryStatus::Succeeded).await;
    let list = alice.open(&format!("{page}/deliveries")).await;
    assert!(list.html.contains("Order created") && list.html.contains("payment_order.created"));
    let delivery = link(&list, |path| path.contains("/deliveries/"));
    app.core.clock.advance(Duration::from_secs(1));
    let resent = press(&mut alice, &delivery, "resend").await;
    assert_eq!((resent.status, resent.location()), (303, Some(delivery.as_str())));
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    newest_is(&app, "alice", &page, DeliveryStatus::Succeeded).await;
    let shown = alice.open(&delivery).await;
    assert!(shown.html.contains("on its way again") && shown.html.contains("Attempt 2"), "{}", shown.html);
    workers.stop().await;
    press(&mut alice, &page, "disable").await;
    let shown = alice.open(&delivery).await;
    assert!(!shown.html.contains("Send again") && shown.html.contains("The endpoint is disabled."));
}

async fn failed(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(503)).await;
    let (page, _) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
    let workers = app.payments.run_deliveries();
    let delivery = press(&mut alice, &page, "test").await.location().unwrap().to_owned();
    receiver.wait_for(1).await;
    cryptopay_testkit::eventually("the attempt is told", async || {
        alice.open(&delivery).await.html.contains("Attempt 1")
    })
    .await;
    let shown = alice.open(&delivery).await;
    for words in ["Pending", "It is tried again", "Failure", "answered 503"] {
        assert!(shown.html.contains(words), "{words}: {}", shown.html);
    }
    workers.stop().await;
}

async fn log(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, "https://shop.example/hook").await;
    let mut sent = Vec::new();
    for _ in 0..22 {
        sent.push(press(&mut alice, &page, "test").await.location().unwrap().to_owned());
    }
    let path = format!("{page}/deliveries");
    let first = alice.open(&path).await;
    assert_eq!(sent.iter().filter(|delivery| first.html.contains(*delivery)).count(), 20);
    let older = link(&first, |path| path.contains("?older="));
    press(&mut alice, &page, "test").await;
    let second = alice.open(&older).await;
    let shown: Vec<_> = sent.iter().filter(|delivery| second.html.contains(*delivery)).collect();
    assert_eq!(shown, [&sent[0], &sent[1]], "what came meanwhile shifts nothing");
    let back = alice.open(&link(&second, |path| path.contains("?newer="))).await;
    assert!(back.html.contains(&sent[2]) && !back.html.contains(&sent[1]), "{}", back.html);
    let endpoint = alice.open(&page).await;
    assert!(endpoint.html.contains("All deliveries"));
    assert_eq!(endpoint.html.matches("data-live=\"pending\"").count(), 5);
    assert!(alice.open(&format!("{path}?older=nonsense")).await.html.contains(&sent[21]));
}
