//! A merchant's account on the wire.

use cryptopay_domain::User;
use serde::Serialize;
use utoipa::ToSchema;

/// A merchant's account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// The account's number.
    #[schema(example = 123)]
    id: i64,
    /// As it was registered; matched without regard to case.
    #[schema(example = "your-username")]
    username: String,
    #[schema(example = "your-email@example.com")]
    email: String,
    #[schema(example = "Your Business Name")]
    shop_name: String,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
}

/// An account, as the answer to a change or a question about it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserResponse {
    user: UserBody,
}

/// The part of an account that a login tells.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedInUser {
    #[schema(example = 123)]
    id: i64,
    #[schema(example = "your-username")]
    username: String,
    #[schema(example = "your-email@example.com")]
    email: String,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            username: user.username,
            email: user.email,
            shop_name: user.shop_name,
            created_at: user.created_at.to_string(),
        }
    }
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self { user: user.into() }
    }
}

impl From<User> for LoggedInUser {
    fn from(user: User) -> Self {
        Self { id: user.id.0, username: user.username, email: user.email }
    }
}
