//! What the auth core is told at start.

use std::time::Duration;

use cryptopay_domain::Environment;
use cryptopay_domain::session::RefreshPolicy;

use crate::hasher::HasherConfig;

/// Settings of the auth core.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Sandbox or production.
    pub environment: Environment,
    /// The issuer of tokens: the public URL, the same on every replica.
    pub issuer: String,
    /// How long access tokens live.
    pub access_ttl: Duration,
    /// How long refresh tokens live, and how forgiving their reuse is.
    pub refresh: RefreshPolicy,
    /// How passwords are hashed.
    pub hasher: HasherConfig,
    /// Whether attempts at a password have to wait after so many wrong ones.
    pub login_throttle: LoginThrottle,
    /// How long audit events are kept.
    pub audit_kept: Duration,
    /// How many verified credentials are remembered.
    pub remembered_credentials: usize,
    /// Whether tokens may be issued under another name than before.
    pub issuer_change: Change,
    /// Whether tokens may be signed with a key that other replicas do not know.
    pub signing_key_change: Change,
    /// Whether secrets that were sealed with a key that is not at hand are given up.
    pub encryption_key_change: Change,
}

/// Whether attempts at a password have to wait after so many wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginThrottle {
    /// They have to, as [`cryptopay_domain::login_throttle`] says.
    On,
    /// They may come as fast as they are hashed: for load tests.
    Off,
}

/// Whether a change of the installation's identity is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is a mistake: refuse to start.
    Refused,
    /// It is meant: record it.
    Accepted,
}

impl AuthConfig {
    /// The defaults: access tokens for 24 hours, refresh tokens for 30 days, 30 seconds of grace, audit for
    /// 365 days.
    #[must_use]
    pub fn new(environment: Environment, issuer: String) -> Self {
        Self {
            environment,
            issuer,
            access_ttl: Duration::from_secs(86_400),
            refresh: RefreshPolicy { ttl: Duration::from_secs(2_592_000), grace: Duration::from_secs(30) },
            hasher: HasherConfig::default(),
            login_throttle: LoginThrottle::On,
            audit_kept: Duration::from_secs(365 * 86_400),
            remembered_credentials: 50_000,
            issuer_change: Change::Refused,
            signing_key_change: Change::Refused,
            encryption_key_change: Change::Refused,
        }
    }
}
