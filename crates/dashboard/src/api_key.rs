//! Settings > API keys.

pub(crate) mod create;
mod expiry;
pub(crate) mod list;
pub(crate) mod narrow;
mod overlap;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod show;

use cryptopay_domain::api_key::{ApiKey, ApiKeyStatus};
use cryptopay_domain::{ApiKeyId, Permission, Timestamp};

use crate::moment::Moment;

/// A key as pages show it.
pub(crate) struct KeyView {
    pub(crate) id: ApiKeyId,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) permissions: Vec<&'static str>,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Option<Moment>,
    /// When it stops by itself, or has stopped.
    pub(crate) ends_at: Option<Moment>,
    pub(crate) revoked_at: Option<Moment>,
    pub(crate) status: ApiKeyStatus,
}

impl KeyView {
    /// Of a key as it is at `now`.
    pub(crate) fn of(key: &ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            permissions: labels(key),
            created_at: Moment(key.created_at),
            last_used_at: key.last_used_at.map(Moment),
            ends_at: key.effective_end().map(Moment),
            revoked_at: key.revoked_at.map(Moment),
            status: key.status(now),
        }
    }

    /// The status in one word, for eyes and ears.
    pub(crate) const fn status_label(&self) -> &'static str {
        match self.status {
            ApiKeyStatus::Active => "Active",
            ApiKeyStatus::Expiring => "Being replaced",
            ApiKeyStatus::Expired => "Expired",
            ApiKeyStatus::Revoked => "Revoked",
        }
    }
}

/// What a key opens. One that opens everything is called by that alone.
fn labels(key: &ApiKey) -> Vec<&'static str> {
    if key.permissions.allows(Permission::FullAccess) {
        return vec![Permission::FullAccess.label()];
    }
    key.permissions.iter().map(Permission::label).collect()
}

/// What a permission opens, in plain words.
pub(crate) const fn opens(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "See payment orders, webhook endpoints and their deliveries. Changes nothing.",
        Permission::CreatePayments => "Create payment orders. Cannot see them again without Read Only.",
        Permission::ManageWebhooks => {
            "Create, change, test and delete webhook endpoints, and send deliveries again."
        }
        Permission::FullAccess => {
            "Everything above, and making, changing and revoking API keys. Only for programs that need it."
        }
    }
}
