//! Webhooks from end to end: the program on one side, what merchants run on the other.

use cryptopay_testkit::{
    Backend, ReceivedDelivery, ReceiverKind, WebhookReceiver, eventually, on_both_databases,
};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::scripted_receiver::{Behaviour, ScriptedReceiver};
use crate::shop::{
    self, create_endpoint, create_order, create_order_with, rotate_secret, settled_deliveries, text,
};

on_both_databases! {
    a_paid_order_is_told_to_the_documented_receiver => paid_order;
    standard_webhooks_libraries_verify_the_same_event => same_event;
    a_rotation_loses_no_delivery => rotation;
    an_endpoint_that_is_gone_is_disabled_and_says_so => gone;
    nothing_is_sent_to_this_machine_unless_that_is_allowed => private_address;
}

async fn paid_order(backend: Backend) {
    let server = shop::installation(backend).await.serve().await;
    let key = shop::open(&server, "alice").await;
    let mut receiver = WebhookReceiver::start(ReceiverKind::Express);
    let endpoint = create_endpoint(&server, &key, &receiver.url()).await;
    receiver.trust(&endpoint.secret);

    let metadata = json!({
        "10": "ten", "9": "nine", "": "empty", "__proto__": "own", "\u{2028}": "\u{1}\u{7f}\"\\/", "crème": "🎟",
    });
    let order = create_order_with(&server, &key, &metadata).await;
    let created = receiver.next_delivery().await;
    check(&created, "payment_order.created", &order);
    assert_eq!(order["metadata"], metadata);

    let path = format!("/api/payment-orders/{}/simulate", text(&order["id"]));
    let paid = server.post(&path, &key, &json!({"status": "paid"})).await;
    assert_eq!(paid.verdict(), "200");
    check(&receiver.next_delivery().await, "payment_order.paid", &paid.json());

    let deliveries = settled_deliveries(&server, &key, &endpoint).await;
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        assert_eq!(delivery["status"], "succeeded");
        assert_eq!(delivery["next_attempt_at"], Value::Null);
        let attempts = delivery["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!((&attempts[0]["status_code"], &attempts[0]["response"]), (&json!(200), &json!("OK")));
    }

    let path = format!("/api/webhooks/{}/deliveries/{}/resend", endpoint.id, text(&deliveries[1]["id"]));
    assert_eq!(server.send("POST", &path, &key, None).await.verdict(), "202");
    let again = receiver.next_delivery().await;
    check(&again, "payment_order.created", &order);
    assert_eq!((&again.body, &again.headers["webhook-id"]), (&created.body, &created.headers["webhook-id"]));
    let deliveries = settled_deliveries(&server, &key, &endpoint).await;
    assert_eq!(deliveries[1]["attempts"].as_array().unwrap().len(), 2, "{deliveries:?}");

    let path = format!("/api/webhooks/{}/test", endpoint.id);
    assert_eq!(server.send("POST", &path, &key, None).await.verdict(), "202");
    let test = receiver.next_delivery().await;
    assert!(test.verified, "{test:?}");
    assert_eq!(event_of(&test)["type"], "webhook.test");
}

