//! Payment orders: making, listing and, in the sandbox, moving them on.

use cryptopay_auth::{Failure, Outcome, Principal};
use cryptopay_domain::payment_order::{NoLongerPending, OrderStatus, SimulatedOutcome, decide_simulation};
use cryptopay_domain::{
    Amount, Currency, Delivery, Description, EventType, IdempotencyKey, Metadata, Page, PageRequest,
    PaymentOrder, PaymentOrderId, WebhookEventId,
};
use cryptopay_store::idempotency::IdempotentRequest;
use cryptopay_store::payment_order::{OrderChange, OrderInsert};
use cryptopay_webhook::EventTooLarge;

use crate::core::Payments;
use crate::endpoint::NotFound;
use crate::event::order_event;

/// What a merchant asks to be paid.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// How much, exactly.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// What for.
    pub description: Option<Description>,
    /// What the merchant wants to find again.
    pub metadata: Metadata,
}

/// The name under which a request may be sent again without being carried out again.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The name.
    pub key: IdempotencyKey,
    /// A hash of the request's body, compared as a JSON value.
    pub fingerprint: [u8; 32],
}

/// Why no order is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOrderRejection {
    /// The idempotency key was used for another request.
    IdempotencyConflict,
    /// Its event would be larger than receivers take: 100,000 bytes.
    TooLarge,
}

/// Why an order is not moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulateRejection {
    /// The merchant has no such order.
    NotFound,
    /// It has ended already.
    NotPending(OrderStatus),
    /// Production moves no money by wish.
    OnlyInSandbox,
}

/// Names the one kind of request whose answers are kept for its idempotency key.
const CREATE: &str = "payment_orders.create";

impl Payments {
    /// Makes an order and tells the merchant's endpoints, in one transaction. `render` writes the answer; the
    /// same request under the same idempotency key is given the first one's answer, byte for byte, for 24
    /// hours.
    ///
    /// # Errors
    /// [`CreateOrderRejection`].
    pub async fn create_order(
        &self,
        principal: &Principal,
        new: NewOrder,
        idempotency: Option<Idempotency>,
        render: fn(&PaymentOrder) -> Vec<u8>,
    ) -> Outcome<Vec<u8>, CreateOrderRejection> {
        let inner = &*self.inner;
        let now = inner.now();
        let order = PaymentOrder {
            id: PaymentOrderId(inner.next_id(now)?),
            user_id: principal.user_id,
            amount: new.amount,
            currency: new.currency,
            description: new.description,
            metadata: new.metadata,
            status: OrderStatus::Pending,
            created_at: now,
            updated_at: now,
        };
        let id = WebhookEventId(inner.next_id(now)?);
        let event = order_event(id, EventType::PaymentOrderCreated, &order, now)
            .map_err(|_| Failure::Rejected(CreateOrderRejection::TooLarge))?;
        let answer = render(&order);
        let idempotent = idempotency.map(|Idempotency { key, fingerprint }| IdempotentRequest {
            route: CREATE,
            key,
            fingerprint,
            answer: answer.clone(),
        });
        let turn = inner.handover.turn(principal.user_id, now);
        let leased_until = turn.as_ref().map(|turn| turn.leased_until);
        match inner.store().insert_payment_order(order, idempotent, event, leased_until).await? {
            OrderInsert::Inserted { deliveries } => {
                inner.tell(turn, deliveries);
                Ok(answer)
            }
            OrderInsert::Replayed(first) => Ok(first),
            OrderInsert::IdempotencyConflict => {
                Err(Failure::Rejected(CreateOrderRejection::IdempotencyConflict))
            }
        }
    }

    /// The merchant's orders, newest first.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_orders(
        &self,
        principal: &Principal,
        request: PageRequest<PaymentOrderId>,
    ) -> Outcome<Page<PaymentOrder, PaymentOrderId>, std::convert::Infallible> {
        Ok(self.inner.store().list_payment_orders(principal.user_id, request).await?)
    }

    /// One of the merchant's orders.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn get_order(
        &self,
        principal: &Principal,
        id: PaymentOrderId,
    ) -> Outcome<PaymentOrder, NotFound> {
        let found = self.inner.store().find_payment_order(principal.user_id, id).await?;
        found.ok_or(Failure::Rejected(NotFound))
    }

    /// The deliveries that tell the merchant's endpoints of an order, those of one event beside each other, oldest
    /// first. An endpoint that was deleted took its own with it.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_order_deliveries(
        &self,
        principal: &Principal,
        order: PaymentOrderId,
    ) -> Outcome<Vec<Delivery>, std::convert::Infallible> {
        Ok(self.inner.store().list_deliveries_of_order(principal.user_id, order).await?)
    }

    /// Moves a pending order on, as if by the payer, and tells the merchant's endpoints. In the sandbox alone.
    ///
    /// # Errors
    /// [`SimulateRejection`].
    pub async fn simulate(
        &self,
        principal: &Principal,
        order: PaymentOrderId,
        outcome: SimulatedOutcome,
    ) -> Outcome<PaymentOrder, SimulateRejection> {
        let inner = &*self.inner;
        if !inner.is_sandbox() {
            return Err(Failure::Rejected(SimulateRejection::OnlyInSandbox));
        }
        let now = inner.now();
        let event_id = WebhookEventId(inner.next_id(now)?);
        let turn = inner.handover.turn(principal.user_id, now);
        let leased_until = turn.as_ref().map(|turn| turn.leased_until);
        let decide = move |order| {
            let order = decide_simulation(order, outcome, now).map_err(Refusal::NoLongerPending)?;
            let event =
                order_event(event_id, outcome.event_type(), &order, now).map_err(Refusal::EventTooLarge)?;
            Ok((order, event))
        };
        match inner.store().change_payment_order(principal.user_id, order, decide, leased_until).await? {
            OrderChange::Changed { order, deliveries } => {
                inner.tell(turn, deliveries);
                Ok(order)
            }
            OrderChange::Refused(Refusal::NoLongerPending(NoLongerPending(status))) => {
                Err(Failure::Rejected(SimulateRejection::NotPending(status)))
            }
            // The event of its creation was small enough, and this one differs by a word.
            OrderChange::Refused(Refusal::EventTooLarge(error)) => Err(Failure::fault(&error)),
            OrderChange::NotFound => Err(Failure::Rejected(SimulateRejection::NotFound)),
        }
    }
}

enum Refusal {
    NoLongerPending(NoLongerPending),
    EventTooLarge(EventTooLarge),
}
