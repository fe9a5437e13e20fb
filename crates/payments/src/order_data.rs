//! The wire form of a payment order, for events and answers alike.

use cryptopay_domain::{Description, PaymentOrder};
use cryptopay_webhook::{CanonicalObject, CanonicalValue};

/// An order as merchants see it: `{id, amount, currency, description, metadata, status, created_at,
/// updated_at}`, its bytes such that they survive a JavaScript engine.
#[must_use]
pub fn order_data(order: &PaymentOrder) -> CanonicalValue<'_> {
    let metadata = order
        .metadata
        .pairs()
        .fold(CanonicalObject::new(), |object, (key, value)| object.with(key, CanonicalValue::from(value)));
    CanonicalObject::new()
        .with("id", order.id.to_string())
        .with("amount", order.amount.as_str())
        .with("currency", order.currency.as_str())
        .with("description", order.description.as_ref().map(Description::as_str))
        .with("metadata", metadata)
        .with("status", order.status.as_str())
        .with("created_at", order.created_at.to_string())
        .with("updated_at", order.updated_at.to_string())
        .into()
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::payment_order::OrderStatus;
    use cryptopay_domain::{Amount, Currency, Metadata, Timestamp, UserId};

    use super::*;

    fn order(description: Option<&str>, metadata: &[(&str, &str)]) -> PaymentOrder {
        let now = Timestamp::from_unix_micros(1_704_196_800_999_999);
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        PaymentOrder {
            id: "0193f1b2c3d4700089abcdef01234567".parse().unwrap(),
            user_id: UserId(7),
            amount: Amount::parse("49.90").unwrap(),
            currency: Currency::parse("USD").unwrap(),
            description: description.map(|text| Description::parse(text).unwrap()),
            metadata: Metadata::new(metadata.iter().map(owned).collect()).unwrap(),
            status: OrderStatus::Pending,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn an_order_is_written_as_the_contract_has_it() {
        let text = String::from_utf8(order_data(&order(None, &[])).to_bytes()).unwrap();
        assert_eq!(
            text,
            r#"{"id":"0193f1b2c3d4700089abcdef01234567","amount":"49.90","currency":"USD","description":null,"metadata":{},"status":"pending","created_at":"2024-01-02T12:00:00Z","updated_at":"2024-01-02T12:00:00Z"}"#
        );
    }

    #[test]
    fn metadata_is_in_the_order_in_which_javascript_lists_it() {
        let order =
            order(Some("a\tb"), &[("z", "1"), ("10", "2"), ("9", "3"), ("", "4"), ("01", "\u{2028}")]);
        let text = String::from_utf8(order_data(&order).to_bytes()).unwrap();
        assert!(
            text.contains(
                "\"metadata\":{\"9\":\"3\",\"10\":\"2\",\"\":\"4\",\"01\":\"\u{2028}\",\"z\":\"1\"}"
            ),
            "{text}"
        );
        assert!(text.contains(r#""description":"a\tb""#), "{text}");
    }
}
