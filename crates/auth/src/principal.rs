//! Who a request acts for, and with which credential.

use cryptopay_domain::{ApiKeyId, Permission, PermissionSet, SessionId, Timestamp, UserId};

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The merchant.
    pub user_id: UserId,
    /// The merchant's username.
    pub username: String,
    /// What the credential effectively opens.
    pub permissions: PermissionSet,
    /// When the credential stops working by itself, if it does.
    pub expires_at: Option<Timestamp>,
    /// The credential that was presented.
    pub credential: Credential,
}

/// Which kind of credential was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a login session.
    AccessToken {
        /// The session.
        session: SessionId,
        /// The refresh counter that the token was issued with.
        refresh_counter: u64,
    },
    /// An API key.
    ApiKey {
        /// The key's identifier.
        id: ApiKeyId,
        /// What its owner calls it.
        name: String,
    },
}

impl Principal {
    /// Whether the credential opens what `permission` guards.
    #[must_use]
    pub const fn allows(&self, permission: Permission) -> bool {
        self.permissions.allows(permission)
    }

    /// The login session, if a login it is.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::AccessToken { session, .. } => Some(session),
            Credential::ApiKey { .. } => None,
        }
    }

    /// The API key, if one it is.
    #[must_use]
    pub const fn api_key(&self) -> Option<ApiKeyId> {
        match self.credential {
            Credential::ApiKey { id, .. } => Some(id),
            Credential::AccessToken { .. } => None,
        }
    }
}

impl Credential {
    /// `access_token` or `api_key`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AccessToken { .. } => "access_token",
            Self::ApiKey { .. } => "api_key",
        }
    }

    /// The session's or the key's identifier.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::AccessToken { session, .. } => session.to_string(),
            Self::ApiKey { id, .. } => id.to_string(),
        }
    }

    /// `access_token:<session id>` or `api_key:<key id>`: how headers and audit records name it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}:{}", self.kind(), self.id())
    }
}
