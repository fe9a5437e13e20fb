//! What is asked of payment orders.

use std::collections::BTreeMap;

use cryptopay_domain::payment_order::SimulatedOutcome;
use cryptopay_domain::{Amount, Currency, Description, Metadata};
use cryptopay_payments::NewOrder;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::fields::{Fields, FromFields, quoted, string, text};
use crate::json_object;

/// What shall be paid.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct PaymentOrderCreation {
    /// A positive decimal number, exact: no sign, no exponent, no separators. It is told back as it was given.
    #[schema(pattern = r"^(0|[1-9]\d{0,17})(\.\d{1,18})?$", example = "49.90")]
    amount: String,
    /// Money of ISO 4217, or one of BTC, ETH, USDT, USDC and LTC; in upper case.
    #[schema(pattern = "^[A-Z]{3,4}$", example = "USD")]
    currency: String,
    /// Any characters but U+0000; null or absent for none.
    #[schema(max_length = 500, example = "Order 1042")]
    description: Option<String>,
    /// Notes that mean nothing to the server: at most 50 strings of at most 1000 characters, under keys of at
    /// most 100, without U+0000; null or absent for none.
    #[schema(example = json!({"order": "1042"}))]
    metadata: Option<BTreeMap<String, String>>,
}

/// How an order shall go on.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct SimulationRequest {
    #[schema(example = "paid")]
    status: SimulatedStatusName,
}

/// What a simulation can make of an order.
#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = SimulatedStatus)]
enum SimulatedStatusName {
    Paid,
    Expired,
    Failed,
}

/// [`PaymentOrderCreation`], read.
#[derive(Debug)]
pub(crate) struct Creation(pub(crate) NewOrder);

/// [`SimulationRequest`], read.
pub(crate) struct Simulation(pub(crate) SimulatedOutcome);

impl FromFields for Creation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let amount = fields.required("amount", text(Amount::parse));
        let currency = fields.required("currency", text(Currency::parse));
        let description = fields.nullable("description", text(Description::parse));
        let metadata = fields.nullable("metadata", metadata);
        Some(Self(NewOrder {
            amount: amount?,
            currency: currency?,
            description: description?,
            metadata: metadata?.unwrap_or_default(),
        }))
    }
}

impl FromFields for Simulation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("status", text(str::parse::<SimulatedOutcome>)).map(Self)
    }
}

fn metadata(value: &RawValue) -> Result<Metadata, String> {
    let members = json_object::members(value).ok_or("must be an object of strings")?;
    let pair = |(key, value): (String, &RawValue)| match string(value) {
        Ok(value) => Ok((key, value)),
        Err(problem) => Err(format!("{} {problem}", quoted(&key))),
    };
    let pairs = members.into_iter().map(pair).collect::<Result<_, _>>()?;
    Metadata::new(pairs).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::FieldProblems;

    fn read(json: &str) -> Result<NewOrder, serde_json::Value> {
        let given = json_object::parse(json.as_bytes()).unwrap();
        Fields::read::<Creation>(given, FieldProblems::default())
            .map(|Creation(order)| order)
            .map_err(|problems| serde_json::to_value(problems).unwrap())
    }

    fn metadata_of(json: &str) -> Result<Vec<(String, String)>, String> {
        let body = format!(r#"{{"amount": "1", "currency": "USD", "metadata": {json}}}"#);
        match read(&body) {
            Ok(order) => {
                Ok(order.metadata.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
            }
            Err(problems) => {
                assert_eq!(problems.as_object().unwrap().len(), 1, "{problems}");
                Err(problems["metadata"][0].as_str().unwrap().to_owned())
            }
        }
    }

    #[test]
    fn description_and_metadata_may_be_absent_or_null() {
        for rest in ["", r#", "description": null, "metadata": null"#, r#", "metadata": {}"#] {
            let order = read(&format!(r#"{{"amount": "49.90", "currency": "USD"{rest}}}"#)).unwrap();
            assert_eq!((order.amount.as_str(), order.currency.as_str()), ("49.90", "USD"));
            assert_eq!((order.description, order.metadata), (None, Metadata::default()));
        }
    }

    #[test]
    fn metadata_is_whatever_strings_a_merchant_likes() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            metadata_of(r#"{"__proto__": "", "": "\ud83d\ude00", "10": "\n\u2028", "k\u0041": "\u0001"}"#),
            Ok(vec![
                pair("", "\u{1f600}"),
                pair("10", "\n\u{2028}"),
                pair("__proto__", ""),
                pair("kA", "\u{1}")
            ])
        );
    }

    #[test]
    fn what_is_no_metadata_says_why() {
        for (bad, why) in [
            ("[]", "must be an object of strings"),
            (r#""a""#, "must be an object of strings"),
            ("1e999", "must be an object of strings"),
            (r#"{"a": 1}"#, "'a' must be a string"),
            (r#"{"a": null}"#, "'a' must be a string"),
            (r#"{"a": {"b": "c"}}"#, "'a' must be a string"),
            (r#"{"a": ["b"]}"#, "'a' must be a string"),
            (r#"{"a": "1", "\u0061": "1"}"#, "\"a\" occurs twice"),
            (r#"{"a": "\u0000"}"#, "must not hold the character U+0000"),
            (r#"{"\u0000": "a"}"#, "must not hold the character U+0000"),
        ] {
            assert_eq!(metadata_of(bad), Err(why.to_owned()), "{bad}");
        }
    }

    #[test]
    fn every_field_of_a_new_order_is_judged_at_once() {
        let problems = read(r#"{"amount": 49.9, "currency": "usd", "description": 1, "metadata": 1}"#);
        let problems = problems.unwrap_err();
        let names: Vec<_> = problems.as_object().unwrap().keys().collect();
        assert_eq!(names, ["amount", "currency", "description", "metadata"]);
    }
}
