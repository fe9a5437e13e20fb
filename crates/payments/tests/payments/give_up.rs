//! When a delivery, or an endpoint, is given up.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_testkit::{Backend, Behaviour, TestReceiver, eventually, on_both_databases};

use crate::support::{DAY, HOUR, Shop};

on_both_databases! {
    a_delivery_is_given_up_after_three_days => three_days;
    an_endpoint_that_is_gone_is_disabled_at_once_and_its_merchant_told => gone;
    an_endpoint_that_fails_for_five_days_is_disabled_and_its_merchant_told => five_days;
}

async fn three_days(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(500)).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    let began = shop.core.auth.clock().now();
    shop.order().await;
    let mut tries = 1;
    loop {
        let delivery = shop.attempts(endpoint, tries).await;
        let Some(next) = delivery.next_attempt_at else { break };
        assert!(next.since(began) <= 3 * DAY);
        shop.core.clock.set(next);
        tries += 1;
    }
    workers.stop().await;
    let delivery = shop.deliveries(endpoint).await.remove(0);
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    let last = delivery.attempts.last().unwrap().at;
    assert!(last.since(began) >= 3 * DAY - HOUR, "tried for three days");
    assert!(tries >= 10, "{tries}");
    assert_eq!(shop.get(endpoint).await.status, EndpointStatus::Enabled);
}

async fn gone(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(500)).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    // One that waits for its retry.
    shop.order().await;
    shop.attempts(endpoint, 1).await;
    receiver.behave(Behaviour::Answer(410));
    shop.order().await;
    shop.newest_is(endpoint, DeliveryStatus::Failed).await;
    assert_eq!(shop.get(endpoint).await.status, EndpointStatus::Disabled(DisabledReason::Gone));
    let deliveries = shop.deliveries(endpoint).await;
    assert_eq!(deliveries[0].attempts[0].status_code, Some(410));
    assert!(deliveries.iter().all(|delivery| delivery.status == DeliveryStatus::Failed), "{deliveries:?}");
    workers.stop().await;
    let audit = shop.audit().await.pop().unwrap();
    assert_eq!((audit.event.as_str(), audit.actor.as_str()), ("webhook_endpoint.disabled", "system"));
    assert_eq!(audit.user_id, Some(shop.alice.user_id.0));
    assert_eq!((audit.subject, audit.detail.as_deref()), (Some(endpoint.to_string()), Some("gone")));
}

async fn five_days(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(500)).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    shop.attempts(endpoint, 1).await;
    shop.core.clock.advance(5 * DAY - HOUR);
    shop.order().await;
    shop.attempts(endpoint, 1).await;
    assert_eq!(shop.get(endpoint).await.status, EndpointStatus::Enabled, "an hour is left");
    shop.core.clock.advance(HOUR);
    shop.order().await;
    let disabled = EndpointStatus::Disabled(DisabledReason::Failing);
    eventually("disabled", async || shop.get(endpoint).await.status == disabled).await;
    workers.stop().await;
    let deliveries = shop.deliveries(endpoint).await;
    assert!(deliveries.iter().all(|delivery| delivery.status == DeliveryStatus::Failed), "{deliveries:?}");
    let audit = shop.audit().await;
    let told: Vec<_> = audit.iter().filter(|row| row.event == "webhook_endpoint.disabled").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].actor.as_str(), told[0].detail.as_deref()), ("system", Some("failing")));
}
