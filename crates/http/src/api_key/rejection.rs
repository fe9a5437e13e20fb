//! What refusals about API keys are told.

use cryptopay_auth::{
    ActorRejection, ChangeApiKeyRejection, CreateApiKeyRejection, NotFound, RevokeApiKeyRejection,
    RotateApiKeyRejection,
};
use cryptopay_domain::Permission;

use crate::error::{ApiError, Challenge};

impl From<ActorRejection> for ApiError {
    fn from(rejection: ActorRejection) -> Self {
        match rejection {
            ActorRejection::Unauthenticated => Self::Unauthenticated(Challenge::Invalid),
            ActorRejection::InsufficientPermissions => Self::InsufficientPermissions(Permission::FullAccess),
        }
    }
}

impl From<CreateApiKeyRejection> for ApiError {
    fn from(rejection: CreateApiKeyRejection) -> Self {
        match rejection {
            CreateApiKeyRejection::Actor(rejection) => rejection.into(),
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
            ChangeApiKeyRejection::Actor(rejection) => rejection.into(),
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
            RotateApiKeyRejection::Actor(rejection) => rejection.into(),
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
            RevokeApiKeyRejection::Actor(rejection) => rejection.into(),
            RevokeApiKeyRejection::NotFound => Self::NotFound,
        }
    }
}

impl From<NotFound> for ApiError {
    fn from(_: NotFound) -> Self {
        Self::NotFound
    }
}

fn no_permission() -> ApiError {
    ApiError::field("permissions", "must not be empty")
}
