//! Payment orders: just enough of a ledger for permissions and webhooks to be real.

use std::str::FromStr;

use crate::{Amount, Currency, Description, EventType, Metadata, PaymentOrderId, Timestamp, UserId};

/// A merchant's request to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Its identifier.
    pub id: PaymentOrderId,
    /// Whose order it is.
    pub user_id: UserId,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// What for, in the merchant's words.
    pub description: Option<Description>,
    /// The merchant's own notes.
    pub metadata: Metadata,
    /// Where it stands.
    pub status: OrderStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// It waits for money. Every order begins here, and leaves once.
    Pending,
    /// The money came.
    Paid,
    /// No money came in time.
    Expired,
    /// The payment failed.
    Failed,
}

/// Text that names no status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no status of a payment order")]
pub struct OrderStatusError;

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Paid, Self::Expired, Self::Failed];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for OrderStatus {
    type Err = OrderStatusError;

    fn from_str(text: &str) -> Result<Self, OrderStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(OrderStatusError)
    }
}

/// What the sandbox may let become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimulatedOutcome {
    /// The money comes.
    Paid,
    /// No money comes in time.
    Expired,
    /// The payment fails.
    Failed,
}

/// Text that names no outcome of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"paid\", \"expired\" or \"failed\"")]
pub struct SimulatedOutcomeError;

impl SimulatedOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Paid, Self::Expired, Self::Failed];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.status().as_str()
    }

    /// Where the order stands after it.
    #[must_use]
    pub const fn status(self) -> OrderStatus {
        match self {
            Self::Paid => OrderStatus::Paid,
            Self::Expired => OrderStatus::Expired,
            Self::Failed => OrderStatus::Failed,
        }
    }

    /// The event that tells of it.
    #[must_use]
    pub const fn event_type(self) -> EventType {
        match self {
            Self::Paid => EventType::PaymentOrderPaid,
            Self::Expired => EventType::PaymentOrderExpired,
            Self::Failed => EventType::PaymentOrderFailed,
        }
    }
}

impl FromStr for SimulatedOutcome {
    type Err = SimulatedOutcomeError;

    fn from_str(text: &str) -> Result<Self, SimulatedOutcomeError> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(SimulatedOutcomeError)
    }
}

/// An order that has left `pending`, where it now stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLongerPending(pub OrderStatus);

/// Decides a simulation: a pending order moves on, once.
///
/// # Errors
/// [`NoLongerPending`] when it has moved on already, to the same outcome too.
pub fn decide_simulation(
    order: PaymentOrder,
    outcome: SimulatedOutcome,
    now: Timestamp,
) -> Result<PaymentOrder, NoLongerPending> {
    match order.status {
        OrderStatus::Pending => Ok(PaymentOrder { status: outcome.status(), updated_at: now, ..order }),
        status => Err(NoLongerPending(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(status: OrderStatus) -> PaymentOrder {
        let made = Timestamp::from_unix_seconds(1_700_000_000);
        PaymentOrder {
            id: "0193f1b2c3d4700089abcdef01234567".parse().unwrap(),
            user_id: UserId(1),
            amount: Amount::parse("49.90").unwrap(),
            currency: Currency::parse("USD").unwrap(),
            description: None,
            metadata: Metadata::default(),
            status,
            created_at: made,
            updated_at: made,
        }
    }

    #[test]
    fn a_pending_order_moves_on_once_and_only_its_status_changes() {
        let now = Timestamp::from_unix_seconds(1_700_000_009);
        for outcome in SimulatedOutcome::ALL {
            let moved = decide_simulation(order(OrderStatus::Pending), outcome, now).unwrap();
            let expected =
                PaymentOrder { status: outcome.status(), updated_at: now, ..order(OrderStatus::Pending) };
            assert_eq!(moved, expected);
            for again in SimulatedOutcome::ALL {
                let refused = decide_simulation(moved.clone(), again, now);
                assert_eq!(refused, Err(NoLongerPending(outcome.status())));
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for outcome in SimulatedOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
            assert_eq!(outcome.event_type().as_str(), format!("payment_order.{}", outcome.as_str()));
        }
        assert_eq!("pending".parse::<SimulatedOutcome>(), Err(SimulatedOutcomeError));
        assert_eq!("Paid".parse::<OrderStatus>(), Err(OrderStatusError));
    }
}
