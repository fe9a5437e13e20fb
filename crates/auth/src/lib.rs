//! The auth core: register, log in, refresh, verify, and manage sessions and API keys.
//!
//! Use cases over the rules of `cryptopay-domain`, the tokens of `cryptopay-token` and the rows of
//! `cryptopay-store`. There is no HTTP here, no SQL and no status code; time and randomness are injected.
//!
//! A Rust service embeds it so:
//!
//! ```no_run
//! # use cryptopay_auth::{Auth, AuthConfig, DatabaseUrl};
//! # use cryptopay_domain::{Environment, Permission};
//! # async fn embed(bearer: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let config = AuthConfig::new(Environment::Sandbox, "https://auth.example.com".to_owned());
//! let database = DatabaseUrl::parse("sqlite://data/cryptopay.db")?;
//! let auth = Auth::open(config, &database, "data".as_ref()).await?;
//! let background = auth.run_background();
//! let may_read = auth.authenticate(bearer).await?.allows(Permission::Read);
//! # background.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod activity;
pub mod api_key;
mod api_key_usage;
mod audit;
pub mod authenticate;
pub mod background;
pub mod browser_session;
pub mod change_password;
pub mod clock;
pub mod config;
pub mod context;
pub mod core;
mod credential_cache;
pub mod encryption_key_file;
pub mod failure;
pub mod hasher;
pub mod id_source;
mod installation;
pub mod key_file;
pub mod key_source;
mod key_watch;
pub mod login;
mod login_throttle;
pub mod operator;
pub mod password;
pub mod principal;
pub mod profile;
pub mod refresh;
pub mod register;
mod revocation_set;
mod secret_file;
pub mod session;
pub mod tokens;
mod usage;

pub use self::core::{Auth, StartError};
pub use activity::{Activity, ActivityOutcome};
pub use api_key::{
    ActorRejection, ChangeApiKeyRejection, CreateApiKeyRejection, NewApiKey, NotFound, RevokeApiKeyRejection,
    RotateApiKeyRejection,
};
pub use authenticate::AuthenticationRejection;
pub use background::Background;
pub use browser_session::{BrowserLogin, BrowserSession, NoBrowserSession};
pub use change_password::{ChangePasswordCommand, ChangePasswordRejection};
pub use clock::{Clock, SystemClock};
pub use config::{AuthConfig, Change, LoginThrottle};
pub use context::RequestContext;
pub use cryptopay_domain::login_throttle::Throttled;
pub use cryptopay_store::{DatabaseUrl, Store, StoreConfig, StoreError};
pub use cryptopay_token::{
    AccessToken, ApiKey, BrowserToken, EncryptionKey, EncryptionKeyId, EncryptionRing, KeyListing, KeyRing,
    KeyStatus, OpenError, RefreshToken, SigningKey,
};
pub use encryption_key_file::{EncryptionKeyFile, EncryptionKeyFileError};
pub use failure::{Failure, Outcome};
pub use key_file::{KeyFile, KeyFileError};
pub use key_source::{EncryptionKeySource, KeySource, KeySources};
pub use login::{LoggedIn, LoginCommand, LoginRejection};
pub use principal::{Credential, Principal};
pub use refresh::RefreshRejection;
pub use register::{RegisterCommand, RegisterRejection};
pub use secret_file::SecretFileError;
pub use session::{EndSessionRejection, LoginRequired};
pub use tokens::TokenPair;
