//! The webhook doctor.

use cryptopay_auth::AuthConfig;
use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_domain::{DeliveryId, Environment, WebhookEndpointId};
use cryptopay_payments::{DiagnoseRejection, Diagnosis};
use cryptopay_testkit::{
    Backend, TestAuth, TestNames, TestReceiver, context, on_both_databases, test_config,
};
use cryptopay_webhook::{Finding, page_signature};
use uuid::Uuid;

use crate::support::{Shop, open_payments, rejection};

on_both_databases! {
    the_doctor_knows_the_signature_that_was_sent_and_the_mistakes_around_it => diagnosed;
    the_doctor_names_an_old_secret => old_secret;
    the_doctor_sees_own_deliveries_in_the_sandbox_alone => refused;
}

async fn diagnosed(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let received = receiver.wait_for(1).await.remove(0);
    let delivery = shop.newest_is(made.endpoint.id, DeliveryStatus::Succeeded).await.id;
    workers.stop().await;
    let diagnose = async |signature: &str| {
        shop.payments.diagnose(&shop.alice, made.endpoint.id, delivery, signature).await.unwrap()
    };
    assert_eq!(diagnose(received.header("x-webhook-signature")).await, Diagnosis::Correct);
    let newline = page_signature(&made.secret, &[received.body.as_slice(), b"\n"].concat());
    assert_eq!(diagnose(&newline).await, Diagnosis::Explained(vec![Finding::NewlineAdded]));
    assert_eq!(diagnose(&"0".repeat(64)).await, Diagnosis::Unknown);
    assert_eq!(diagnose("nonsense").await, Diagnosis::NotASignature);
}

async fn old_secret(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let endpoint = made.endpoint.id;
    let overlap = SecretOverlap::from_seconds(60).unwrap();
    let rotated = shop.payments.rotate_secret(&shop.alice, endpoint, overlap, &context()).await.unwrap();
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let during = receiver.wait_for(1).await.remove(0);
    let delivery = shop.newest_is(endpoint, DeliveryStatus::Succeeded).await.id;
    let by = |secret| page_signature(secret, &during.body);
    let diagnose = async |delivery, signature: String| {
        shop.payments.diagnose(&shop.alice, endpoint, delivery, &signature).await.unwrap()
    };
    assert_eq!(diagnose(delivery, by(&made.secret)).await, Diagnosis::Correct);
    let upcoming = diagnose(delivery, by(&rotated.secret)).await;
    assert_eq!(upcoming, Diagnosis::Explained(vec![Finding::NewSecret]));
    shop.core.clock.advance(std::time::Duration::from_secs(60));
    shop.order().await;
    let after = receiver.wait_for(2).await.remove(1);
    let delivery = shop.newest_is(endpoint, DeliveryStatus::Succeeded).await.id;
    let by = |secret| page_signature(secret, &after.body);
    assert_eq!(diagnose(delivery, by(&rotated.secret)).await, Diagnosis::Correct);
    let old = diagnose(delivery, by(&made.secret)).await;
    assert_eq!(old, Diagnosis::Explained(vec![Finding::OldSecret]));
    workers.stop().await;
}

async fn refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let endpoint = shop.endpoint(&TestReceiver::start().await).await.endpoint.id;
    shop.order().await;
    let delivery = shop.deliveries(endpoint).await[0].id;
    let bob = shop.core.principal("bob").await;
    let nothing = (WebhookEndpointId(Uuid::from_u128(7)), DeliveryId(Uuid::from_u128(7)));
    for (who, endpoint, delivery) in
        [(&bob, endpoint, delivery), (&shop.alice, nothing.0, delivery), (&shop.alice, endpoint, nothing.1)]
    {
        let outcome = shop.payments.diagnose(who, endpoint, delivery, "x").await;
        assert_eq!(rejection(outcome), DiagnoseRejection::NotFound);
    }
    let config = AuthConfig { environment: Environment::Production, ..test_config() };
    let core = TestAuth::start_with(backend, config).await;
    let payments = open_payments(&core.auth, &TestNames::default());
    let alice = core.principal("alice").await;
    let outcome = payments.diagnose(&alice, endpoint, delivery, "x").await;
    assert_eq!(rejection(outcome), DiagnoseRejection::OnlyInSandbox);
}
