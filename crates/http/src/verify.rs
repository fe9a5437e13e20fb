//! `GET /api/auth/verify`, the hot path, and its spelling for proxies that ask with another's request

use std::cell::RefCell;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use cryptopay_auth::{Auth, Credential, Principal};
use cryptopay_domain::{Environment, Permission};
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
    method(get, post, put, patch, delete, options, head, trace),
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

/// So many answers each worker remembers.
const REMEMBERED: usize = 256;

thread_local! {
    /// The answers given last, each beside the principal it was made from, found by the principal's address.
    /// Writing one anew costs as much as everything else the route does. Nothing is decided here: the
    /// credential was judged before, and a principal that changes is another value at another address, which
    /// cannot be taken again while this holds it.
    static RECENT: RefCell<Vec<Option<Remembered>>> = const { RefCell::new(Vec::new()) };
}

/// An answer beside the principal it was made from.
struct Remembered {
    principal: Arc<Principal>,
    answer: Answer,
}

/// An answer, ready to be sent.
#[derive(Clone)]
struct Answer {
    json: Bytes,
    user_id: HeaderValue,
    username: HeaderValue,
    permissions: HeaderValue,
    credential: HeaderValue,
}

fn answer(auth: &Auth, caller: &Caller) -> Result<HttpResponse, ApiError> {
    let principal = caller.shared();
    let place = (Arc::as_ptr(principal).addr() / size_of::<Principal>()) % REMEMBERED;
    let answer = RECENT.with_borrow_mut(|recent| match recent.get(place) {
        Some(Some(known)) if Arc::ptr_eq(&known.principal, principal) => Ok(known.answer.clone()),
        _ => {
            let answer = Answer::new(principal, auth.environment())?;
            recent.resize_with(REMEMBERED, || None);
            recent[place] = Some(Remembered { principal: Arc::clone(principal), answer: answer.clone() });
            Ok::<_, ApiError>(answer)
        }
    })?;
    let mut response = HttpResponse::Ok().body(answer.json);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(X_AUTH_USER_ID, answer.user_id);
    headers.insert(X_AUTH_USERNAME, answer.username);
    headers.insert(X_AUTH_PERMISSIONS, answer.permissions);
    headers.insert(X_AUTH_CREDENTIAL, answer.credential);
    Ok(response)
}

impl Answer {
    fn new(principal: &Principal, environment: Environment) -> Result<Self, ApiError> {
        let id = principal.credential.id();
        let body = VerifyResponse {
            valid: true,
            user: VerifiedUser {
                id: principal.user_id.0,
                username: &principal.username,
                permissions: principal.permissions.iter().map(Permission::as_str).collect(),
            },
            expires_at: principal.expires_at.map(|end| end.to_string()),
            credential: VerifiedCredential {
                kind: principal.credential.kind(),
                id: &id,
                name: match &principal.credential {
                    Credential::AccessToken { .. } => None,
                    Credential::ApiKey { name, .. } => Some(name),
                },
            },
            environment: environment.as_str(),
        };
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| ApiError::Internal);
        Ok(Self {
            json: serde_json::to_vec(&body).map_err(|_| ApiError::Internal)?.into(),
            user_id: HeaderValue::from(principal.user_id.0),
            username: header(&principal.username)?,
            permissions: header(&principal.permissions.to_comma_separated())?,
            credential: header(&principal.credential.label())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::{ApiKeyId, SessionId, Timestamp, UserId};
    use uuid::Uuid;

    use super::*;

    fn answer_to(credential: Credential, expires_at: Option<Timestamp>) -> Answer {
        let principal = Principal {
            user_id: UserId(123),
            username: "your-username".to_owned(),
            permissions: [Permission::CreatePayments, Permission::Read].into_iter().collect(),
            expires_at,
            credential,
        };
        Answer::new(&principal, Environment::Sandbox).unwrap()
    }

    #[test]
    fn a_key_is_told_as_the_reference_page_has_it() {
        let credential =
            Credential::ApiKey { id: ApiKeyId(Uuid::from_u128(6)), name: "k \"\u{e4}".to_owned() };
        let answer = answer_to(credential, Some(Timestamp::parse("2024-01-02T12:00:00Z").unwrap()));
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&answer.json).unwrap(),
            serde_json::json!({
                "valid": true,
                "user": {"id": 123, "username": "your-username", "permissions": ["read", "create_payments"]},
                "expires_at": "2024-01-02T12:00:00Z",
                "credential": {
                    "type": "api_key", "id": "00000000000000000000000000000006", "name": "k \"\u{e4}"},
                "environment": "sandbox"})
        );
        assert_eq!(answer.user_id, "123");
        assert_eq!(answer.username, "your-username");
        assert_eq!(answer.permissions, "read,create_payments");
        assert_eq!(answer.credential, "api_key:00000000000000000000000000000006");
    }

    #[test]
    fn an_access_token_has_no_name_and_a_key_may_have_no_end() {
        let session = SessionId(Uuid::from_u128(5));
        let answer = answer_to(Credential::AccessToken { session, refresh_counter: 0 }, None);
        let body = serde_json::from_slice::<serde_json::Value>(&answer.json).unwrap();
        assert_eq!(body["credential"]["name"], serde_json::Value::Null);
        assert_eq!(body["expires_at"], serde_json::Value::Null);
        assert_eq!(answer.credential, "access_token:00000000000000000000000000000005");
    }
}
