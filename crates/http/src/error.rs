//! The one error of the HTTP face and its one shape on the wire.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use cryptopay_auth::Failure;
use cryptopay_domain::{Environment, Permission};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_key::PermissionName;
use crate::error_code::ErrorCode;
use crate::fields::FieldProblems;
use crate::rate_limit::whole_seconds;

/// Every way in which a request can be refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum ApiError {
    /// The body is no JSON object; the text says in which way.
    InvalidJson(Cow<'static, str>),
    /// Fields or query parameters break their rules.
    Validation(FieldProblems),
    /// No acceptable bearer credential.
    Unauthenticated(Challenge),
    /// A refresh token in a body that is worth nothing.
    RefreshTokenRefused,
    /// Unknown user or wrong password: one value for both.
    InvalidCredentials,
    /// A valid credential without this permission.
    InsufficientPermissions(Permission),
    /// An API key where only a login may pass.
    LoginRequired,
    /// No such route.
    RouteNotFound,
    /// No such object of this merchant.
    NotFound,
    /// The route exists, but not for this method; the text is the `Allow` header.
    MethodNotAllowed(Cow<'static, str>),
    /// Somebody has the username.
    UsernameTaken,
    /// Somebody has the e-mail address.
    EmailTaken,
    /// The object's state forbids it; the text says why, and the way out.
    Conflict(&'static str),
    /// The idempotency key belongs to another request.
    IdempotencyConflict,
    /// The body is larger than [`crate::MAX_BODY`].
    PayloadTooLarge,
    /// The body is not declared to be plain JSON.
    UnsupportedMediaType,
    /// Too many requests.
    RateLimited {
        /// When the next one will be let through.
        retry_after: Duration,
    },
    /// Something is broken inside.
    Internal,
    /// The hasher's queue is full or the store is out of reach.
    Overloaded {
        /// When trying again makes sense.
        retry_after: Duration,
    },
}

/// What a bearer-protected route says about the credential it did not get (RFC 6750 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No bearer credential was presented.
    Absent,
    /// One was presented, and it is worth nothing here; never told why.
    Invalid,
    /// A key whose prefix names the other environment: the one cause that is told.
    OtherEnvironment {
        /// What the key's prefix names.
        key: Environment,
        /// What this server serves.
        server: Environment,
    },
}

/// An error on the wire.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorDetails,
    /// Seconds until trying again makes sense; with 429 and 503 only, equal to `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after: Option<u64>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct ErrorDetails {
    /// What a program may switch on.
    #[schema(value_type = ErrorCode, example = "VALIDATION_ERROR")]
    code: &'static str,
    /// What a person may read.
    message: Cow<'static, str>,
    /// With `VALIDATION_ERROR`: what is wrong with each field or query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fields: Option<FieldProblems>,
    /// With `INSUFFICIENT_PERMISSIONS`: what would open the operation; absent where only a login may pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PermissionName, required = false)]
    required_permission: Option<&'static str>,
}

impl ErrorBody {
    /// An error that is told before there is a route: its code is none of the API's own.
    pub(crate) const fn plain(code: &'static str, message: &'static str) -> Self {
        let message = Cow::Borrowed(message);
        let error = ErrorDetails { code, message, fields: None, required_permission: None };
        Self { error, retry_after: None }
    }

    /// Whether it says when trying again makes sense.
    pub(crate) const fn has_retry_after(&self) -> bool {
        self.retry_after.is_some()
    }
}

