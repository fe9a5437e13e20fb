//! Rate limits: how many requests a client, or a credential, may send in which time.
//!
//! | to read about | see |
//! |---|---|
//! | what is limited, and which routes count against it | `policy.rs`, the table of `routes.rs` |
//! | how a limit is written, and the defaults | `limit.rs` |
//! | counting in process | `local.rs`, `store.rs` |
//! | counting together with other replicas | `shared.rs`, `gcra.lua` |
//! | what answers tell | `standing.rs`, `fields.rs` |
//!
//! A request is counted against the buckets of its client first, then, once its credential is known to be valid, against
//! those of the credential. It stops at the first that has nothing left: what it has been counted against before stays
//! counted.

mod bucket;
mod few;
mod fields;
mod limit;
mod local;
mod policy;
mod redis_server;
mod route_limits;
mod shared;
mod standing;
mod store;
mod time;
mod worker;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cryptopay_domain::Environment;

pub(crate) use fields::RateLimitFields;
pub use limit::{RateLimit, RateLimitError, RateLimits};
pub use policy::Budget;
pub use redis_server::{RedisAway, RedisServer, RedisUrlError};
pub(crate) use route_limits::{Counted, RouteLimits};
pub(crate) use standing::whole_seconds;
pub(crate) use worker::WorkerLimiter;

use local::Local;
use shared::{Link, Shared};
use time::Time;

/// Counts requests. Clones count together.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    limits: RateLimits,
    local: Arc<Local>,
    shared: Option<Arc<Shared>>,
}

impl RateLimiter {
    /// Counts in this process.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        Self::by(limits, Time::running())
    }

    /// Counts in this process, by a time of the caller's: how long ago some moment was.
    #[must_use]
    pub fn with_time(limits: RateLimits, time: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::by(limits, Time::Told(Arc::new(time)))
    }

    /// Counts in Redis or Valkey, together with every process that does; by itself while that is away.
    #[must_use]
    pub fn shared_through(self, server: RedisServer) -> Self {
        let shared = Shared::new(server, self.limits.clone());
        Self { shared: Some(Arc::new(shared)), ..self }
    }

    /// As a worker thread of a server of `environment` has it.
    pub(crate) fn for_worker(&self, environment: Environment) -> WorkerLimiter {
        let link = self.shared.as_ref().map(|shared| {
            let prefix = format!("cryptopay:rate-limit:{environment}");
            Rc::new(Link::new(Arc::clone(shared), prefix))
        });
        WorkerLimiter::new(self.limits.clone(), Arc::clone(&self.local), link)
    }

    fn by(limits: RateLimits, time: Time) -> Self {
        let local = Arc::new(Local::new(&limits, time));
        Self { limits, local, shared: None }
    }
}
