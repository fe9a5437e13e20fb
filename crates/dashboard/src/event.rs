//! Events in plain words.

use cryptopay_domain::{EventFilter, EventType};

/// An event's name for people.
pub(crate) const fn label(event: EventType) -> &'static str {
    match event {
        EventType::PaymentOrderCreated => "Order created",
        EventType::PaymentOrderPaid => "Order paid",
        EventType::PaymentOrderExpired => "Order expired",
        EventType::PaymentOrderFailed => "Payment failed",
        EventType::WebhookTest => "Test",
    }
}

/// What it tells.
pub(crate) const fn tells(event: EventType) -> &'static str {
    match event {
        EventType::PaymentOrderCreated => "Somebody is to pay: a payment order was made.",
        EventType::PaymentOrderPaid => "The money is there. This is the one to deliver goods on.",
        EventType::PaymentOrderExpired => "The order's time ran out without money.",
        EventType::PaymentOrderFailed => "The customer tried to pay, and it did not work.",
        EventType::WebhookTest => "You pressed the button. It comes whatever you choose here.",
    }
}

/// What a filter admits, as people read it.
pub(crate) fn labels(filter: &EventFilter) -> Vec<&'static str> {
    match filter {
        EventFilter::All => vec!["All events"],
        EventFilter::Only(events) => events.iter().map(|event| label(*event)).collect(),
    }
}
