//! The auth core on a test database, with a test clock and cheap password hashes.

use std::sync::Arc;

use cryptopay_auth::hasher::{HasherConfig, ScryptCost};
use cryptopay_auth::{
    Auth, AuthConfig, KeySources, LoggedIn, LoginCommand, LoginThrottle, Principal, RegisterCommand,
    RequestContext,
};
use cryptopay_domain::{ClientAddress, DisplayName, EmailAddress, Environment, User, Username};
use ring::rand::SystemRandom;
use secrecy::SecretString;

use crate::clock::TestClock;
use crate::database::{Backend, TestDatabase};

/// A password that satisfies the policy.
pub const PASSWORD: &str = "violet-Tractor-91-moss";
/// Another one.
pub const OTHER_PASSWORD: &str = "gravel+Lantern.77.tide";

/// One or more replicas of the auth core on one database. Clones share core and database.
#[derive(Clone)]
pub struct TestAuth {
    /// The core.
    pub auth: Auth,
    /// Its clock.
    pub clock: TestClock,
    /// Its database.
    pub database: TestDatabase,
}

impl TestAuth {
    /// A core in the sandbox, its revocations loaded, without background tasks: a test that needs them calls
    /// [`Auth::run_background`].
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, test_config()).await
    }

    /// The same with settings of the test's choice.
    pub async fn start_with(backend: Backend, config: AuthConfig) -> Self {
        Self::start_on(TestDatabase::create(backend).await, config).await
    }

    /// The same on a database of the test's choice.
    pub async fn start_on(database: TestDatabase, config: AuthConfig) -> Self {
        let clock = TestClock::new();
        let auth = replica(&database, &clock, config).await;
        Self { auth, clock, database }
    }

    /// A core that has not read the revocation feed yet, as a server just after its start.
    pub async fn start_unloaded(backend: Backend) -> Self {
        let database = TestDatabase::create(backend).await;
        let clock = TestClock::new();
        let auth = unloaded(&database, &clock, test_config()).await;
        Self { auth, clock, database }
    }

    /// Another replica on the same database and key files.
    pub async fn replica(&self) -> Auth {
        replica(&self.database, &self.clock, self.auth.config().clone()).await
    }

    /// Another replica on the same database and key files, configured in another way.
    pub async fn replica_with(&self, config: AuthConfig) -> Auth {
        replica(&self.database, &self.clock, config).await
    }

    /// Registers a merchant whose password is [`PASSWORD`].
    pub async fn register(&self, username: &str) -> User {
        let command = RegisterCommand {
            username: Username::parse(username).expect("a username"),
            email: EmailAddress::parse(&format!("{username}@example.com")).expect("an address"),
            password: SecretString::from(PASSWORD),
            shop_name: DisplayName::parse("Test Shop").expect("a name"),
        };
        self.auth.register(command, &context()).await.expect("registration")
    }

    /// Logs a merchant in with [`PASSWORD`].
    pub async fn login(&self, username: &str) -> LoggedIn {
        self.auth.login(login_command(username, PASSWORD), &context()).await.expect("login")
    }

    /// Registers a merchant, logs in, and gives the login's principal.
    pub async fn principal(&self, username: &str) -> Arc<Principal> {
        self.register(username).await;
        let login = self.login(username).await;
        self.auth.authenticate(login.access.expose()).await.expect("a fresh access token")
    }
}

async fn replica(database: &TestDatabase, clock: &TestClock, config: AuthConfig) -> Auth {
    let auth = unloaded(database, clock, config).await;
    auth.load_revocations().await.expect("the feed can be read");
    auth
}

async fn unloaded(database: &TestDatabase, clock: &TestClock, config: AuthConfig) -> Auth {
    let keys = KeySources::in_directory(database.directory());
    let store = database.open().await;
    let random = Arc::new(SystemRandom::new());
    Auth::start(config, store, keys, Arc::new(clock.clone()), random).await.expect("the core starts")
}

/// The sandbox, with password hashes that cost next to nothing and as many of them at once as asked for.
#[must_use]
pub fn test_config() -> AuthConfig {
    let mut config = AuthConfig::new(Environment::Sandbox, "http://localhost:8080".to_owned());
    config.hasher = HasherConfig {
        cost: ScryptCost { log_n: 4, r: 8, p: 1 },
        queue: 10_000,
        waiting_per_network: 10_000,
        ..HasherConfig::default()
    };
    config
}

/// The same without the login throttle: for tests of many logins at once.
#[must_use]
pub fn unthrottled_config() -> AuthConfig {
    AuthConfig { login_throttle: LoginThrottle::Off, ..test_config() }
}

/// A login as somebody types it.
#[must_use]
pub fn login_command(username: &str, password: &str) -> LoginCommand {
    LoginCommand { username: username.to_owned(), password: SecretString::from(password) }
}

/// A request from 192.0.2.7.
#[must_use]
pub fn context() -> RequestContext {
    context_from("192.0.2.7")
}

/// A request from this address.
#[must_use]
pub fn context_from(address: &str) -> RequestContext {
    RequestContext {
        client: ClientAddress::new(address.parse().expect("an address")),
        user_agent: Some("test/1.0".to_owned()),
        request_id: "test-request".to_owned(),
    }
}
