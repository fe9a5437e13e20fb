//! `/api/auth/api-keys` and what lies under it

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{
    Auth, ChangeApiKeyRejection, CreateApiKeyRejection, NewApiKey, NotFound, RevokeApiKeyRejection,
    RotateApiKeyRejection,
};
use cryptopay_domain::api_key::{ApiKey, ApiKeyChange, ApiKeyRequest, DEFAULT_OVERLAP, MAX_OVERLAP};
use cryptopay_domain::{ApiKeyId, DisplayName, Permission, PermissionSet, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::{ApiError, Challenge};
use crate::extract::{Caller, Origin, PathId};
use crate::fields::{Fields, FromFields, quoted, string, text};

/// What a new key shall be.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct ApiKeyCreation {
    /// Trimmed; no control characters.
    #[schema(min_length = 1, max_length = 100, example = "Checkout server")]
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
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Checkout server")]
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

/// What a credential opens: `read` (Read Only), `create_payments` (Create Payments), `manage_webhooks`
/// (Manage Webhooks), `full_access` (Full Access: all operations, API-key management included).
#[derive(ToSchema, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = Permission)]
pub(crate) enum PermissionName {
    Read,
    CreatePayments,
    ManageWebhooks,
    FullAccess,
}

/// Where a key stands in its life: `expiring` was rotated and works until its overlap ends.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApiKeyStatus)]
#[expect(dead_code, reason = "only describes the values")]
enum StatusName {
    Active,
    Expiring,
    Expired,
    Revoked,
}

/// An API key: everything but the key itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyBody {
    /// Its identifier; not the key.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    #[schema(example = "Checkout server")]
    name: String,
    /// The key's first 12 characters.
    #[schema(example = "cp_test_AbC1")]
    prefix: String,
    #[schema(value_type = Vec<PermissionName>, example = json!(["read"]))]
    permissions: Vec<&'static str>,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
    /// The end it was made with; null for none.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// When it was last presented, to within a minute; null for never.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
    #[schema(value_type = StatusName, example = "active")]
    status: &'static str,
}

/// A new API key. This is the only time the key itself is seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewApiKeyBody<'a> {
    /// The key: the bearer credential. Kept nowhere; only its hash is.
    #[schema(pattern = "^cp_(live|test)_[0-9A-Za-z]{49}$", example = "cp_test_…")]
    key: &'a str,
    #[serde(flatten)]
    details: ApiKeyBody,
}

/// Lists the API keys
///
/// Expired and revoked ones too, for 90 days. An API key sees itself and the keys made under it.
#[utoipa::path(
    get, path = "/api/auth/api-keys", operation_id = "listApiKeys", tag = "API keys",
    params(PageParameters),
    responses((status = 200, description = "The keys, newest first.", body = ListBody<ApiKeyBody>)),
)]
pub(crate) async fn list(
    auth: Data<Auth>,
    caller: Caller,
    list: ListRequest<ApiKeyId>,
) -> Result<HttpResponse, ApiError> {
    let page = auth.list_api_keys(&caller, list.page()).await?;
    let now = auth.clock().now();
    Ok(HttpResponse::Ok().json(list.answer(page, |key| view(key, now))))
}

/// Makes an API key
///
/// The answer is the only time the key is seen. At most 100 active keys a merchant.
#[utoipa::path(
    post, path = "/api/auth/api-keys", operation_id = "createApiKey", tag = "API keys",
    request_body = ApiKeyCreation,
    responses((status = 201, description = "The key.", body = NewApiKeyBody)),
)]
pub(crate) async fn create(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    Submitted(Creation(request)): Submitted<Creation>,
) -> Result<HttpResponse, ApiError> {
    let new = auth.create_api_key(&caller, request, &origin).await?;
    Ok(created(&auth, new))
}

/// Shows one API key
#[utoipa::path(
    get, path = "/api/auth/api-keys/{id}", operation_id = "getApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    responses((status = 200, description = "The key's details.", body = ApiKeyBody)),
)]
pub(crate) async fn get(auth: Data<Auth>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    let key = auth.find_api_key(&caller, id.parse()?).await?;
    Ok(shown(&auth, key))
}

/// Renames or narrows an API key
///
/// Narrowing reaches the keys made under it, and takes effect at once like a revocation.
#[utoipa::path(
    patch, path = "/api/auth/api-keys/{id}", operation_id = "changeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    request_body = ApiKeyChangeRequest,
    responses((status = 200, description = "The key as it is now.", body = ApiKeyBody)),
)]
pub(crate) async fn change(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Change(change)): Submitted<Change>,
) -> Result<HttpResponse, ApiError> {
    let key = auth.change_api_key(&caller, id.parse()?, change, &origin).await?;
    Ok(shown(&auth, key))
}

/// Revokes an API key
///
/// At once, and the keys made under it with it. Doing it again answers the same.
#[utoipa::path(
    delete, path = "/api/auth/api-keys/{id}", operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    responses((status = 200, description = "The key, now revoked.", body = ApiKeyBody)),
)]
pub(crate) async fn revoke(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let key = auth.revoke_api_key(&caller, id.parse()?, &origin).await?;
    Ok(shown(&auth, key))
}

