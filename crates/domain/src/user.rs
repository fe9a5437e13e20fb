//! Merchants' accounts.

use crate::{Timestamp, UserId};

/// An account, without its password hash: what other layers may pass around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// The username as its owner wrote it; it never changes.
    pub username: String,
    /// The e-mail address as its owner wrote it.
    pub email: String,
    /// The shop's name.
    pub shop_name: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was disabled, if it was.
    pub disabled_at: Option<Timestamp>,
}
