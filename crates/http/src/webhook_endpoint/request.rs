//! What is asked of webhook endpoints.

use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_domain::{Description, EventFilter};
use cryptopay_payments::{EndpointChange, NewEndpoint, RequestedStatus};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::event::EventSelector;
use crate::fields::{Fields, FromFields, string, text};

/// Where events shall go.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct WebhookEndpointCreation {
    /// Absolute, `https` (in the sandbox `http`, too), without user name, password and
    /// fragment. Its host must not be, nor resolve to, an address that is not public.
    #[schema(
        max_length = 2048,
        pattern = "^https?://",
        example = "https://shop.example.com/webhooks/cryptopay"
    )]
    url: String,
    /// The event types it wants, or `["*"]` for all, those of later versions included.
    #[schema(value_type = Vec<EventSelector>, min_items = 1,
        example = json!(["payment_order.paid", "payment_order.expired"]))]
    events: Vec<String>,
    /// Any characters but U+0000; null or absent for none.
    #[schema(max_length = 500, example = "Order service")]
    description: Option<String>,
}

/// What shall change of an endpoint; at least one field.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct WebhookEndpointChange {
    #[schema(
        nullable = false,
        max_length = 2048,
        pattern = "^https?://",
        example = "https://shop.example.com/webhooks/cryptopay"
    )]
    url: Option<String>,
    #[schema(value_type = Option<Vec<EventSelector>>, nullable = false, min_items = 1, example = json!(["*"]))]
    events: Option<Vec<String>>,
    /// Null takes it away.
    #[schema(max_length = 500, example = "Order service")]
    description: Option<String>,
    /// `enabled` also brings back an endpoint that was disabled for its failures.
    #[schema(nullable = false, example = "disabled")]
    status: Option<RequestedStatusName>,
}

/// How a secret is rotated.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct SecretRotation {
    /// How many seconds deliveries are signed with the old secret, too.
    #[schema(nullable = false, minimum = 0, maximum = 604_800, default = 86_400)]
    overlap_seconds: Option<u64>,
}

/// What an endpoint's status can be set to.
#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = RequestedWebhookEndpointStatus)]
enum RequestedStatusName {
    Enabled,
    Disabled,
}

/// [`WebhookEndpointCreation`], read.
#[derive(Debug)]
pub(crate) struct Creation(pub(crate) NewEndpoint);

/// [`WebhookEndpointChange`], read.
#[derive(Debug)]
pub(crate) struct Change(pub(crate) EndpointChange);

/// [`SecretRotation`], read.
#[derive(Debug)]
pub(crate) struct Rotation(pub(crate) SecretOverlap);

impl FromFields for Creation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.required("url", string);
        let events = fields.required("events", event_filter);
        let description = fields.nullable("description", text(Description::parse));
        Some(Self(NewEndpoint { url: url?, events: events?, description: description? }))
    }
}

impl FromFields for Change {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.optional("url", string);
        let events = fields.optional("events", event_filter);
        let description = fields.clearable("description", text(Description::parse));
        let status = fields.optional("status", text(requested_status));
        let change =
            EndpointChange { url: url?, events: events?, description: description?, status: status? };
        if matches!(change, EndpointChange { url: None, events: None, description: None, status: None }) {
            for field in ["url", "events", "description", "status"] {
                fields.refuse(field, "is missing: give at least one of url, events, description and status");
            }
            return None;
        }
        Some(Self(change))
    }
}

impl FromFields for Rotation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let overlap = fields.optional("overlap_seconds", overlap)?;
        Some(Self(overlap.unwrap_or_default()))
    }
}

fn event_filter(value: &RawValue) -> Result<EventFilter, String> {
    let names: Vec<String> =
        serde_json::from_str(value.get()).map_err(|_| "must be an array of event types".to_owned())?;
    EventFilter::parse(&names).map_err(|problem| problem.to_string())
}

fn requested_status(name: &str) -> Result<RequestedStatus, &'static str> {
    match name {
        "enabled" => Ok(RequestedStatus::Enabled),
        "disabled" => Ok(RequestedStatus::Disabled),
        _ => Err("must be \"enabled\" or \"disabled\""),
    }
}

/// A whole number of seconds; what is none, such as `1.0`, breaks the rule like one that is too large.
fn overlap(value: &RawValue) -> Result<SecretOverlap, String> {
    let seconds = serde_json::from_str::<i64>(value.get()).unwrap_or(-1);
    SecretOverlap::from_seconds(seconds).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::FieldProblems;
    use crate::json_object;

    fn read<T: FromFields>(json: &str) -> Result<T, Vec<String>> {
        let given = json_object::parse(json.as_bytes()).unwrap();
        Fields::read(given, FieldProblems::default())
            .map_err(|problems| problems.names().map(str::to_owned).collect())
    }

    #[test]
    fn a_change_tells_absent_from_null() {
        let Change(change) = read(r#"{"description": null}"#).unwrap();
        assert_eq!((change.description, change.url), (Some(None), None));
        let Change(change) = read(r#"{"description": "d", "status": "enabled"}"#).unwrap();
        assert_eq!(change.description, Some(Some(Description::parse("d").unwrap())));
        assert_eq!(change.status, Some(RequestedStatus::Enabled));
        let Change(change) = read(r#"{"events": ["*"]}"#).unwrap();
        assert_eq!((change.description, change.events), (None, Some(EventFilter::All)));
    }

    #[test]
    fn an_empty_change_is_refused_and_null_is_for_descriptions() {
        assert_eq!(read::<Change>("{}").unwrap_err(), ["description", "events", "status", "url"]);
        for name in ["url", "events", "status"] {
            assert_eq!(read::<Change>(&format!(r#"{{"{name}": null}}"#)).unwrap_err(), [name]);
        }
    }

    #[test]
    fn events_are_an_array_of_known_names_or_the_asterisk_alone() {
        let events = |json: &str| {
            read::<Creation>(&format!(r#"{{"url": "u", "events": {json}}}"#)).map(|Creation(new)| new.events)
        };
        assert_eq!(events(r#"["*"]"#), Ok(EventFilter::All));
        let twice = events(r#"["payment_order.paid", "payment_order.paid"]"#).unwrap();
        assert_eq!(twice.to_wire(), ["payment_order.paid"]);
        for bad in ["[]", r#""*""#, "{}", "[1]", "[null]", r#"["*", "*"]"#, r#"["paid"]"#, "1e999"] {
            assert_eq!(events(bad).unwrap_err(), ["events"], "{bad}");
        }
    }

    #[test]
    fn overlaps_are_whole_seconds_within_a_week() {
        let overlap =
            |json: &str| read::<Rotation>(json).map(|Rotation(overlap)| overlap.duration().as_secs());
        assert_eq!(overlap("{}"), Ok(86_400));
        for (given, seconds) in [("0", 0), ("604800", 604_800)] {
            assert_eq!(overlap(&format!(r#"{{"overlap_seconds": {given}}}"#)), Ok(seconds));
        }
        for bad in ["604801", "-1", "1.0", "1e3", "1e999", "\"1\"", "null", "true", "99999999999999999999"] {
            assert!(overlap(&format!(r#"{{"overlap_seconds": {bad}}}"#)).is_err(), "{bad}");
        }
    }
}
