//! API keys on the wire.

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::{Permission, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    pub(crate) key: &'a str,
    #[serde(flatten)]
    pub(crate) details: ApiKeyBody,
}

impl ApiKeyBody {
    /// The key as it stands at `now`.
    pub(crate) fn at(now: Timestamp, key: ApiKey) -> Self {
        Self {
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
}
