//! Names to addresses, of which only those that may be dialled are handed out.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::policy::TargetPolicy;
use crate::system_lookup::SystemLookup;

/// As many addresses of a name as are dialled: an answer of thousands must not make this server knock at
/// thousands of doors for each webhook.
pub const MAX_DIALLED: usize = 8;

/// What a [`Lookup`] promises: all addresses of a name.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Something that knows names: the system's name servers, or a test.
pub trait Lookup: Send + Sync {
    /// All addresses of a name; dropping the future gives up.
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a>;
}

/// Resolves names, and hands out addresses only if the policy admits every one of them.
///
/// A name that has both a public and a private address is refused altogether: nobody publishes such a name
/// by intention but those who want a guard to see the one and a client to dial the other, and an endpoint
/// that works or not by the order of an answer would be worse to its owner than one that never does.
#[derive(Clone)]
pub struct Resolver {
    policy: Arc<TargetPolicy>,
    lookup: Arc<dyn Lookup>,
}

/// Why a name has no address to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It does not resolve, for whatever reason.
    #[error("the name does not resolve")]
    NoAddress,
    /// It has an address that the policy does not admit.
    #[error("the name has an address that is not public")]
    NotPublic,
}

impl Resolver {
    /// A resolver that asks the system's name servers.
    ///
    /// # Errors
    /// When the system's configuration cannot be made sense of.
    pub fn system(policy: TargetPolicy) -> io::Result<Self> {
        Ok(Self::new(policy, Arc::new(SystemLookup::new()?)))
    }

    /// A resolver that asks `lookup`.
    #[must_use]
    pub fn new(policy: TargetPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy: Arc::new(policy), lookup }
    }

    /// What may be dialled.
    #[must_use]
    pub fn policy(&self) -> &TargetPolicy {
        &self.policy
    }

    /// The addresses of a name, one to [`MAX_DIALLED`]; each may be dialled.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut addresses = self.lookup.lookup(name).await.map_err(|error| {
            tracing::debug!(name, %error, "a webhook's name does not resolve");
            ResolveError::NoAddress
        })?;
        if addresses.is_empty() {
            return Err(ResolveError::NoAddress);
        }
        if !addresses.iter().all(|address| self.policy.admits(*address)) {
            return Err(ResolveError::NotPublic);
        }
        addresses.truncate(MAX_DIALLED);
        Ok(addresses)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resolver").field("policy", &self.policy).finish_non_exhaustive()
    }
}
