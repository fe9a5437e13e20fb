//! What the tests of the payments core share.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use cryptopay_auth::{Auth, Failure, Outcome, Principal};
use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{
    Amount, Currency, Delivery, EventFilter, Metadata, PageRequest, PaymentOrder, WebhookEndpoint,
    WebhookEndpointId,
};
use cryptopay_payments::{
    NewEndpoint, NewOrder, NewWebhookEndpoint, Payments, PaymentsConfig, WebhookSecret, order_data,
};
use cryptopay_store::audit::AuditRow;
use cryptopay_testkit::{
    Backend, Received, TestAuth, TestDatabase, TestNames, TestReceiver, context, eventually, open_targets,
    payments_with, test_config,
};
use cryptopay_webhook::{Receiver, Timeouts, page_signature};
use serde_json::Value;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A merchant with a payments core whose webhooks may go anywhere.
pub(crate) struct Shop {
    pub(crate) core: TestAuth,
    pub(crate) names: TestNames,
    pub(crate) payments: Payments,
    pub(crate) alice: Arc<Principal>,
}

impl Shop {
    pub(crate) async fn open(backend: Backend) -> Self {
        Self::open_with(TestAuth::start(backend).await).await
    }

    pub(crate) async fn open_on(database: TestDatabase) -> Self {
        Self::open_with(TestAuth::start_on(database, test_config()).await).await
    }

    async fn open_with(core: TestAuth) -> Self {
        let names = TestNames::default();
        let payments = open_payments(&core.auth, &names);
        let alice = core.principal("alice").await;
        Self { core, names, payments, alice }
    }

    /// Another process on the same database.
    pub(crate) async fn replica(&self) -> Payments {
        open_payments(&self.core.replica().await, &self.names)
    }

    /// An endpoint of alice's that hears of everything.
    pub(crate) async fn endpoint(&self, receiver: &TestReceiver) -> NewWebhookEndpoint {
        self.endpoint_hearing(receiver, &["*"]).await
    }

    pub(crate) async fn endpoint_hearing(
        &self,
        receiver: &TestReceiver,
        events: &[&str],
    ) -> NewWebhookEndpoint {
        let new = new_endpoint(&receiver.url("/hook"), events);
        self.payments.create_endpoint(&self.alice, new, &context()).await.unwrap()
    }

    /// An order of alice's, as it was answered.
    pub(crate) async fn order(&self) -> Value {
        let answer = self.payments.create_order(&self.alice, new_order("49.90"), None, render).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// Alice's endpoint as it is now.
    pub(crate) async fn get(&self, endpoint: WebhookEndpointId) -> WebhookEndpoint {
        self.payments.get_endpoint(&self.alice, endpoint).await.unwrap()
    }

    /// The latest deliveries of an endpoint of alice's, newest first.
    pub(crate) async fn deliveries(&self, endpoint: WebhookEndpointId) -> Vec<Delivery> {
        self.payments.list_deliveries(&self.alice, endpoint, PageRequest::default()).await.unwrap().items
    }

    /// Waits until the newest delivery of an endpoint is as the test wants it.
    pub(crate) async fn newest(
        &self,
        endpoint: WebhookEndpointId,
        what: &str,
        is_reached: impl Fn(&Delivery) -> bool,
    ) -> Delivery {
        eventually(what, async || self.deliveries(endpoint).await.first().is_some_and(&is_reached)).await;
        self.deliveries(endpoint).await.remove(0)
    }

    /// Waits until the newest delivery of an endpoint stands so.
    pub(crate) async fn newest_is(&self, endpoint: WebhookEndpointId, status: DeliveryStatus) -> Delivery {
        self.newest(endpoint, status.as_str(), |delivery| delivery.status == status).await
    }

    /// Waits until the newest delivery of an endpoint has so many attempts.
    pub(crate) async fn attempts(&self, endpoint: WebhookEndpointId, count: usize) -> Delivery {
        self.newest(endpoint, "attempts", |delivery| delivery.attempts.len() >= count).await
    }

    /// Moves the clock to the newest delivery's next attempt.
    pub(crate) async fn until_next_attempt(&self, endpoint: WebhookEndpointId) {
        let next = self.deliveries(endpoint).await[0].next_attempt_at.expect("a delivery that is retried");
        self.core.clock.set(next);
    }

    /// Audit events about webhook endpoints, oldest first.
    pub(crate) async fn audit(&self) -> Vec<AuditRow> {
        let mut rows = self.core.auth.store().list_audit_events(None, 10_000).await.unwrap();
        rows.retain(|row| row.event.starts_with("webhook_endpoint."));
        rows.reverse();
        rows
    }
}

/// The payments core of a process that looks often and is patient with nobody.
pub(crate) fn open_payments(auth: &Auth, names: &TestNames) -> Payments {
    let config = PaymentsConfig { look_every: Duration::from_millis(20), ..PaymentsConfig::default() };
    payments_with(auth, config, open_targets(), names, impatient())
}

/// Two seconds for an exchange.
pub(crate) fn impatient() -> Timeouts {
    Timeouts { total: 2 * SECOND, connect: SECOND, body: SECOND }
}

/// The answer to a new order, as a server gives it.
pub(crate) fn render(order: &PaymentOrder) -> Vec<u8> {
    order_data(order).to_bytes()
}

pub(crate) fn new_order(amount: &str) -> NewOrder {
    NewOrder {
        amount: Amount::parse(amount).unwrap(),
        currency: Currency::parse("USD").unwrap(),
        description: None,
        metadata: Metadata::default(),
    }
}

pub(crate) fn new_endpoint(url: &str, events: &[&str]) -> NewEndpoint {
    let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    NewEndpoint { url: url.to_owned(), events: EventFilter::parse(&events).unwrap(), description: None }
}

/// The rejection of an outcome that has to be one.
#[track_caller]
pub(crate) fn rejection<T: Debug, R: Debug>(outcome: Outcome<T, R>) -> R {
    match outcome {
        Err(Failure::Rejected(rejection)) => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

/// Whether the documented page's receiver accepts a delivery.
pub(crate) fn page_accepts(received: &Received, secret: &WebhookSecret) -> bool {
    received.header("x-webhook-signature") == page_signature(secret, &received.body)
}

/// Whether a Standard Webhooks receiver accepts a delivery.
pub(crate) fn standard_accepts(received: &Received, secret: &WebhookSecret, shop: &Shop) -> bool {
    let receiver = Receiver::new(WebhookSecret::parse(secret.expose()).unwrap());
    let header = |name: &str| Some(received.header(name)).filter(|value| !value.is_empty());
    receiver.verify(header, &received.body, shop.core.auth.clock().now()).is_ok()
}

/// The body of a delivery.
pub(crate) fn json(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}
