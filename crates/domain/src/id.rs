//! Identifiers. Users are numbered; everything else is an opaque string to the outside.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A merchant's account number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is no identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no identifier")]
pub struct IdError;

macro_rules! opaque_id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// A UUID version 7 (RFC 9562), written as 32 lower-case hex digits, so that text order is
        /// order of creation in both databases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_simple().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads the canonical form alone: one identifier has one spelling.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let canonical = text.len() == 32
                    && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
                if !canonical {
                    return Err(IdError);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }
    };
}

opaque_id!(
    /// Identifies a login session.
    SessionId
);
opaque_id!(
    /// Identifies an API key; not the key itself.
    ApiKeyId
);
opaque_id!(
    /// Identifies a payment order.
    PaymentOrderId
);
opaque_id!(
    /// Identifies a webhook endpoint.
    WebhookEndpointId
);
opaque_id!(
    /// Identifies an event that webhook endpoints are told of; on the wire it is the `webhook-id`.
    WebhookEventId
);
opaque_id!(
    /// Identifies the delivery of one event to one endpoint, whatever the number of its attempts.
    DeliveryId
);

impl DeliveryId {
    /// The delivery of an event to the endpoint of this number among those that are told of it.
    ///
    /// The deliveries of an event are those that directly follow it in order, so that they are found by their keys.
    #[must_use]
    pub const fn of(event: WebhookEventId, number: u8) -> Self {
        Self(Uuid::from_u128(event.0.as_u128().wrapping_add(1 + number as u128)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let text = "0193f1b2c3d4700089abcdef01234567";
        assert_eq!(text.parse::<SessionId>().unwrap().to_string(), text);
        for wrong in ["", "0193F1B2C3D4700089ABCDEF01234567", "0193f1b2-c3d4-7000-89ab-cdef01234567", "x"] {
            assert_eq!(wrong.parse::<SessionId>(), Err(IdError), "{wrong}");
        }
    }
    #[test]
    fn the_deliveries_of_an_event_directly_follow_it() {
        let event: WebhookEventId = "0193f1b2c3d4700089abcdef012345ff".parse().unwrap();
        let delivery = |number| DeliveryId::of(event, number).to_string();
        assert_eq!(delivery(0), "0193f1b2c3d4700089abcdef01234600");
        assert_eq!(delivery(1), "0193f1b2c3d4700089abcdef01234601");
        assert_eq!(delivery(u8::MAX), "0193f1b2c3d4700089abcdef012346ff");
    }
}