async fn same_event(backend: Backend) {
    let server = shop::installation(backend).await.serve().await;
    let key = shop::open(&server, "alice").await;
    let mut receivers = Vec::new();
    for kind in ReceiverKind::ALL {
        let mut receiver = WebhookReceiver::start(kind);
        let endpoint = create_endpoint(&server, &key, &receiver.url()).await;
        receiver.trust(&endpoint.secret);
        receivers.push(receiver);
    }
    let order = create_order_with(&server, &key, &json!({"7": "🎟", "a": "\u{2028}\n"})).await;
    let mut seen = Vec::new();
    for receiver in &mut receivers {
        let delivery = receiver.next_delivery().await;
        check(&delivery, "payment_order.created", &order);
        seen.push((delivery.body, delivery.headers["webhook-id"].clone()));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
}

async fn rotation(backend: Backend) {
    let installation = shop::installation(backend).await;
    let server = installation.serve().await;
    let key = shop::open(&server, "alice").await;
    for kind in ReceiverKind::ALL {
        let mut receiver = WebhookReceiver::start(kind);
        let endpoint = create_endpoint(&server, &key, &receiver.url()).await;
        receiver.trust(&endpoint.secret);
        let new = rotate_secret(&server, &key, &endpoint, 3600).await;

        let order = create_order(&server, &key).await;
        check(&receiver.next_delivery().await, "payment_order.created", &order);
        if kind != ReceiverKind::Express {
            // Both signatures are there, so a receiver changes over when it likes.
            receiver.trust(&new);
            let order = create_order(&server, &key).await;
            check(&receiver.next_delivery().await, "payment_order.created", &order);
        }

        // Without an overlap the receiver learns of it too late; the delivery is refused, and not lost.
        let newest = rotate_secret(&server, &key, &endpoint, 0).await;
        let order = create_order(&server, &key).await;
        let refused = receiver.next_delivery().await;
        assert!(!refused.verified && refused.status == 401, "{kind:?}: {refused:?}");
        receiver.trust(&newest);
        let path = format!("/api/webhooks/{}", endpoint.id);
        let log = format!("{path}/deliveries");
        eventually("the refusal is in the log", async || {
            let delivery = &server.get(&log, &key).await.json()["results"][0];
            delivery["attempts"][0]["status_code"] == 401
        })
        .await;
        installation.make_deliveries_due().await;
        // What was answered and not yet recorded just now is due again, too, and comes once more.
        let delivery = loop {
            let delivery = receiver.next_delivery().await;
            if event_of(&delivery)["data"] == order {
                break delivery;
            }
        };
        check(&delivery, "payment_order.created", &order);
        assert_eq!(delivery.body, refused.body, "{kind:?}");
        assert_eq!(server.send("DELETE", &path, &key, None).await.json()["status"], "deleted");
    }
}

async fn gone(backend: Backend) {
    let server = shop::installation(backend).await.serve().await;
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(410)).await;
    let endpoint = create_endpoint(&server, &key, &receiver.url()).await;
    let path = format!("/api/webhooks/{}", endpoint.id);
    create_order(&server, &key).await;
    eventually("it is disabled", async || server.get(&path, &key).await.json()["status"] == "disabled").await;
    assert_eq!(server.get(&path, &key).await.json()["disabled_reason"], "gone");

    let delivery = settled_deliveries(&server, &key, &endpoint).await.remove(0);
    assert_eq!(
        (&delivery["status"], &delivery["attempts"][0]["status_code"]),
        (&json!("failed"), &json!(410))
    );
    let resend = format!("{path}/deliveries/{}/resend", text(&delivery["id"]));
    assert_eq!(server.send("POST", &resend, &key, None).await.verdict(), "409 CONFLICT");

    receiver.behave(Behaviour::Answer(204));
    let enabled = server.send("PATCH", &path, &key, Some(&json!({"status": "enabled"}))).await.json();
    assert_eq!((&enabled["status"], &enabled["disabled_reason"]), (&json!("enabled"), &Value::Null));
    assert_eq!(server.send("POST", &resend, &key, None).await.verdict(), "202");
    let delivery = settled_deliveries(&server, &key, &endpoint).await.remove(0);
    assert_eq!(delivery["status"], "succeeded", "{delivery}");
    assert_eq!(receiver.received().len(), 2);
}

async fn private_address(backend: Backend) {
    let server = cryptopay_testkit::Installation::new(PROGRAM, backend).await.serve().await;
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(200)).await;
    let body = json!({"url": receiver.url(), "events": ["*"]});
    let refused = server.post("/api/webhooks", &key, &body).await;
    assert_eq!(refused.verdict(), "400 VALIDATION_ERROR");
    assert!(refused.json()["error"]["fields"]["url"].is_array(), "{refused:?}");
    assert_eq!(server.get("/api/webhooks", &key).await.json()["results"], json!([]));
}

fn check(delivery: &ReceivedDelivery, event_type: &str, order: &Value) {
    assert!(delivery.verified && delivery.status == 200, "{delivery:?}");
    let event = event_of(delivery);
    assert_eq!((&event["type"], &event["data"]), (&json!(event_type), order));
    assert_eq!(event["id"], *delivery.headers["webhook-id"]);
}

fn event_of(delivery: &ReceivedDelivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap()
}
