//! Moving orders on in the sandbox.

use cryptopay_auth::AuthConfig;
use cryptopay_domain::payment_order::{OrderStatus, SimulatedOutcome};
use cryptopay_domain::{Environment, PaymentOrderId};
use cryptopay_payments::SimulateRejection;
use cryptopay_testkit::{Backend, TestAuth, TestNames, TestReceiver, on_both_databases, test_config};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{SECOND, Shop, json, new_order, open_payments, rejection, render};

on_both_databases! {
    a_simulated_order_moves_on_and_its_endpoints_are_told => moves_on;
    an_order_moves_on_once_however_many_ask => once;
    another_merchants_order_does_not_move => another_merchants;
    production_has_no_simulation => production;
}

fn id_of(order: &Value) -> PaymentOrderId {
    order["id"].as_str().unwrap().parse().unwrap()
}

async fn moves_on(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let heard = ["payment_order.paid", "payment_order.expired", "payment_order.failed"];
    shop.endpoint_hearing(&receiver, &heard).await;
    let workers = shop.payments.run_deliveries();
    for (number, outcome) in SimulatedOutcome::ALL.into_iter().enumerate() {
        let order = shop.order().await;
        shop.core.clock.advance(SECOND);
        let moved = shop.payments.simulate(&shop.alice, id_of(&order), outcome).await.unwrap();
        assert_eq!(moved.status, outcome.status());
        assert_eq!(moved.updated_at, moved.created_at.after(SECOND));
        assert_eq!(shop.payments.get_order(&shop.alice, moved.id).await.unwrap(), moved);
        let event = json(&receiver.wait_for(number + 1).await[number]);
        assert_eq!(event["type"], outcome.event_type().as_str());
        assert_eq!(event["data"], serde_json::from_slice::<Value>(&render(&moved)).unwrap());
    }
    workers.stop().await;
}

async fn once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint_hearing(&receiver, &["payment_order.paid"]).await.endpoint;
    let id = id_of(&shop.order().await);
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        let (payments, alice) = (shop.payments.clone(), shop.alice.clone());
        requests.spawn(async move { payments.simulate(&alice, id, SimulatedOutcome::Paid).await });
    }
    let (moved, refused): (Vec<_>, Vec<_>) =
        requests.join_all().await.into_iter().partition(std::result::Result::is_ok);
    assert_eq!((moved.len(), refused.len()), (1, 9));
    for outcome in refused {
        assert_eq!(rejection(outcome), SimulateRejection::NotPending(OrderStatus::Paid));
    }
    assert_eq!(shop.deliveries(endpoint.id).await.len(), 1);
}

async fn another_merchants(backend: Backend) {
    let shop = Shop::open(backend).await;
    let bob = shop.core.principal("bob").await;
    let id = id_of(&shop.order().await);
    let outcome = shop.payments.simulate(&bob, id, SimulatedOutcome::Paid).await;
    assert_eq!(rejection(outcome), SimulateRejection::NotFound);
    let nothing = PaymentOrderId(Uuid::from_u128(7));
    let outcome = shop.payments.simulate(&shop.alice, nothing, SimulatedOutcome::Paid).await;
    assert_eq!(rejection(outcome), SimulateRejection::NotFound);
    assert_eq!(shop.payments.get_order(&shop.alice, id).await.unwrap().status, OrderStatus::Pending);
}

async fn production(backend: Backend) {
    let config = AuthConfig { environment: Environment::Production, ..test_config() };
    let core = TestAuth::start_with(backend, config).await;
    let payments = open_payments(&core.auth, &TestNames::default());
    let alice = core.principal("alice").await;
    let answer = payments.create_order(&alice, new_order("1"), None, render).await.unwrap();
    let id = id_of(&serde_json::from_slice(&answer).unwrap());
    let outcome = payments.simulate(&alice, id, SimulatedOutcome::Paid).await;
    assert_eq!(rejection(outcome), SimulateRejection::OnlyInSandbox);
    assert_eq!(payments.get_order(&alice, id).await.unwrap().status, OrderStatus::Pending);
}
