//! Webhook endpoints and their deliveries over HTTP. Nothing is sent here: that is the workers' part.

use cryptopay_auth::Clock as _;
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_http::HttpConfig;
use cryptopay_testkit::{Answer, Backend, TestApp, on_both_databases, page_signature};
use serde_json::{Value, json};

use crate::objects::event_bytes;
use crate::sandbox_error::production_core;

on_both_databases! {
    an_endpoint_is_made_shown_changed_and_deleted => life;
    a_secret_is_seen_at_creation_and_rotation_alone => secrets;
    twenty_endpoints_are_enough => limit;
    a_merchant_is_told_why_an_endpoint_is_disabled => disabled;
    events_are_delivered_to_those_who_want_them => filters;
    a_test_and_a_resend_are_new_attempts => sending;
    nobody_reaches_the_deliveries_of_another => strangers;
    the_doctor_names_the_mistake => doctor;
    production_has_no_doctor => production;
}

const WEBHOOKS: &str = "/api/webhooks";

/// A merchant and her access token.
struct Shop {
    app: TestApp,
    access: String,
}

impl Shop {
    async fn open(backend: Backend) -> Self {
        Self::over(TestApp::start(backend).await).await
    }

    async fn over(app: TestApp) -> Self {
        app.core.register("alice").await;
        let access = app.core.login("alice").await.access.expose().to_owned();
        Self { app, access }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let call = self.app.call(method, path).bearer(&self.access);
        let call = if body.is_null() { call } else { call.json(&body) };
        call.send().await
    }

    /// Makes an endpoint for these events, and gives its path.
    async fn endpoint(&self, events: Value) -> (String, Value) {
        let body = json!({"url": "https://shop.example/hook", "events": events});
        let answer = self.call("POST", WEBHOOKS, body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let made = answer.json();
        (format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap()), made)
    }

    async fn order(&self) -> Value {
        let order = json!({"amount": "5", "currency": "USD"});
        self.call("POST", "/api/payment-orders", order).await.json()
    }

    /// The types of what an endpoint is sent, oldest first.
    async fn sent(&self, endpoint: &str) -> Vec<String> {
        let list = self.call("GET", &format!("{endpoint}/deliveries"), Value::Null).await.json();
        let types = list["results"].as_array().unwrap().iter().rev();
        types.map(|delivery| delivery["event_type"].as_str().unwrap().to_owned()).collect()
    }
}

fn without_secret(mut endpoint: Value) -> Value {
    endpoint.as_object_mut().unwrap().remove("secret").unwrap();
    endpoint
}

async fn life(backend: Backend) {
    let shop = Shop::open(backend).await;
    let body = json!({
        "url": "https://shop.example/hook", "events": ["payment_order.paid", "payment_order.created"],
        "description": "till\u{1}"});
    let made = shop.call("POST", WEBHOOKS, body).await.json();
    let mut endpoint = json!({
        "id": made["id"], "url": "https://shop.example/hook", "description": "till\u{1}",
        "events": ["payment_order.created", "payment_order.paid"], "status": "enabled",
        "disabled_reason": null, "created_at": "2026-01-02T12:00:00Z"});
    assert_eq!(without_secret(made), endpoint);
    let path = format!("{WEBHOOKS}/{}", endpoint["id"].as_str().unwrap());
    assert_eq!(shop.call("GET", &path, Value::Null).await.json(), endpoint);
    assert_eq!(shop.call("GET", WEBHOOKS, Value::Null).await.json()["results"], json!([endpoint]));

    for change in [
        json!({"url": "https://shop.example/other"}),
        json!({"events": ["*"]}),
        json!({"description": null}),
        json!({"description": "office", "events": ["webhook.test"]}),
        json!({"status": "disabled"}),
        json!({"status": "disabled"}),
        json!({"status": "enabled"}),
    ] {
        let changed = shop.call("PATCH", &path, change.clone()).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        for (name, value) in change.as_object().unwrap() {
            endpoint[name] = value.clone();
        }
        endpoint["disabled_reason"] =
            if endpoint["status"] == "disabled" { json!("by_merchant") } else { Value::Null };
        assert_eq!(changed.json(), endpoint);
        assert_eq!(shop.call("GET", &path, Value::Null).await.json(), endpoint);
    }
    for (empty, fields) in
        [(json!({}), vec!["description", "events", "status", "url"]), (json!({"events": []}), vec!["events"])]
    {
        let answer = shop.call("PATCH", &path, empty).await;
        assert_eq!(
            (answer.verdict().as_str(), answer.fields()),
            ("400 VALIDATION_ERROR", fields.iter().map(ToString::to_string).collect())
        );
    }

    let deleted = shop.call("DELETE", &path, Value::Null).await;
    endpoint["status"] = json!("deleted");
    assert_eq!((deleted.status, deleted.json()), (200, endpoint));
    for (method, tail, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", json!({"description": null})),
        ("PATCH", "", json!({"url": "https://127.0.0.1/"})),
        ("DELETE", "", Value::Null),
        ("POST", "/rotate-secret", Value::Null),
        ("POST", "/test", Value::Null),
        ("GET", "/deliveries", Value::Null),
    ] {
        let answer = shop.call(method, &format!("{path}{tail}"), body).await;
        assert_eq!(answer.verdict(), "404 NOT_FOUND", "{method} {tail}");
    }
    assert_eq!(shop.call("GET", WEBHOOKS, Value::Null).await.json()["results"], json!([]));
}