/// Rotates an API key
///
/// Makes a successor with the same name, permissions and end. The old key works on for the overlap, then
/// stops by itself. If the answer was lost, rotate again: a successor that nobody has used is replaced.
#[utoipa::path(
    post, path = "/api/auth/api-keys/{id}/rotate", operation_id = "rotateApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    request_body = ApiKeyRotation,
    responses((status = 201, description = "The successor.", body = NewApiKeyBody)),
)]
pub(crate) async fn rotate(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Rotation { overlap }): Submitted<Rotation>,
) -> Result<HttpResponse, ApiError> {
    let new = auth.rotate_api_key(&caller, id.parse()?, overlap, &origin).await?;
    Ok(created(&auth, new))
}

#[derive(Debug)]
pub(crate) struct Creation(ApiKeyRequest);

#[derive(Debug)]
pub(crate) struct Change(ApiKeyChange);

#[derive(Debug)]
pub(crate) struct Rotation {
    overlap: Duration,
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

impl From<CreateApiKeyRejection> for ApiError {
    fn from(rejection: CreateApiKeyRejection) -> Self {
        match rejection {
            CreateApiKeyRejection::Unauthenticated => GONE_MEANWHILE,
            CreateApiKeyRejection::InsufficientPermissions => NO_LONGER_FULL,
            CreateApiKeyRejection::NoPermission => no_permission(),
            CreateApiKeyRejection::MorePermission => {
                Self::field("permissions", "must not hold more than the API key that makes the key has")
            }
            CreateApiKeyRejection::EndNotInFuture => {
                Self::field("expires_at", "must lie in the future, or be null for no end")
            }
            CreateApiKeyRejection::LaterEnd => {
                Self::field("expires_at", "must not be later than the end of the API key that makes the key")
            }
            CreateApiKeyRejection::TooMany => {
                Self::Conflict("You have 100 active API keys, as many as there may be. Revoke one first.")
            }
        }
    }
}

impl From<ChangeApiKeyRejection> for ApiError {
    fn from(rejection: ChangeApiKeyRejection) -> Self {
        match rejection {
            ChangeApiKeyRejection::Unauthenticated => GONE_MEANWHILE,
            ChangeApiKeyRejection::InsufficientPermissions => NO_LONGER_FULL,
            ChangeApiKeyRejection::NotFound => Self::NotFound,
            ChangeApiKeyRejection::NoPermission => no_permission(),
            ChangeApiKeyRejection::MorePermission => Self::field(
                "permissions",
                "must be a subset of the key's present ones; to widen, make another key",
            ),
            ChangeApiKeyRejection::Conflict => {
                Self::Conflict("This API key has expired or was revoked. Make another one.")
            }
        }
    }
}

impl From<RotateApiKeyRejection> for ApiError {
    fn from(rejection: RotateApiKeyRejection) -> Self {
        match rejection {
            RotateApiKeyRejection::Unauthenticated => GONE_MEANWHILE,
            RotateApiKeyRejection::InsufficientPermissions => NO_LONGER_FULL,
            RotateApiKeyRejection::NotFound => Self::NotFound,
            RotateApiKeyRejection::Conflict => Self::Conflict(
                "This API key cannot be rotated: it has expired, was revoked, or its successor is in use. \
                 Rotate the successor, or make another key.",
            ),
        }
    }
}

impl From<RevokeApiKeyRejection> for ApiError {
    fn from(rejection: RevokeApiKeyRejection) -> Self {
        match rejection {
            RevokeApiKeyRejection::Unauthenticated => GONE_MEANWHILE,
            RevokeApiKeyRejection::InsufficientPermissions => NO_LONGER_FULL,
            RevokeApiKeyRejection::NotFound => Self::NotFound,
        }
    }
}

impl From<NotFound> for ApiError {
    fn from(_: NotFound) -> Self {
        Self::NotFound
    }
}

/// A key that ended, or a user who was disabled, between the gate and the use case.
const GONE_MEANWHILE: ApiError = ApiError::Unauthenticated(Challenge::Invalid);
/// A key that was narrowed between the gate and the use case.
const NO_LONGER_FULL: ApiError = ApiError::InsufficientPermissions(Permission::FullAccess);

fn no_permission() -> ApiError {
    ApiError::field("permissions", "must not be empty")
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

fn created(auth: &Auth, new: NewApiKey) -> HttpResponse {
    let details = view(new.details, auth.clock().now());
    HttpResponse::Created().json(NewApiKeyBody { key: new.key.expose(), details })
}

fn shown(auth: &Auth, key: ApiKey) -> HttpResponse {
    HttpResponse::Ok().json(view(key, auth.clock().now()))
}

fn view(key: ApiKey, now: Timestamp) -> ApiKeyBody {
    ApiKeyBody {
        id: key.id.to_string(),
        status: key.status(now).as_str(),
        name: key.name,
        prefix: key.prefix,
        permissions: key.permissions.iter().map(Permission::as_str).collect(),
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|end| end.to_string()),
        last_used_at: key.last_used_at.map(|used| used.to_string()),
    }
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
