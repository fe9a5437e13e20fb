//! `GET /api/auth/verify`, the hot path, and its spelling for proxies that ask with another's request

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Data;
use cryptopay_auth::{Auth, Credential};
use cryptopay_domain::Permission;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_key::PermissionName;
use crate::error::ApiError;
use crate::extract::Caller;

const X_AUTH_USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const X_AUTH_USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
const X_AUTH_PERMISSIONS: HeaderName = HeaderName::from_static("x-auth-permissions");
const X_AUTH_CREDENTIAL: HeaderName = HeaderName::from_static("x-auth-credential");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for nearly every answer, so that it is allocated once.
const USUAL_LENGTH: usize = 512;

/// What a valid credential is.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerifyResponse<'a> {
    /// Always true: whatever is not valid is a 401.
    valid: bool,
    user: VerifiedUser<'a>,
    /// When the credential stops working by itself; null for a key without end.
    #[schema(required, format = DateTime, example = "2024-01-02T12:00:00Z")]
    expires_at: Option<String>,
    credential: VerifiedCredential<'a>,
    /// `sandbox` or `production`.
    #[schema(pattern = "^(sandbox|production)$", example = "sandbox")]
    environment: &'static str,
}

/// Who a credential acts for.
#[derive(Serialize, ToSchema)]
struct VerifiedUser<'a> {
    #[schema(example = 123)]
    id: i64,
    #[schema(example = "your-username")]
    username: &'a str,
    /// What the credential effectively opens.
    #[schema(value_type = Vec<PermissionName>, example = json!(["read", "create_payments"]))]
    permissions: Vec<&'static str>,
}

/// The credential itself.
#[derive(Serialize, ToSchema)]
struct VerifiedCredential<'a> {
    /// `access_token` or `api_key`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(access_token|api_key)$", example = "api_key")]
    kind: &'static str,
    /// The session's or the key's identifier.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: &'a str,
    /// The key's name; null for an access token.
    #[schema(required, example = "Checkout server")]
    name: Option<&'a str>,
}

/// Checks the credential it is asked with
///
/// The answer's `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Permissions` (comma-separated) and
/// `X-Auth-Credential` (`api_key:<id>` or `access_token:<session id>`) headers say the same, for proxies.
#[utoipa::path(
    get, path = "/api/auth/verify", operation_id = "verify", tag = "verification",
    params(("permission" = Option<PermissionName>, Query, description = "Answer 403 unless the credential opens this, too.")),
    responses((status = 200, description = "The credential is valid.", body = VerifyResponse, headers(
        ("X-Auth-User-Id" = i64, description = "`user.id`"),
        ("X-Auth-Username" = String, description = "`user.username`"),
        ("X-Auth-Permissions" = String, description = "`user.permissions`, separated by commas without blanks"),
        ("X-Auth-Credential" = String, description = "`credential.type`, a colon, `credential.id`"),
    ))),
)]
pub(crate) async fn verify(auth: Data<Auth>, caller: Caller) -> Result<HttpResponse, ApiError> {
    answer(&auth, &caller)
}

/// Checks a credential for a proxy that asks with the original request
///
/// Path, method, body and every query parameter but `permission` are the original request's and are not
/// looked at (Envoy's `ext_authz` sends them). The answer is that of `verify`.
#[utoipa::path(
    method(get, post, put, patch, delete, options, head),
    path = "/api/auth/verify/ext/{path}", operation_id = "verifyFor", tag = "verification",
    params(
        ("path" = String, Path, description = "Anything, slashes included."),
        ("permission" = Option<PermissionName>, Query, description = "Answer 403 unless the credential opens this, too."),
    ),
    responses((status = 200, description = "The credential is valid.", body = VerifyResponse, headers(
        ("X-Auth-User-Id" = i64, description = "`user.id`"),
        ("X-Auth-Username" = String, description = "`user.username`"),
        ("X-Auth-Permissions" = String, description = "`user.permissions`, separated by commas without blanks"),
        ("X-Auth-Credential" = String, description = "`credential.type`, a colon, `credential.id`"),
    ))),
)]
pub(crate) async fn verify_ext(auth: Data<Auth>, caller: Caller) -> Result<HttpResponse, ApiError> {
    answer(&auth, &caller)
}

fn answer(auth: &Auth, caller: &Caller) -> Result<HttpResponse, ApiError> {
    let id = caller.credential.id();
    let kind = caller.credential.kind();
    let body = VerifyResponse {
        valid: true,
        user: VerifiedUser {
            id: caller.user_id.0,
            username: &caller.username,
            permissions: caller.permissions.iter().map(Permission::as_str).collect(),
        },
        expires_at: caller.expires_at.map(|end| end.to_string()),
        credential: VerifiedCredential {
            kind,
            id: &id,
            name: match &caller.credential {
                Credential::AccessToken { .. } => None,
                Credential::ApiKey { name, .. } => Some(name),
            },
        },
        environment: auth.environment().as_str(),
    };
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    serde_json::to_writer(&mut json, &body).map_err(|_| ApiError::Internal)?;
    let header = |text: &str| HeaderValue::from_str(text).map_err(|_| ApiError::Internal);
    let mut response = HttpResponse::Ok().body(json);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(X_AUTH_USER_ID, HeaderValue::from(caller.user_id.0));
    headers.insert(X_AUTH_USERNAME, header(&caller.username)?);
    headers.insert(X_AUTH_PERMISSIONS, header(&body.user.permissions.join(","))?);
    headers.insert(X_AUTH_CREDENTIAL, header(&[kind, ":", &id].concat())?);
    Ok(response)
}
