//! The codes of errors, and the status of each.

use actix_web::http::StatusCode;
use utoipa::ToSchema;

/// The codes of the wire; a client may switch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErrorCode {
    InvalidJson,
    ValidationError,
    InvalidToken,
    InvalidCredentials,
    InsufficientPermissions,
    NotFound,
    MethodNotAllowed,
    UsernameTaken,
    EmailTaken,
    Conflict,
    IdempotencyConflict,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    InternalError,
    Overloaded,
}

impl ErrorCode {
    /// Every code, in the order of the contract's table.
    pub(crate) const ALL: [Self; 16] = [
        Self::InvalidJson,
        Self::ValidationError,
        Self::InvalidToken,
        Self::InvalidCredentials,
        Self::InsufficientPermissions,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UsernameTaken,
        Self::EmailTaken,
        Self::Conflict,
        Self::IdempotencyConflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::InternalError,
        Self::Overloaded,
    ];

    /// The code as it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "INVALID_JSON",
            Self::ValidationError => "VALIDATION_ERROR",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::InsufficientPermissions => "INSUFFICIENT_PERMISSIONS",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::UsernameTaken => "USERNAME_TAKEN",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::Conflict => "CONFLICT",
            Self::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::RateLimited => "RATE_LIMITED",
            Self::InternalError => "INTERNAL_ERROR",
            Self::Overloaded => "OVERLOADED",
        }
    }

    /// The status it comes with.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::ValidationError => StatusCode::BAD_REQUEST,
            Self::InvalidToken | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::InsufficientPermissions => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UsernameTaken | Self::EmailTaken | Self::Conflict | Self::IdempotencyConflict => {
                StatusCode::CONFLICT
            }
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn all_codes_are_listed_as_the_document_has_them() {
        let schema = serde_json::to_value(ErrorCode::schema()).unwrap();
        let written: Vec<_> = ErrorCode::ALL.into_iter().map(ErrorCode::as_str).collect();
        assert_eq!(schema["enum"], serde_json::json!(written));
    }
}