impl ApiError {
    /// The code on the wire.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidJson(_) => ErrorCode::InvalidJson,
            Self::Validation(_) => ErrorCode::ValidationError,
            Self::Unauthenticated(_) | Self::RefreshTokenRefused => ErrorCode::InvalidToken,
            Self::InvalidCredentials => ErrorCode::InvalidCredentials,
            Self::InsufficientPermissions(_) | Self::LoginRequired => ErrorCode::InsufficientPermissions,
            Self::RouteNotFound | Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed(_) => ErrorCode::MethodNotAllowed,
            Self::UsernameTaken => ErrorCode::UsernameTaken,
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::IdempotencyConflict => ErrorCode::IdempotencyConflict,
            Self::PayloadTooLarge => ErrorCode::PayloadTooLarge,
            Self::UnsupportedMediaType => ErrorCode::UnsupportedMediaType,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Internal => ErrorCode::InternalError,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
        }
    }

    /// A [`ApiError::Validation`] of one field.
    pub(crate) fn field(name: &str, problem: impl Into<String>) -> Self {
        let mut problems = FieldProblems::default();
        problems.add(name, problem);
        Self::Validation(problems)
    }

    /// Whether the answer carries `WWW-Authenticate`.
    pub(crate) fn is_challenge(&self) -> bool {
        self.challenge().is_some()
    }

    /// The error's JSON.
    pub(crate) fn to_body(&self) -> ErrorBody {
        let fields = match self {
            Self::Validation(problems) => Some(problems.clone()),
            _ => None,
        };
        let required_permission = match self {
            Self::InsufficientPermissions(permission) => Some(permission.as_str()),
            _ => None,
        };
        ErrorBody {
            error: ErrorDetails {
                code: self.code().as_str(),
                message: self.message(),
                fields,
                required_permission,
            },
            retry_after: self.retry_after(),
        }
    }

    /// Whole seconds, rounded up, so that whoever waits that long is never early.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } | Self::Overloaded { retry_after } => {
                Some(whole_seconds(*retry_after))
            }
            _ => None,
        }
    }

    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::InvalidJson(problem) => problem.clone(),
            Self::Validation(problems) => Cow::Owned(format!(
                "The request breaks the rules of: {}. See error.fields.",
                problems.names().collect::<Vec<_>>().join(", ")
            )),
            Self::Unauthenticated(Challenge::OtherEnvironment { key, server }) => Cow::Owned(format!(
                "This is an API key of the {key} environment ({}…), but this server serves {server}. \
                 Use a {}… key here, or call the {key} server.",
                key.api_key_prefix(),
                server.api_key_prefix()
            )),
            Self::Unauthenticated(_) | Self::RefreshTokenRefused => {
                Cow::Borrowed("The provided token is invalid or expired")
            }
            Self::InvalidCredentials => Cow::Borrowed("Unknown username or wrong password"),
            Self::InsufficientPermissions(_) => {
                Cow::Borrowed("Your API key doesn't have permission for this operation")
            }
            Self::LoginRequired => {
                Cow::Borrowed("Only a login may do this, never an API key. Log in and use the access token.")
            }
            Self::RouteNotFound => Cow::Borrowed("There is no such route. /docs lists those that exist."),
            Self::NotFound => Cow::Borrowed("There is no such object, or it is not yours"),
            Self::MethodNotAllowed(allow) => {
                Cow::Owned(format!("This route does not answer this method. It answers: {allow}."))
            }
            Self::UsernameTaken => Cow::Borrowed("This username is taken. Choose another one."),
            Self::EmailTaken => Cow::Borrowed(
                "This e-mail address belongs to an account already. Log in, or use another one.",
            ),
            Self::Conflict(problem) => Cow::Borrowed(problem),
            Self::IdempotencyConflict => Cow::Borrowed(
                "This Idempotency-Key was sent with another body in the last 24 hours. Use a new key for a new \
                 request.",
            ),
            Self::PayloadTooLarge => Cow::Borrowed("The body is too large. At most 64 KiB are taken."),
            Self::UnsupportedMediaType => Cow::Borrowed(
                "The body must be plain JSON. Send Content-Type: application/json, and no Content-Encoding.",
            ),
            Self::RateLimited { .. } => Cow::Borrowed("Too many requests. Try again later."),
            Self::Internal => {
                Cow::Borrowed("Something went wrong on our side. X-Request-Id helps us find out what it was.")
            }
            Self::Overloaded { .. } => Cow::Borrowed("The service cannot answer right now. Try again later."),
        }
    }

    /// RFC 6750 §3: the challenge of a bearer-protected route.
    fn challenge(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Unauthenticated(Challenge::Absent) => Some(Cow::Borrowed(r#"Bearer realm="cryptopay""#)),
            Self::Unauthenticated(Challenge::Invalid | Challenge::OtherEnvironment { .. }) => {
                Some(Cow::Borrowed(r#"Bearer realm="cryptopay", error="invalid_token""#))
            }
            Self::InsufficientPermissions(permission) => Some(Cow::Owned(format!(
                r#"Bearer realm="cryptopay", error="insufficient_scope", scope="{permission}""#
            ))),
            Self::LoginRequired => {
                Some(Cow::Borrowed(r#"Bearer realm="cryptopay", error="insufficient_scope""#))
            }
            _ => None,
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(challenge) = self.challenge()
            && let Ok(value) = HeaderValue::from_str(&challenge)
        {
            response.insert_header((header::WWW_AUTHENTICATE, value));
        }
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Self::MethodNotAllowed(allow) = self {
            response.insert_header((header::ALLOW, allow.as_ref()));
        }
        response.json(self.to_body())
    }
}

/// Each use case's rejection says beside its handler what it becomes; the rest is the same for all.
impl<R: Into<ApiError>> From<Failure<R>> for ApiError {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Rejected(rejection) => rejection.into(),
            Failure::Unavailable { retry_after } => Self::Overloaded { retry_after },
            Failure::Fault => Self::Internal,
        }
    }
}

impl From<Infallible> for ApiError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    fn wire(error: &ApiError) -> (u16, serde_json::Value, Option<String>) {
        let response = error.error_response();
        let challenge =
            response.headers().get(header::WWW_AUTHENTICATE).map(|v| v.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let bytes = response.into_body().try_into_bytes().unwrap();
        (status, serde_json::from_slice(&bytes).unwrap(), challenge)
    }

    #[test]
    fn the_reference_page_is_followed_to_the_letter() {
        let (status, body, challenge) = wire(&ApiError::Unauthenticated(Challenge::Invalid));
        assert_eq!(status, 401);
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "code": "INVALID_TOKEN", "message": "The provided token is invalid or expired"}})
        );
        assert_eq!(challenge.unwrap(), r#"Bearer realm="cryptopay", error="invalid_token""#);

        let (status, body, challenge) = wire(&ApiError::InsufficientPermissions(Permission::CreatePayments));
        assert_eq!(status, 403);
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "code": "INSUFFICIENT_PERMISSIONS",
                "message": "Your API key doesn't have permission for this operation",
                "required_permission": "create_payments"}})
        );
        assert!(challenge.unwrap().ends_with(r#"error="insufficient_scope", scope="create_payments""#));

        let (status, body, challenge) = wire(&ApiError::RateLimited { retry_after: Duration::from_secs(60) });
        assert_eq!(status, 429);
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "code": "RATE_LIMITED", "message": "Too many requests. Try again later."},
                "retry_after": 60})
        );
        assert_eq!(challenge, None);
    }

    #[test]
    fn a_refresh_token_in_a_body_gets_no_challenge_and_the_same_words() {
        let (status, body, challenge) = wire(&ApiError::RefreshTokenRefused);
        assert_eq!((status, challenge), (401, None));
        assert_eq!(body, wire(&ApiError::Unauthenticated(Challenge::Absent)).1);
    }

    #[test]
    fn a_login_only_route_names_no_permission() {
        let (status, body, challenge) = wire(&ApiError::LoginRequired);
        assert_eq!(status, 403);
        assert_eq!(body["error"].get("required_permission"), None);
        assert!(!challenge.unwrap().contains("scope=\""));
    }

    #[test]
    fn a_key_of_the_other_environment_is_told_which_is_which() {
        let challenge =
            Challenge::OtherEnvironment { key: Environment::Production, server: Environment::Sandbox };
        let (_, body, _) = wire(&ApiError::Unauthenticated(challenge));
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("of the production environment"), "{message}");
        assert!(message.contains("serves sandbox"), "{message}");
    }

    #[test]
    fn waiting_times_are_whole_seconds_and_never_too_short() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            let error = ApiError::Overloaded { retry_after: Duration::from_millis(millis) };
            let response = error.error_response();
            assert_eq!(response.headers().get("retry-after").unwrap(), &seconds.to_string());
            assert_eq!(wire(&error).1["retry_after"], seconds);
        }
    }

    #[test]
    fn a_validation_error_names_its_fields() {
        let (status, body, _) = wire(&ApiError::field("email", "is required"));
        assert_eq!(status, 400);
        assert_eq!(body["error"]["fields"], serde_json::json!({"email": ["is required"]}));
    }

    #[test]
    fn a_405_says_what_is_allowed() {
        let response = ApiError::MethodNotAllowed("GET, POST".into()).error_response();
        assert_eq!(response.headers().get("allow").unwrap(), "GET, POST");
    }
}
