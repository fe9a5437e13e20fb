//! Payment orders over HTTP.

use std::time::Duration;

use cryptopay_http::HttpConfig;
use cryptopay_testkit::{Answer, Backend, TestApp, on_both_databases};
use serde_json::{Value, json};

use crate::objects::{event_bytes, everything, webhook_endpoint};
use crate::sandbox_error::production_core;

on_both_databases! {
    an_order_is_made_shown_listed_and_moved_on => life;
    an_order_is_told_back_as_it_was_given => echo;
    a_repeated_request_is_answered_byte_for_byte => replay;
    fifty_parallel_requests_of_one_key_make_one_order => parallel;
    a_key_belongs_to_one_body_of_one_merchant_for_a_day => scope;
    a_bad_idempotency_key_is_refused_and_makes_nothing => bad_keys;
    an_event_tells_of_the_order_what_its_answer_tells => event;
    production_knows_no_simulation => production;
}

const ORDERS: &str = "/api/payment-orders";

/// A merchant and her access token.
struct Shop {
    app: TestApp,
    access: String,
}

impl Shop {
    async fn open(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        app.core.register("alice").await;
        let access = app.core.login("alice").await.access.expose().to_owned();
        Self { app, access }
    }

    async fn make(&self, body: &Value) -> Answer {
        self.app.post(ORDERS, body).bearer(&self.access).send().await
    }

    async fn repeat(&self, key: &str, body: &str) -> Answer {
        let call = self.app.call("POST", ORDERS).bearer(&self.access).header("idempotency-key", key);
        call.header("content-type", "application/json").body(body).send().await
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.get(path).bearer(&self.access).send().await
    }

    async fn simulate(&self, id: &Value, status: &str) -> Answer {
        let path = format!("{ORDERS}/{}/simulate", id.as_str().unwrap());
        self.app.post(&path, &json!({"status": status})).bearer(&self.access).send().await
    }

    async fn count(&self) -> usize {
        self.get(&format!("{ORDERS}?limit=100")).await.json()["results"].as_array().unwrap().len()
    }
}

async fn life(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let answer = shop.make(&json!({"amount": "49.90", "currency": "USD"})).await;
        assert_eq!(answer.status, 201);
        made.push(answer.json());
    }
    let order = &made[0];
    assert_eq!(
        order,
        &json!({
            "id": order["id"], "amount": "49.90", "currency": "USD", "description": null, "metadata": {},
            "status": "pending", "created_at": "2026-01-02T12:00:00Z", "updated_at": "2026-01-02T12:00:00Z"})
    );
    for (order, status) in made.iter().zip(["paid", "expired", "failed"]) {
        let path = format!("{ORDERS}/{}", order["id"].as_str().unwrap());
        assert_eq!(&shop.get(&path).await.json(), order);
        shop.app.core.clock.advance(Duration::from_secs(60));
        let moved = shop.simulate(&order["id"], status).await;
        assert_eq!(moved.status, 200);
        let moved = moved.json();
        assert_eq!(shop.get(&path).await.json(), moved);
        assert_eq!((&moved["status"], &moved["created_at"]), (&json!(status), &order["created_at"]));
        assert_ne!(moved["updated_at"], order["updated_at"]);
        for again in ["paid", "expired", "failed"] {
            assert_eq!(shop.simulate(&order["id"], again).await.verdict(), "409 CONFLICT");
        }
        assert_eq!(shop.get(&path).await.json(), moved);
    }
    let list = shop.get(ORDERS).await.json();
    let listed: Vec<_> = list["results"].as_array().unwrap().iter().rev().map(|order| &order["id"]).collect();
    assert_eq!(listed, made.iter().map(|order| &order["id"]).collect::<Vec<_>>());

    // Another merchant has none of it.
    shop.app.core.register("bob").await;
    let bob = shop.app.core.login("bob").await.access;
    for id in [order["id"].as_str().unwrap(), "0193f1b2c3d4700089abcdef01234567", "x", "%00", "' OR 1=1 --"] {
        let get = shop.app.get(&format!("{ORDERS}/{id}")).bearer(bob.expose()).send().await;
        assert_eq!(get.verdict(), "404 NOT_FOUND", "{id}");
        let simulate = shop.app.post(&format!("{ORDERS}/{id}/simulate"), &json!({"status": "paid"}));
        assert_eq!(simulate.bearer(bob.expose()).send().await.verdict(), "404 NOT_FOUND", "{id}");
    }
    let empty = shop.app.get(ORDERS).bearer(bob.expose()).send().await.json();
    assert_eq!(empty["results"], json!([]));
}

