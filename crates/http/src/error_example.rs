//! Each documented error as a route answers it: what the OpenAPI document shows, and what the sandbox
//! answers to whoever asks for it.

use std::time::Duration;

use cryptopay_domain::Permission;

use crate::authority::Authority;
use crate::error::{ApiError, Challenge};
use crate::error_code::ErrorCode;
use crate::route::RouteRow;
use crate::routes::allowed_methods;

/// The error as the route `row` would answer it, if it had that error.
pub(crate) fn of(code: ErrorCode, row: &RouteRow) -> ApiError {
    match code {
        ErrorCode::InvalidJson => {
            ApiError::InvalidJson("The body is not valid JSON: see line 1, column 17.".into())
        }
        ErrorCode::ValidationError => match row.query.names().first() {
            Some(name) => ApiError::field(name, "is given more than once"),
            None => ApiError::field("unknown", "is unknown"),
        },
        ErrorCode::InvalidToken if row.authority.is_protected() => {
            ApiError::Unauthenticated(Challenge::Invalid)
        }
        ErrorCode::InvalidToken => ApiError::RefreshTokenRefused,
        ErrorCode::InvalidCredentials => ApiError::InvalidCredentials,
        ErrorCode::InsufficientPermissions => match row.authority {
            Authority::Login => ApiError::LoginRequired,
            Authority::Permission(permission) => ApiError::InsufficientPermissions(permission),
            Authority::Anyone | Authority::AnyCredential => {
                ApiError::InsufficientPermissions(Permission::CreatePayments)
            }
        },
        ErrorCode::NotFound => ApiError::NotFound,
        ErrorCode::MethodNotAllowed => ApiError::MethodNotAllowed(allowed_methods(row.path).into()),
        ErrorCode::UsernameTaken => ApiError::UsernameTaken,
        ErrorCode::EmailTaken => ApiError::EmailTaken,
        ErrorCode::Conflict => ApiError::Conflict("The object's state forbids it."),
        ErrorCode::IdempotencyConflict => ApiError::IdempotencyConflict,
        ErrorCode::PayloadTooLarge => ApiError::PayloadTooLarge,
        ErrorCode::UnsupportedMediaType => ApiError::UnsupportedMediaType,
        ErrorCode::RateLimited => ApiError::RateLimited { retry_after: Duration::from_secs(60) },
        ErrorCode::InternalError => ApiError::Internal,
        ErrorCode::Overloaded => ApiError::Overloaded { retry_after: Duration::from_secs(1) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn every_code_has_an_example_of_its_own_at_every_route() {
        for row in ROUTES {
            for code in ErrorCode::ALL {
                assert_eq!(of(code, row).code(), code, "{}", row.path);
            }
        }
    }
}
