//! What webhook endpoints are told of, and which of it one wants to hear.

use std::collections::BTreeSet;
use std::str::FromStr;

/// The filter that admits every event, those of later versions included.
const EVERYTHING: &str = "*";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// An order was made.
    PaymentOrderCreated,
    /// An order was paid.
    PaymentOrderPaid,
    /// An order was not paid in time.
    PaymentOrderExpired,
    /// An order's payment failed.
    PaymentOrderFailed,
    /// A merchant tries an endpoint. It goes to that endpoint, whatever its filter.
    WebhookTest,
}

/// Text that names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no event type")]
pub struct EventTypeError;

impl EventType {
    /// Every event there is.
    pub const ALL: [Self; 5] = [
        Self::PaymentOrderCreated,
        Self::PaymentOrderPaid,
        Self::PaymentOrderExpired,
        Self::PaymentOrderFailed,
        Self::WebhookTest,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentOrderCreated => "payment_order.created",
            Self::PaymentOrderPaid => "payment_order.paid",
            Self::PaymentOrderExpired => "payment_order.expired",
            Self::PaymentOrderFailed => "payment_order.failed",
            Self::WebhookTest => "webhook.test",
        }
    }
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, EventTypeError> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(EventTypeError)
    }
}

/// Which events an endpoint wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFilter {
    /// All of them, those of later versions included: `*` on the wire.
    All,
    /// These; never none.
    Only(BTreeSet<EventType>),
}

/// Names that make no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFilterError {
    /// No name.
    #[error("must name at least one event type, or be [\"*\"]")]
    Empty,
    /// A name of no event; its first 64 characters.
    #[error("{0:?} is no event type")]
    Unknown(String),
    /// `*` beside other names.
    #[error("\"*\" stands for all event types and must stand alone")]
    NotAlone,
}

impl EventFilter {
    /// Reads the names of events, or `*` alone.
    ///
    /// # Errors
    /// [`EventFilterError`] says which rule is broken, and by which name.
    pub fn parse(names: &[String]) -> Result<Self, EventFilterError> {
        match names {
            [] => Err(EventFilterError::Empty),
            [name] if name == EVERYTHING => Ok(Self::All),
            names if names.iter().any(|name| name == EVERYTHING) => Err(EventFilterError::NotAlone),
            names => names
                .iter()
                .map(|name| {
                    name.parse().map_err(|_| EventFilterError::Unknown(name.chars().take(64).collect()))
                })
                .collect::<Result<_, _>>()
                .map(Self::Only),
        }
    }

    /// Whether an event passes.
    #[must_use]
    pub fn admits(&self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Only(events) => events.contains(&event),
        }
    }

    /// The names on the wire, in the order of [`EventType::ALL`].
    #[must_use]
    pub fn to_wire(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec![EVERYTHING],
            Self::Only(events) => events.iter().map(|event| event.as_str()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<EventFilter, EventFilterError> {
        EventFilter::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_admits_everything_and_names_what_they_name() {
        let all = parse(&["*"]).unwrap();
        let paid = parse(&["payment_order.paid", "payment_order.created", "payment_order.paid"]).unwrap();
        for event in EventType::ALL {
            assert!(all.admits(event));
            let named = matches!(event, EventType::PaymentOrderPaid | EventType::PaymentOrderCreated);
            assert_eq!(paid.admits(event), named, "{event:?}");
            assert_eq!(event.as_str().parse(), Ok(event));
        }
        assert_eq!(all.to_wire(), ["*"]);
        assert_eq!(paid.to_wire(), ["payment_order.created", "payment_order.paid"]);
    }

    #[test]
    fn a_filter_names_what_is_wrong_with_it() {
        assert_eq!(parse(&[]), Err(EventFilterError::Empty));
        assert_eq!(parse(&["*", "payment_order.paid"]), Err(EventFilterError::NotAlone));
        assert_eq!(parse(&["*", "*"]), Err(EventFilterError::NotAlone));
        for unknown in ["payment_order.*", "Payment_order.paid", "", "payment_order.paid\0"] {
            let refused = parse(&["payment_order.paid", unknown]);
            assert_eq!(refused, Err(EventFilterError::Unknown(unknown.to_owned())));
        }
        assert_eq!(parse(&[&"x".repeat(65)]), Err(EventFilterError::Unknown("x".repeat(64))));
    }
}
