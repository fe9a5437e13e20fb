//! What is asked of API keys.

use std::time::Duration;

use cryptopay_domain::api_key::{ApiKeyChange, ApiKeyRequest, DEFAULT_OVERLAP, MAX_OVERLAP};
use cryptopay_domain::{DisplayName, Permission, PermissionSet, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api_key::PermissionName;
use crate::fields::{Fields, FromFields, quoted, string, text};

/// What a new key shall be.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct ApiKeyCreation {
    /// Trimmed; no control characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$",
        example = "Checkout server"
    )]
    name: String,
    /// What it shall open. Made with an API key, it gets no more than that one has.
    #[schema(min_items = 1)]
    permissions: Vec<PermissionName>,
    /// When it shall end, in the future; null or absent for never.
    #[schema(format = DateTime, example = "2030-01-02T12:00:00Z")]
    expires_at: Option<String>,
}

/// What shall change of a key; at least one of the two.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct ApiKeyChangeRequest {
    /// Trimmed; no control characters.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$",
        example = "Checkout server"
    )]
    name: Option<String>,
    /// A subset of the present ones. Keys made with this one are narrowed with it.
    #[schema(nullable = false, min_items = 1)]
    permissions: Option<Vec<PermissionName>>,
}

/// How a key is rotated.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct ApiKeyRotation {
    /// How many seconds the old key works on, though never past its own end.
    #[schema(nullable = false, minimum = 0, maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u64>,
}

/// [`ApiKeyCreation`], read.
#[derive(Debug)]
pub(crate) struct Creation(pub(crate) ApiKeyRequest);

/// [`ApiKeyChangeRequest`], read.
#[derive(Debug)]
pub(crate) struct Change(pub(crate) ApiKeyChange);

/// [`ApiKeyRotation`], read.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) overlap: Duration,
}

impl FromFields for Creation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", text(DisplayName::parse));
        let permissions = fields.required("permissions", permission_set);
        let expires_at = fields.nullable("expires_at", text(Timestamp::parse));
        Some(Self(ApiKeyRequest { name: name?, permissions: permissions?, expires_at: expires_at? }))
    }
}

impl FromFields for Change {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.optional("name", text(DisplayName::parse));
        let permissions = fields.optional("permissions", permission_set);
        let change = ApiKeyChange { name: name?, permissions: permissions? };
        if change == ApiKeyChange::default() {
            for field in ["name", "permissions"] {
                fields.refuse(field, "is missing: give at least one of name and permissions");
            }
            return None;
        }
        Some(Self(change))
    }
}

impl FromFields for Rotation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let overlap = fields.optional("overlap_seconds", overlap)?;
        Some(Self { overlap: overlap.unwrap_or(DEFAULT_OVERLAP) })
    }
}

fn permission_set(value: &RawValue) -> Result<PermissionSet, String> {
    let names: Vec<&RawValue> =
        serde_json::from_str(value.get()).map_err(|_| "must be an array of permission names".to_owned())?;
    if names.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let permission = |name: &&RawValue| {
        let name = string(name).map_err(|_| "must hold strings alone".to_owned())?;
        name.parse::<Permission>().map_err(|problem| format!("{} is no permission: {problem}", quoted(&name)))
    };
    names.iter().map(permission).collect()
}

fn overlap(value: &RawValue) -> Result<Duration, String> {
    let seconds = serde_json::from_str::<u64>(value.get()).ok();
    let overlap = seconds.map(Duration::from_secs).filter(|overlap| *overlap <= MAX_OVERLAP);
    overlap.ok_or_else(|| format!("must be a whole number from 0 to {}", MAX_OVERLAP.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::FieldProblems;
    use crate::json_object;

    fn read<T: FromFields>(json: &str) -> Result<T, serde_json::Value> {
        let given = json_object::parse(json.as_bytes()).unwrap();
        Fields::read(given, FieldProblems::default())
            .map_err(|problems| serde_json::to_value(problems).unwrap())
    }

    #[test]
    fn a_key_without_an_end_may_say_so_or_not() {
        for json in [
            r#"{"name": " k ", "permissions": ["read"]}"#,
            r#"{"name": "k", "permissions": ["read", "read"], "expires_at": null}"#,
        ] {
            let Creation(request) = read(json).unwrap();
            assert_eq!(request.name.as_str(), "k");
            assert_eq!(request.permissions.to_comma_separated(), "read");
            assert_eq!(request.expires_at, None);
        }
    }

    #[test]
    fn every_field_of_a_new_key_is_judged_at_once() {
        let problems = read::<Creation>(r#"{"name": "", "permissions": [], "expires_at": 1}"#).unwrap_err();
        assert_eq!(
            problems,
            serde_json::json!({
                "name": ["must have 1 to 100 characters"],
                "permissions": ["must not be empty"],
                "expires_at": ["must be a string"]})
        );
    }

    #[test]
    fn permissions_are_an_array_of_known_names() {
        for bad in
            [r#""read""#, "{}", "[1]", "[null]", r#"["Read"]"#, r#"["read", "admin"]"#, "[[]]", "1e999"]
        {
            let problems =
                read::<Creation>(&format!(r#"{{"name": "k", "permissions": {bad}}}"#)).unwrap_err();
            assert_eq!(problems.as_object().unwrap().keys().collect::<Vec<_>>(), ["permissions"], "{bad}");
        }
        let problems = read::<Creation>(r#"{"name": "k", "permissions": ["admin"]}"#).unwrap_err();
        assert!(problems["permissions"][0].as_str().unwrap().starts_with("'admin' is no permission"));
    }

    #[test]
    fn a_misspelt_end_never_becomes_a_key_that_lives_for_ever() {
        let problems =
            read::<Creation>(r#"{"name": "k", "permissions": ["read"], "expire_at": "x"}"#).unwrap_err();
        assert_eq!(problems.as_object().unwrap().keys().collect::<Vec<_>>(), ["expire_at"]);
    }

    #[test]
    fn overlaps_are_whole_seconds_within_bounds() {
        let overlap = |json: &str| read::<Rotation>(json).map(|rotation| rotation.overlap.as_secs());
        assert_eq!(overlap("{}"), Ok(86_400));
        for (given, seconds) in [("0", 0), ("2592000", 2_592_000)] {
            assert_eq!(overlap(&format!(r#"{{"overlap_seconds": {given}}}"#)), Ok(seconds));
        }
        for bad in
            ["2592001", "-1", "1.0", "1e3", "1e999", "\"1\"", "null", "true", "99999999999999999999999"]
        {
            assert!(overlap(&format!(r#"{{"overlap_seconds": {bad}}}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_change_is_refused() {
        assert!(read::<Change>("{}").is_err());
        assert!(read::<Change>(r#"{"name": null}"#).is_err());
        assert!(read::<Change>(r#"{"permissions": []}"#).is_err());
        assert!(read::<Change>(r#"{"name": "n"}"#).is_ok());
    }
}
