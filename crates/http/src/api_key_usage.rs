//! `/api/auth/api-keys/{id}/usage`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::Auth;
use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::api_key_usage::{ApiKeyUsage, Day, suggest_narrowing};
use cryptopay_domain::{Permission, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_key::PermissionName;
use crate::error::ApiError;
use crate::extract::{Caller, PathId};

/// How an API key is used.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyUsage)]
pub(crate) struct UsageBody {
    /// The key's identifier.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    api_key: String,
    /// The last 14 days in UTC, oldest first, today included; days without a request too.
    days: Vec<DayBody>,
    /// When it was last presented while it was good; null for never.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
    /// When it was last verified without `?permission=`: what for, only whoever asked knows. Null for not in 90 days.
    #[schema(required, format = DateTime)]
    last_verified_at: Option<String>,
    permissions: PermissionsBody,
    /// Fewer permissions that would have done, as `PATCH …/api-keys/{id}` takes them; null where that cannot be said.
    #[schema(required, value_type = Option<Vec<PermissionName>>, example = json!(["read"]))]
    suggested_permissions: Option<Vec<&'static str>>,
}

/// The use of an API key on one day.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyUsageOfDay)]
struct DayBody {
    #[schema(format = Date, example = "2024-01-02")]
    date: String,
    /// All requests that came with the key.
    #[schema(example = 1200)]
    requests: u64,
    /// Those that were refused: 401 because it had ended or was revoked, 403, 429.
    #[schema(example = 3)]
    refusals: u64,
}

/// The use of each permission.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyUsageOfPermissions)]
struct PermissionsBody {
    read: PermissionBody,
    create_payments: PermissionBody,
    manage_webhooks: PermissionBody,
    full_access: PermissionBody,
}

/// The use of one permission.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyUsageOfPermission)]
struct PermissionBody {
    /// When the key was last let in where this is demanded; null for not in 90 days.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
}

/// Shows how an API key is used
///
/// Right to within a minute. A permission counts as used where a route demands it, or `verify` asks about it.
#[utoipa::path(
    get, path = "/api/auth/api-keys/{id}/usage", operation_id = "getApiKeyUsage", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    responses((status = 200, description = "The key's use.", body = UsageBody)),
)]
pub(crate) async fn get(auth: Data<Auth>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    let (key, usage) = auth.find_api_key_usage(&caller, id.parse()?).await?;
    Ok(HttpResponse::Ok().json(UsageBody::at(auth.clock().now(), &key, &usage)))
}

impl UsageBody {
    /// The use as it is known at `now`.
    fn at(now: Timestamp, key: &ApiKey, usage: &ApiKeyUsage) -> Self {
        let days = usage.recent_days(Day::of(now)).map(|(day, counted)| DayBody {
            date: day.to_string(),
            requests: counted.requests,
            refusals: counted.refusals,
        });
        let permission = |permission| PermissionBody { last_used_at: text(usage.last_use(permission)) };
        Self {
            api_key: key.id.to_string(),
            days: days.collect(),
            last_used_at: text(key.last_used_at),
            last_verified_at: text(usage.last_verified()),
            permissions: PermissionsBody {
                read: permission(Permission::Read),
                create_payments: permission(Permission::CreatePayments),
                manage_webhooks: permission(Permission::ManageWebhooks),
                full_access: permission(Permission::FullAccess),
            },
            suggested_permissions: suggest_narrowing(key, usage, now)
                .map(|permissions| permissions.iter().map(Permission::as_str).collect()),
        }
    }
}

fn text(moment: Option<Timestamp>) -> Option<String> {
    moment.map(|moment| moment.to_string())
}
