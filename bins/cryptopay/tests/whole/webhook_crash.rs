//! `kill -9` between the commit of an order and the delivery of its event.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cryptopay_testkit::{Backend, Server, client, eventually, on_both_databases};
use serde_json::json;
use tokio::task::JoinSet;

use crate::scripted_receiver::{Behaviour, Fate, ScriptedReceiver};
use crate::shop::{self, create_endpoint, create_order, text};

/// Orders that are made.
const ORDERS: usize = 40;
/// How many of them are answered before the server is killed in the midst of the others.
const BEFORE_THE_KILL: usize = 12;

on_both_databases! {
    events_outlive_a_kill_while_their_receiver_hangs => hanging;
    events_outlive_a_kill_while_their_receiver_is_down => down;
    an_idempotent_order_is_made_and_told_once_across_a_kill => idempotent;
}

async fn hanging(backend: Backend) {
    let installation = shop::installation(backend).await;
    let server = installation.serve().await;
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Hang).await;
    create_endpoint(&server, &key, &receiver.url()).await;
    let mut orders = Vec::new();
    for _ in 0..ORDERS {
        orders.push(text(&create_order(&server, &key).await["id"]));
    }
    eventually("a delivery is under way", async || !receiver.hanging().is_empty()).await;
    server.kill().await;
    eventually("its sender is gone", async || receiver.hanging().is_empty()).await;
    assert!(receiver.received().iter().all(|request| request.fate == Fate::Abandoned));

    receiver.behave(Behaviour::Answer(200));
    installation.make_deliveries_due().await;
    let _server = installation.serve().await;
    let answered = receiver.answered_orders(ORDERS).await;
    assert_eq!(answered, orders.into_iter().collect());
}

async fn down(backend: Backend) {
    let installation = shop::installation(backend).await;
    let server = installation.serve().await;
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(200)).await;
    let address = receiver.address();
    create_endpoint(&server, &key, &receiver.url()).await;
    receiver.stop().await;
    let order = text(&create_order(&server, &key).await["id"]);
    server.kill().await;

    let receiver = ScriptedReceiver::start_at(address, Behaviour::Answer(200)).await;
    installation.make_deliveries_due().await;
    let _server = installation.serve().await;
    assert_eq!(receiver.answered_orders(1).await, [order].into());
}

async fn idempotent(backend: Backend) {
    let installation = shop::installation(backend).await;
    let server = Arc::new(installation.serve().await);
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(200)).await;
    create_endpoint(&server, &key, &receiver.url()).await;

    let answered = Arc::new(AtomicUsize::new(0));
    let mut requests = JoinSet::new();
    for number in 0..ORDERS {
        let (server, key, answered) = (Arc::clone(&server), key.clone(), Arc::clone(&answered));
        requests.spawn(async move {
            let answer = create_idempotent(&server, &key, number).await.ok()?;
            answered.fetch_add(1, Ordering::Relaxed);
            Some((number, answer))
        });
    }
    eventually("some orders are made", async || answered.load(Ordering::Relaxed) >= BEFORE_THE_KILL).await;
    server.signal(rustix::process::Signal::KILL);
    let acknowledged: Vec<_> = requests.join_all().await.into_iter().flatten().collect();
    Arc::into_inner(server).expect("nobody else has it").finished().await;

    installation.make_deliveries_due().await;
    let server = installation.serve().await;
    for (number, answer) in acknowledged {
        let again = create_idempotent(&server, &key, number).await.unwrap();
        assert_eq!(again, answer, "the first answer, byte for byte");
    }
    for number in 0..ORDERS {
        create_idempotent(&server, &key, number).await.unwrap();
    }
    let orders = server.get("/api/payment-orders?limit=100", &key).await.json();
    let orders: Vec<_> =
        orders["results"].as_array().unwrap().iter().map(|order| text(&order["id"])).collect();
    assert_eq!(orders.len(), ORDERS);
    assert_eq!(receiver.answered_orders(ORDERS).await, orders.into_iter().collect());
}

/// Makes an order under an idempotency key of its own; a 201's body.
async fn create_idempotent(
    server: &Server,
    key: &str,
    number: usize,
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let request = client()
        .post(format!("http://{}/api/payment-orders", server.address()))
        .bearer_auth(key)
        .header("Idempotency-Key", format!("order-{number}"))
        .json(&json!({"amount": "1.00", "currency": "EUR", "metadata": {"number": number.to_string()}}));
    let response = request.send().await?;
    let status = response.status().as_u16();
    let body = response.bytes().await?.to_vec();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    Ok(body)
}