async fn echo(backend: Backend) {
    let shop = Shop::open(backend).await;
    let longest = json!({
        "amount": "999999999999999999.000000000000000001", "currency": "USDT",
        "description": "\u{1f600}".repeat(500),
        "metadata": (0..50).map(|n| (format!("{n:\u{e4}>100}"), json!("\u{7f}".repeat(20))))
            .collect::<serde_json::Map<_, _>>()});
    let odd = json!({
        "amount": "0.10", "currency": "JPY", "description": "\u{1}\n\r\t\u{2028}\u{feff}\"\\/</script>",
        "metadata": {"": "", "__proto__": "constructor", "10": "ten", "9": "nine", "\u{1f600}": "\u{ffff}",
            "a\nb": "\u{1}\u{1f}", "v": "v".repeat(1000)}});
    for body in [longest, odd] {
        let answer = shop.make(&body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let order = answer.json();
        let shown = shop.get(&format!("{ORDERS}/{}", order["id"].as_str().unwrap())).await.json();
        assert_eq!(shown, order);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&order[name], value, "{name}");
        }
    }
}

async fn replay(backend: Backend) {
    let shop = Shop::open(backend).await;
    let first = shop
        .repeat("order 1042", r#"{"amount": "5", "currency": "USD", "metadata": {"a": "é", "b": ""}}"#)
        .await;
    assert_eq!(first.status, 201);
    assert_eq!(shop.simulate(&first.json()["id"], "paid").await.status, 200);
    for same in [
        r#"{"amount": "5", "currency": "USD", "metadata": {"a": "é", "b": ""}}"#,
        "{\n\t\"metadata\":{\"b\":\"\",\"a\":\"\\u00e9\"},\"currency\":\"USD\",\"\\u0061mount\":\"5\"}",
    ] {
        shop.app.core.clock.advance(Duration::from_secs(3600));
        let again = shop.repeat("order 1042", same).await;
        assert_eq!((again.status, &again.body), (201, &first.body), "{same}");
    }
    assert_eq!(shop.count().await, 1);
}

async fn parallel(backend: Backend) {
    let shop = Shop::open(backend).await;
    let body = r#"{"amount": "5", "currency": "USD"}"#;
    let requests = (0..50).map(|_| shop.repeat("once", body));
    let answers = futures_util::future::join_all(requests).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(shop.count().await, 1);
}

async fn scope(backend: Backend) {
    let shop = Shop::open(backend).await;
    let body = r#"{"amount": "5", "currency": "USD"}"#;
    let first = shop.repeat("k", body).await;
    for other in [
        r#"{"amount": "5.0", "currency": "USD"}"#,
        r#"{"amount": "5", "currency": "EUR"}"#,
        r#"{"amount": "5", "currency": "USD", "description": null}"#,
        r#"{"amount": "5", "currency": "USD", "metadata": {}}"#,
    ] {
        assert_eq!(shop.repeat("k", other).await.verdict(), "409 IDEMPOTENCY_CONFLICT", "{other}");
    }
    // A refusal is not kept: the corrected request goes through.
    assert_eq!(shop.repeat("later", r#"{"amount": 5, "currency": "USD"}"#).await.status, 400);
    assert_eq!(shop.repeat("later", body).await.status, 201);
    // Keys are what they are, to the letter.
    assert_ne!(shop.repeat("K", body).await.json()["id"], first.json()["id"]);

    shop.app.core.register("bob").await;
    let bob = shop.app.core.login("bob").await.access;
    let call = shop.app.call("POST", ORDERS).bearer(bob.expose()).header("idempotency-key", "k");
    let bobs = call.header("content-type", "application/json").body(body).send().await;
    assert_eq!(bobs.status, 201);
    assert_ne!(bobs.json()["id"], first.json()["id"]);

    shop.app.core.clock.advance(Duration::from_secs(86_400 - 60));
    let access = shop.app.core.login("alice").await.access.expose().to_owned();
    let shop = Shop { access, ..shop };
    assert_eq!(shop.repeat("k", body).await.body, first.body);
    shop.app.core.clock.advance(Duration::from_secs(61));
    let next = shop.repeat("k", body).await;
    assert_eq!(next.status, 201);
    assert_ne!(next.json()["id"], first.json()["id"], "a day has passed");
}

async fn bad_keys(backend: Backend) {
    let shop = Shop::open(backend).await;
    let body = r#"{"amount": "5", "currency": "USD"}"#;
    let long = "k".repeat(256);
    for key in ["", &long, "\u{e4}", "tab\there", "\u{1f600}"] {
        let answer = shop.repeat(key, body).await;
        assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{key}");
        assert_eq!(answer.fields(), ["Idempotency-Key"], "{key}");
    }
    let twice = shop.app.call("POST", ORDERS).bearer(&shop.access).json(&json!({"amount": "0"}));
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "a").send().await;
    assert_eq!(twice.fields(), ["Idempotency-Key", "amount", "currency"]);
    assert_eq!(shop.count().await, 0);
    for key in [" ~", &long[1..]] {
        assert_eq!(shop.repeat(key, body).await.status, 201, "{key}");
    }
}

async fn event(backend: Backend) {
    let shop = Shop::open(backend).await;
    let alice = shop.app.core.auth.authenticate(&shop.access).await.unwrap();
    let endpoint = webhook_endpoint(&shop.app, &alice).await;
    let body = json!({
        "amount": "49.90", "currency": "USD", "description": "\u{2028}",
        "metadata": {"2": "b", "1": "a", "__proto__": "", "z": "\u{1f600}"}});
    let made = shop.make(&body).await.json();
    let paid = shop.simulate(&made["id"], "paid").await.json();
    let deliveries = shop.app.payments.list_deliveries(&alice, endpoint, everything()).await.unwrap().items;
    assert_eq!(deliveries.len(), 2);
    for (delivery, (event_type, order)) in
        deliveries.iter().rev().zip([("payment_order.created", made), ("payment_order.paid", paid)])
    {
        let bytes = event_bytes(&shop.app, &alice, endpoint, delivery.id).await;
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&event["type"], &event["data"]), (&json!(event_type), &order));
    }
}

