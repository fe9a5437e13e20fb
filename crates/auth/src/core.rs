//! The auth core itself: what all use cases share, and how it starts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use cryptopay_domain::Environment;
use cryptopay_store::{DatabaseUrl, Store, StoreConfig, StoreError};
use cryptopay_token::{EncryptionRing, KeyListing, KeyRing, RefreshContext, TokenContext};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Handle;

use crate::clock::{Clock, SystemClock};
use crate::config::AuthConfig;
use crate::credential_cache::CredentialCache;
use crate::failure::Failure;
use crate::hasher::{HashLoad, Hasher, ScryptCostError};
use crate::id_source::{IdSource, RandomnessError};
use crate::installation::check_installation;
use crate::key_source::KeySources;
use crate::revocation_set::RevocationSet;
use crate::usage::Usage;

/// The auth core. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Auth {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: AuthConfig,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdSource,
    pub(crate) hasher: Hasher,
    pub(crate) ring: ArcSwap<KeyRing>,
    pub(crate) encryption: ArcSwap<EncryptionRing>,
    pub(crate) keys: KeySources,
    pub(crate) token_context: TokenContext,
    pub(crate) generation: AtomicU64,
    pub(crate) revocations: RevocationSet,
    pub(crate) remembered: CredentialCache,
    pub(crate) usage: Usage,
    /// Keys the hash under which the audit log keeps names that belong to nobody.
    pub(crate) typed_name_key: hmac::Key,
}

/// Why the auth core does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    KeyFile(#[from] crate::key_file::KeyFileError),
    /// The encryption keys cannot be used.
    #[error(transparent)]
    EncryptionKeyFile(#[from] crate::encryption_key_file::EncryptionKeyFileError),
    /// The cost of password hashes is out of bounds.
    #[error(transparent)]
    ScryptCost(#[from] ScryptCostError),
    /// There are no random bits.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The database belongs to the other environment.
    #[error(
        "this database belongs to the {stored} environment, and this server is configured for {configured}; \
         give each environment a database of its own"
    )]
    OtherEnvironment {
        /// What the database says.
        stored: Environment,
        /// What the configuration says.
        configured: Environment,
    },
    /// The database knows tokens under another name.
    #[error(
        "this database issues tokens as '{stored}', and the configured public URL is '{configured}'; tokens \
         issued so far would stop working. If that is meant, start once with --accept-issuer-change"
    )]
    OtherIssuer {
        /// What the database says.
        stored: String,
        /// What the configuration says.
        configured: String,
    },
    /// Another replica signs with a key that is not in our ring.
    #[error(
        "the replicas on this database sign with the key {stored}, which is not among this server's signing \
         keys (its active one is {active}). Give every replica the same CRYPTOPAY_SIGNING_KEYS or the same \
         key file. If the change is meant, start once with --accept-signing-key-change"
    )]
    OtherSigningKey {
        /// What the database says.
        stored: String,
        /// Our active key.
        active: String,
    },
    /// Secrets in the database are sealed with a key that is not in our ring.
    #[error(
        "the secrets in this database are sealed with the encryption key {stored}, which is not among this \
         server's (its active one is {active}). Give every replica the same CRYPTOPAY_ENCRYPTION_KEYS or the same \
         key file. If the key is lost, start once with --accept-encryption-key-change: what it sealed stays \
         unreadable, and no webhook endpoint with such a secret is delivered to until its merchant rotates the \
         secret"
    )]
    OtherEncryptionKey {
        /// What the database says.
        stored: String,
        /// Our active key.
        active: String,
    },
}

impl Auth {
    /// Opens the auth core for embedding: brings the schema of `database` up to date, keeps its keys in
    /// `directory`, and reads the revocation feed once. Uses the system's clock and random numbers.
    ///
    /// Call [`Auth::run_background`] next, on a multi-thread runtime.
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub async fn open(
        config: AuthConfig,
        database: &DatabaseUrl,
        directory: &Path,
    ) -> Result<Self, StartError> {
        Store::migrate(database).await?;
        let store = Store::open(database, StoreConfig::default(), Handle::current())?;
        let keys = KeySources::in_directory(directory);
        let auth =
            Self::start(config, store, keys, Arc::new(SystemClock), Arc::new(SystemRandom::new())).await?;
        auth.load_revocations().await?;
        Ok(auth)
    }

    /// Starts the core on a store whose schema is up to date: checks that the installation is the one
    /// configured, writing its identity at first start.
    ///
    /// Until [`Auth::run_background`] has read the revocation feed once, every credential is answered with
    /// [`Failure::Unavailable`].
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub async fn start(
        config: AuthConfig,
        store: Store,
        keys: KeySources,
        clock: Arc<dyn Clock>,
        random: Arc<dyn SecureRandom + Send + Sync>,
    ) -> Result<Self, StartError> {
        let now = clock.now();
        let ring = keys.signing.load_or_create(now, &*random)?;
        let encryption = keys.encryption.load_or_create(&*random)?;
        let installation = check_installation(&config, &store, &ring, &encryption, now).await?;
        store.raise_longest_access_ttl(config.access_ttl.as_secs()).await?;
        let mut name_key = [0; 32];
        random.fill(&mut name_key).map_err(|_| RandomnessError)?;
        let inner = Inner {
            hasher: Hasher::new(config.hasher, Arc::clone(&random))?,
            token_context: TokenContext::new(config.issuer.clone(), config.environment),
            generation: AtomicU64::new(installation.generation),
            remembered: CredentialCache::new(config.remembered_credentials),
            revocations: RevocationSet::new(),
            usage: Usage::default(),
            ids: IdSource::new(random),
            ring: ArcSwap::from_pointee(ring),
            encryption: ArcSwap::from_pointee(encryption),
            typed_name_key: hmac::Key::new(hmac::HMAC_SHA256, &name_key),
            keys,
            config,
            store,
            clock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sandbox or production.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.inner.config.environment
    }

    /// The settings it was started with.
    #[must_use]
    pub fn config(&self) -> &AuthConfig {
        &self.inner.config
    }

    /// The clock it reads.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// The store it works on.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The keys that seal what has to be read back, as they are now: not to be kept, since their file may change.
    #[must_use]
    pub fn encryption(&self) -> Arc<EncryptionRing> {
        self.inner.encryption.load_full()
    }

    /// How many times a password was hashed, for metrics and tests.
    #[must_use]
    pub fn hash_runs(&self) -> u64 {
        self.inner.hasher.runs()
    }

    /// How many passwords are being hashed or judged, and how many wait for a thread.
    #[must_use]
    pub fn hash_load(&self) -> HashLoad {
        self.inner.hasher.load()
    }

    /// The public keys that verify access tokens, with what each is for.
    #[must_use]
    pub fn published_keys(&self) -> Vec<KeyListing> {
        self.inner.ring.load().published(self.inner.clock.now(), self.inner.config.access_ttl)
    }

    /// Whether requests can be served: the store answers and revocations are known.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] otherwise.
    pub async fn ready(&self) -> Result<(), Failure<std::convert::Infallible>> {
        self.inner.store.ping().await?;
        if self.inner.revocations.is_loaded() { Ok(()) } else { Err(Failure::not_loaded()) }
    }
}

impl Inner {
    pub(crate) fn refresh_context(&self) -> RefreshContext {
        RefreshContext {
            environment: self.config.environment,
            issuer: self.config.issuer.clone(),
            generation: self.generation.load(Ordering::Acquire),
        }
    }
}
