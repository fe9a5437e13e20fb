//! The payments core itself: what all use cases share.

use std::sync::Arc;

use cryptopay_auth::id_source::{IdSource, RandomnessError};
use cryptopay_auth::{Auth, Failure};
use cryptopay_domain::{Environment, Timestamp};
use cryptopay_store::Store;
use cryptopay_store::webhook_event::Written;
use cryptopay_webhook::Transport;
use ring::rand::SecureRandom;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::PaymentsConfig;
use crate::worker::{AttemptCounter, Attempts, Handover, Turn};

/// Payment orders, webhook endpoints and their deliveries. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Payments {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) auth: Auth,
    pub(crate) config: PaymentsConfig,
    pub(crate) transport: Transport,
    pub(crate) ids: IdSource,
    /// Where what this process commits is handed over to its workers.
    pub(crate) handover: Handover,
    /// Told after each commit of this process that made a delivery due.
    pub(crate) due: Notify,
    /// What came of this process's attempts.
    pub(crate) attempts: AttemptCounter,
}

impl Payments {
    /// Builds the core on an auth core, whose store, clock and encryption keys it uses.
    ///
    /// It accepts orders at once; somebody has to call [`Payments::run_deliveries`], here or in another
    /// replica, before webhooks go out.
    #[must_use]
    pub fn new(
        auth: Auth,
        config: PaymentsConfig,
        transport: Transport,
        random: Arc<dyn SecureRandom + Send + Sync>,
    ) -> Self {
        let ids = IdSource::new(random);
        Self {
            inner: Arc::new(Inner {
                auth,
                config,
                transport,
                ids,
                handover: Handover::default(),
                due: Notify::new(),
                attempts: AttemptCounter::default(),
            }),
        }
    }

    /// Sandbox or production.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.inner.auth.environment()
    }

    /// How many attempts to deliver this process has made.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        self.inner.attempts.read()
    }

    /// The auth core it stands on.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
    }
}

impl Inner {
    pub(crate) fn store(&self) -> &Store {
        self.auth.store()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.auth.clock().now()
    }

    pub(crate) fn random(&self) -> &(dyn SecureRandom + Send + Sync) {
        self.ids.random()
    }

    pub(crate) fn is_sandbox(&self) -> bool {
        self.auth.environment() == Environment::Sandbox
    }

    /// A new identifier, later than all before it.
    pub(crate) fn next_id<R>(&self, now: Timestamp) -> Result<Uuid, Failure<R>> {
        self.ids.next(now).map_err(|error| Failure::fault(&error))
    }

    /// A number that nobody can guess, for spreading retries.
    pub(crate) fn jitter(&self) -> Result<u32, RandomnessError> {
        let mut bytes = [0; 4];
        self.random().fill(&mut bytes).map_err(|_| RandomnessError)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Tells this process's workers what a commit made for them.
    pub(crate) fn tell(&self, turn: Option<Turn>, written: Written) {
        if let Some(turn) = turn {
            turn.hand_over(written.leased);
        }
        // Whatever goes the patient way is in no hurry.
        self.announce(written.prompt);
    }

    /// Wakes this process's workers when a commit made deliveries due the prompt way.
    pub(crate) fn announce(&self, due: usize) {
        if due > 0 {
            self.due.notify_one();
        }
    }
}