async fn production(backend: Backend) {
    let app = TestApp::serve(production_core(backend).await, HttpConfig::new(1));
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let order = app.post(ORDERS, &json!({"amount": "5", "currency": "USD"})).bearer(access.expose());
    let order = order.send().await.json();
    let id = order["id"].as_str().unwrap();
    // Exactly as if there were no such route, whoever asks in whatever way.
    for tail in ["simulate", "simulate/", "nothing"] {
        for call in [
            app.post(&format!("{ORDERS}/{id}/{tail}"), &json!({"status": "paid"})).bearer(access.expose()),
            app.post(&format!("{ORDERS}/{id}/{tail}"), &json!({"status": "paid"})),
            app.get(&format!("{ORDERS}/{id}/{tail}")),
            app.call("OPTIONS", &format!("{ORDERS}/{id}/{tail}")),
            app.post(&format!("{ORDERS}/x/{tail}"), &json!({})),
        ] {
            let answer = call.send().await;
            assert_eq!(answer.verdict(), "404 NOT_FOUND", "{tail}");
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(message, "There is no such route. /docs lists those that exist.", "{tail}");
        }
    }
    let shown = app.get(&format!("{ORDERS}/{id}")).bearer(access.expose()).send().await;
    assert_eq!(shown.json(), order);
}