async fn secrets(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (path, made) = shop.endpoint(json!(["*"])).await;
    let mut seen = vec![made["secret"].as_str().unwrap().to_owned()];
    for body in [Value::Null, json!({}), json!({"overlap_seconds": 0}), json!({"overlap_seconds": 604_800})] {
        let rotated = shop.call("POST", &format!("{path}/rotate-secret"), body).await;
        assert_eq!((rotated.status, rotated.header("cache-control")), (200, Some("no-store")));
        let rotated = rotated.json();
        let secret = rotated["secret"].as_str().unwrap().to_owned();
        assert!(!seen.contains(&secret));
        seen.push(secret);
        assert_eq!(without_secret(rotated), without_secret(made.clone()));
    }
    for bad in ["604801", "-1", "0.5", "1.0", "1e1", "\"60\"", "null", "9223372036854775808"] {
        let call = shop.app.call("POST", &format!("{path}/rotate-secret")).bearer(&shop.access);
        let call = call.header("content-type", "application/json");
        let answer = call.body(format!(r#"{{"overlap_seconds": {bad}}}"#)).send().await;
        assert_eq!(answer.fields(), ["overlap_seconds"], "{bad}");
    }
    shop.call("POST", &format!("{path}/test"), Value::Null).await;
    for (method, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("GET", WEBHOOKS.to_owned(), Value::Null),
        ("GET", format!("{path}/deliveries"), Value::Null),
        ("PATCH", path.clone(), json!({"description": "d"})),
        ("DELETE", path.clone(), Value::Null),
    ] {
        let told = String::from_utf8(shop.call(method, &path, body).await.body).unwrap();
        assert!(!told.contains("secret") && !told.contains("whsec_"), "{told}");
    }
}

async fn limit(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut last = String::new();
    for _ in 0..20 {
        last = shop.endpoint(json!(["*"])).await.0;
    }
    let body = json!({"url": "https://shop.example", "events": ["*"]});
    assert_eq!(shop.call("POST", WEBHOOKS, body.clone()).await.verdict(), "409 CONFLICT");
    // A URL that cannot be is told first; a disabled endpoint counts, too.
    assert_eq!(
        shop.call("POST", WEBHOOKS, json!({"url": "https://[::1]", "events": ["*"]})).await.status,
        400
    );
    assert_eq!(shop.call("PATCH", &last, json!({"status": "disabled"})).await.status, 200);
    assert_eq!(shop.call("POST", WEBHOOKS, body.clone()).await.verdict(), "409 CONFLICT");
    assert_eq!(shop.call("DELETE", &last, Value::Null).await.status, 200);
    assert_eq!(shop.call("POST", WEBHOOKS, body).await.status, 201);
}

async fn disabled(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (path, made) = shop.endpoint(json!(["*"])).await;
    let alice = shop.app.core.auth.authenticate(&shop.access).await.unwrap();
    let id = made["id"].as_str().unwrap().parse().unwrap();
    for (reason, told) in [(DisabledReason::Gone, "gone"), (DisabledReason::Failing, "failing")] {
        let disable = move |mut endpoint: cryptopay_domain::WebhookEndpoint| {
            endpoint.status = EndpointStatus::Disabled(reason);
            Ok::<_, std::convert::Infallible>((endpoint, Vec::new()))
        };
        let store = shop.app.core.auth.store();
        let now = shop.app.core.clock.now();
        store.change_webhook_endpoint(alice.user_id, id, now, disable).await.unwrap();
        for endpoint in [
            shop.call("GET", &path, Value::Null).await.json(),
            shop.call("GET", WEBHOOKS, Value::Null).await.json()["results"][0].clone(),
            // That its merchant wants it so as well is no news.
            shop.call("PATCH", &path, json!({"status": "disabled"})).await.json(),
        ] {
            assert_eq!(
                (&endpoint["status"], &endpoint["disabled_reason"]),
                (&json!("disabled"), &json!(told))
            );
        }
        let test = shop.call("POST", &format!("{path}/test"), Value::Null).await;
        assert_eq!(test.verdict(), "409 CONFLICT");
        let back = shop.call("PATCH", &path, json!({"status": "enabled"})).await.json();
        assert_eq!((&back["status"], &back["disabled_reason"]), (&json!("enabled"), &Value::Null));
    }
}

async fn filters(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (all, _) = shop.endpoint(json!(["*"])).await;
    let (paid, _) = shop.endpoint(json!(["payment_order.paid", "payment_order.failed"])).await;
    let (off, _) = shop.endpoint(json!(["*"])).await;
    shop.call("PATCH", &off, json!({"status": "disabled"})).await;
    for status in ["paid", "expired", "failed"] {
        let order = shop.order().await;
        let path = format!("/api/payment-orders/{}/simulate", order["id"].as_str().unwrap());
        assert_eq!(shop.call("POST", &path, json!({"status": status})).await.status, 200);
        assert_eq!(shop.call("POST", &path, json!({"status": status})).await.status, 409);
    }
    shop.call("POST", &format!("{paid}/test"), Value::Null).await;
    let (made, name) = ("payment_order.created", |status: &str| format!("payment_order.{status}"));
    let [was_paid, expired, failed] = ["paid", "expired", "failed"].map(name);
    assert_eq!(shop.sent(&all).await, [made, &was_paid, made, &expired, made, &failed]);
    assert_eq!(shop.sent(&paid).await, [was_paid.as_str(), &failed, "webhook.test"]);
    assert_eq!(shop.sent(&off).await, [""; 0]);
}

async fn sending(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (path, _) = shop.endpoint(json!(["payment_order.paid"])).await;
    let deliveries = format!("{path}/deliveries");
    let tested = shop.call("POST", &format!("{path}/test"), json!({})).await;
    assert_eq!(tested.status, 202);
    let delivery = tested.json();
    assert_eq!(
        delivery,
        json!({
            "id": delivery["id"], "event_id": delivery["event_id"], "event_type": "webhook.test",
            "status": "pending", "attempts": [], "next_attempt_at": "2026-01-02T12:00:00Z",
            "created_at": "2026-01-02T12:00:00Z"})
    );
    assert_ne!(delivery["id"], delivery["event_id"]);
    assert_eq!(shop.call("GET", &deliveries, Value::Null).await.json()["results"], json!([delivery]));

    let again = format!("{deliveries}/{}/resend", delivery["id"].as_str().unwrap());
    shop.app.core.clock.advance(std::time::Duration::from_secs(60));
    let resent = shop.call("POST", &again, Value::Null).await;
    let mut expected = delivery.clone();
    expected["next_attempt_at"] = json!("2026-01-02T12:01:00Z");
    assert_eq!((resent.status, resent.json()), (202, expected));
    for (id, tail) in [("0193f1b2c3d4700089abcdef01234567", "resend"), ("x", "resend"), ("%00", "resend")] {
        let answer = shop.call("POST", &format!("{deliveries}/{id}/{tail}"), Value::Null).await;
        assert_eq!(answer.verdict(), "404 NOT_FOUND", "{id}");
    }

    shop.call("PATCH", &path, json!({"status": "disabled"})).await;
    let given_up = shop.call("GET", &deliveries, Value::Null).await.json()["results"][0].clone();
    assert_eq!((&given_up["status"], &given_up["next_attempt_at"]), (&json!("failed"), &Value::Null));
    assert_eq!(shop.call("POST", &again, Value::Null).await.verdict(), "409 CONFLICT");
    let absent = format!("{deliveries}/0193f1b2c3d4700089abcdef01234567/resend");
    assert_eq!(shop.call("POST", &absent, Value::Null).await.verdict(), "404 NOT_FOUND");
    shop.call("PATCH", &path, json!({"status": "enabled"})).await;
    assert_eq!(shop.call("POST", &again, Value::Null).await.json()["status"], "pending");
}

async fn strangers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (path, _) = shop.endpoint(json!(["*"])).await;
    let (sibling, _) = shop.endpoint(json!(["payment_order.paid"])).await;
    let delivery = shop.call("POST", &format!("{path}/test"), Value::Null).await.json();
    let id = delivery["id"].as_str().unwrap();
    shop.app.core.register("bob").await;
    let bob = shop.app.core.login("bob").await.access;
    let body = json!({"url": "https://bob.example", "events": ["*"]});
    let bobs = shop.app.post(WEBHOOKS, &body).bearer(bob.expose()).send().await.json();
    let bobs = format!("{WEBHOOKS}/{}", bobs["id"].as_str().unwrap());
    let before = (shop.app.audit_events().await, shop.sent(&path).await);
    for (by, endpoint) in [(bob.expose(), &path), (bob.expose(), &bobs), (shop.access.as_str(), &sibling)] {
        for (tail, body) in [("resend", json!({})), ("diagnose", json!({"signature": "x"}))] {
            let call = shop.app.post(&format!("{endpoint}/deliveries/{id}/{tail}"), &body).bearer(by);
            assert_eq!(call.send().await.verdict(), "404 NOT_FOUND", "{endpoint} {tail}");
        }
    }
    let list = shop.app.get(&format!("{path}/deliveries")).bearer(bob.expose()).send().await;
    assert_eq!(list.verdict(), "404 NOT_FOUND");
    assert_eq!((shop.app.audit_events().await, shop.sent(&path).await), before);
    let log = shop.call("GET", &format!("{path}/deliveries"), Value::Null).await.json();
    assert_eq!(log["results"], json!([delivery]), "nothing was sent");
}

async fn doctor(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (path, made) = shop.endpoint(json!(["*"])).await;
    let delivery = shop.call("POST", &format!("{path}/test"), Value::Null).await.json();
    let id = delivery["id"].as_str().unwrap();
    let alice = shop.app.core.auth.authenticate(&shop.access).await.unwrap();
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    let body = event_bytes(&shop.app, &alice, endpoint, id.parse().unwrap()).await;
    let secret = made["secret"].as_str().unwrap();
    let right = page_signature(secret, &body);
    let newline = page_signature(secret, &[&body[..], b"\n"].concat());
    let diagnose = async |signature: String| {
        let path = format!("{path}/deliveries/{id}/diagnose");
        let answer = shop.call("POST", &path, json!({"signature": signature})).await;
        assert_eq!(answer.status, 200);
        let diagnosis = answer.json();
        assert!(!diagnosis["summary"].as_str().unwrap().is_empty());
        let codes = diagnosis["findings"].as_array().unwrap().iter().map(|finding| finding["code"].clone());
        (diagnosis["verdict"].clone(), codes.collect::<Vec<_>>())
    };
    for (signature, verdict, findings) in [
        (right.clone(), "correct", vec![]),
        (format!("sha256={right}"), "explained", vec!["prefixed"]),
        (newline, "explained", vec!["newline_added"]),
        ("0".repeat(64), "unknown", vec![]),
        ("\u{1f600}".repeat(500), "not_a_signature", vec![]),
        (String::new(), "not_a_signature", vec![]),
    ] {
        let findings = findings.into_iter().map(Value::from).collect();
        assert_eq!(diagnose(signature.clone()).await, (json!(verdict), findings), "{signature}");
    }
    shop.call("POST", &format!("{path}/rotate-secret"), json!({"overlap_seconds": 60})).await;
    assert_eq!(diagnose(right.clone()).await.0, "correct", "the old secret signs during the overlap");
    shop.app.core.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(diagnose(right.clone()).await, (json!("explained"), vec![json!("old_secret")]));
}

async fn production(backend: Backend) {
    let shop = Shop::over(TestApp::serve(production_core(backend).await, HttpConfig::new(1))).await;
    let (path, _) = shop.endpoint(json!(["*"])).await;
    let delivery = shop.call("POST", &format!("{path}/test"), Value::Null).await.json();
    let id = delivery["id"].as_str().unwrap();
    for tail in ["diagnose", "nothing"] {
        let answer =
            shop.call("POST", &format!("{path}/deliveries/{id}/{tail}"), json!({"signature": "x"})).await;
        assert_eq!(answer.verdict(), "404 NOT_FOUND");
        assert!(answer.json()["error"]["message"].as_str().unwrap().starts_with("There is no such route."));
    }
}
