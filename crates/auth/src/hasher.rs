//! The password hasher: scrypt on a bounded number of threads, behind a bounded queue.
//!
//! One run of the default cost takes 128 MiB and a fair part of a second. Unbounded, a burst of logins
//! would take the machine's memory; on the threads that serve requests, it would stall all of them.

mod cost;
mod pool;
mod room;
mod stored;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cryptopay_domain::ClientNetwork;
use ring::rand::SecureRandom;
use scrypt::Params;
use zeroize::Zeroizing;

use crate::password::{NewPassword, PasswordAttempt, PasswordHash, PasswordRejection, has_allowed_length};
pub use cost::{ScryptCost, ScryptCostError};
use pool::{Limits, Pool};
use room::Room;
use stored::{SALT_BYTES, StoredHash};

/// How much one hash costs, and how many may be made and waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasherConfig {
    /// The cost of new hashes, and of verifying against nothing.
    pub cost: ScryptCost,
    /// How many run at once, each on a thread of its own; at least one.
    pub permits: usize,
    /// How many may wait, beyond those that run.
    pub queue: usize,
    /// How long one may wait.
    pub deadline: Duration,
    /// How many of one client network may wait.
    pub waiting_per_network: usize,
}

impl Default for HasherConfig {
    /// The default cost; a run for each core, 128 waiting, two for each core of one network; ten seconds.
    fn default() -> Self {
        let permits = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            cost: ScryptCost::default(),
            permits,
            queue: 128,
            deadline: Duration::from_secs(10),
            waiting_per_network: 2 * permits,
        }
    }
}

/// Hashes and verifies passwords. Dropping it ends its threads, each after the run it is in.
pub struct Hasher {
    pool: Pool,
    params: Params,
    dummy: StoredHash,
    runs: Arc<AtomicU64>,
    room: Room,
    random: Arc<dyn SecureRandom + Send + Sync>,
}

/// How busy a hasher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLoad {
    /// How many passwords are being hashed, or judged.
    pub running: usize,
    /// How many wait for a thread.
    pub waiting: usize,
}

/// What verifying a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether there is a stored hash and the password is its password.
    pub matches: bool,
    /// Whether the stored hash was made with another cost than new ones are.
    pub outdated: bool,
}

/// Why a password was neither hashed nor verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// Too many are waiting, in all or from this network, or this one waited too long.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded {
        /// When to try again: whole seconds, one at least, from the queue and how long runs take.
        retry_after: Duration,
    },
    /// A fault: the stored hash is no scrypt hash within bounds.
    #[error("a stored password hash cannot be read")]
    Corrupt,
    /// A fault: the work ended without an answer.
    #[error("hashing ended without an answer")]
    Closed,
    /// A fault: the source of randomness gave no salt.
    #[error("no randomness for a salt")]
    Randomness,
}

impl Hasher {
    /// A hasher at rest: its threads are started when there is work, and end when there is none.
    ///
    /// # Errors
    /// [`ScryptCostError`] when the cost is out of bounds.
    pub fn new(
        config: HasherConfig,
        random: Arc<dyn SecureRandom + Send + Sync>,
    ) -> Result<Self, ScryptCostError> {
        let limits = Limits {
            permits: config.permits.max(1),
            queue: config.queue,
            waiting_per_network: config.waiting_per_network,
            deadline: config.deadline,
            linger: LINGER,
        };
        let params = Params::try_from(config.cost)?;
        let room = Room::find(config.cost.memory().saturating_mul(limits.permits));
        Ok(Self {
            params,
            dummy: StoredHash::dummy(config.cost).ok_or(ScryptCostError)?,
            pool: Pool::new(limits),
            runs: Arc::default(),
            room,
            random,
        })
    }

    /// Judges a new password as [`NewPassword::parse`] does, on the hashing threads. One of a wrong
    /// length is refused without waiting.
    ///
    /// # Errors
    /// [`HasherError::Overloaded`] or [`HasherError::Closed`].
    pub async fn check_new(
        &self,
        text: &str,
        context: &[&str],
        from: ClientNetwork,
    ) -> Result<Result<NewPassword, PasswordRejection>, HasherError> {
        if !has_allowed_length(text) {
            return Ok(NewPassword::parse(text, context));
        }
        let text = Zeroizing::new(text.to_owned());
        let context: Vec<String> = context.iter().map(|&field| field.to_owned()).collect();
        let judge = move || {
            let context: Vec<&str> = context.iter().map(String::as_str).collect();
            NewPassword::parse(&text, &context)
        };
        self.pool.run(from, judge).await
    }

    /// Hashes a password under a fresh salt: a new one, or one that has just been verified against an
    /// outdated hash.
    ///
    /// # Errors
    /// [`HasherError`], [`HasherError::Corrupt`] excepted.
    pub async fn hash(
        &self,
        password: impl Into<PasswordAttempt>,
        from: ClientNetwork,
    ) -> Result<PasswordHash, HasherError> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt).map_err(|_| HasherError::Randomness)?;
        let (params, password) = (self.params, password.into());
        self.run(from, move || stored::hash(params, &salt, &password)).await?.ok_or(HasherError::Closed)
    }

    /// Verifies a password by exactly one run of scrypt, whatever is stored: nothing, or what cannot be
    /// read, costs one run of the current cost, so that time does not tell which users exist.
    ///
    /// # Errors
    /// [`HasherError::Overloaded`] or [`HasherError::Closed`] before an answer is known;
    /// [`HasherError::Corrupt`] after the run.
    pub async fn verify(
        &self,
        attempt: PasswordAttempt,
        stored: Option<PasswordHash>,
        from: ClientNetwork,
    ) -> Result<Verification, HasherError> {
        let stored = stored.map(|hash| StoredHash::parse(&hash).ok_or(HasherError::Corrupt)).transpose();
        let target = match &stored {
            Ok(Some(known)) => known.clone(),
            Ok(None) | Err(_) => self.dummy.clone(),
        };
        let outdated = target.cost() != self.dummy.cost();
        let equal = self.run(from, move || target.matches(&attempt)).await?;
        let known = stored?.is_some();
        Ok(Verification { matches: known && equal, outdated })
    }

    /// How many times scrypt has been run, for metrics, and for tests that count.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// How busy it is.
    #[must_use]
    pub fn load(&self) -> HashLoad {
        self.pool.load()
    }

    async fn run<T: Send + 'static>(
        &self,
        from: ClientNetwork,
        scrypt: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        self.room.leave();
        let runs = Arc::clone(&self.runs);
        let counted = move || {
            runs.fetch_add(1, Ordering::Relaxed);
            scrypt()
        };
        self.pool.run(from, counted).await
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("cost", &self.dummy.cost())
            .field("runs", &self.runs())
            .finish_non_exhaustive()
    }
}

/// How long a thread stays without work. A little longer than mimalloc's purge delay of one second: a thread
/// that ends has it give back what has been free for that long.
const LINGER: Duration = Duration::from_millis(1100);

#[cfg(test)]
mod tests {
    use cryptopay_domain::ClientAddress;
    use ring::rand::SystemRandom;

    use super::*;

    const CHEAP: ScryptCost = ScryptCost { log_n: 4, r: 8, p: 1 };
    /// Made by OpenSSL's scrypt from the bytes 0 to 15 as salt and the password below.
    const KNOWN: &str =
        "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$5R8fREsl8Y9j8w3ig4UkwnJdWGeGgB4XuFT1EyhDetU";
    const PASSWORD: &str = "your-secure-password";

    fn hasher() -> Hasher {
        let config = HasherConfig { cost: CHEAP, permits: 1, ..HasherConfig::default() };
        Hasher::new(config, Arc::new(SystemRandom::new())).unwrap()
    }

    fn anywhere() -> ClientNetwork {
        ClientAddress::new([192, 0, 2, 1].into()).network()
    }

    fn kept(phc: &str) -> Option<PasswordHash> {
        Some(PasswordHash::new(phc.to_owned()))
    }

    async fn verify(hasher: &Hasher, password: &str, phc: &str) -> Result<Verification, HasherError> {
        hasher.verify(PasswordAttempt::new(password), kept(phc), anywhere()).await
    }

    #[tokio::test]
    async fn a_hash_is_verified_by_its_password_alone() {
        let hasher = hasher();
        let password = hasher.check_new(PASSWORD, &[], anywhere()).await.unwrap().unwrap();
        let hash = hasher.hash(password.clone(), anywhere()).await.unwrap();
        assert!(hash.expose().starts_with("$scrypt$ln=4,r=8,p=1$"), "{}", hash.expose());
        let again = hasher.hash(password, anywhere()).await.unwrap();
        assert_ne!(hash.expose(), again.expose(), "each has a salt of its own");
        for hash in [&hash, &again] {
            let found = verify(&hasher, PASSWORD, hash.expose()).await;
            assert_eq!(found, Ok(Verification { matches: true, outdated: false }));
        }
        let found = verify(&hasher, "your-secure-passwort", hash.expose()).await;
        assert_eq!(found, Ok(Verification { matches: false, outdated: false }));
    }

    #[tokio::test]
    async fn hashes_made_by_openssl_are_verified() {
        let unicode =
            "$scrypt$ln=10,r=8,p=1$EBESExQVFhcYGRobHB0eHw$CTR8DPhBnuDFi6UsfPkTGOH6hKIHi7CDeiLpMGGkKNk";
        let parallel =
            "$scrypt$ln=5,r=2,p=3$ICEiIyQlJicoKSorLC0uLw$qsNXoESGH3ZNddA8JPkil7h8RcmgTCckLxE6jS25l00";
        let hasher = hasher();
        for (password, phc) in [
            (PASSWORD, KNOWN),
            ("cafe\u{301} ｐass 🐎\0", unicode),
            ("caf\u{e9} pass 🐎\0", unicode),
            ("orchid-tandem-42", parallel),
        ] {
            assert!(verify(&hasher, password, phc).await.unwrap().matches, "{phc}");
            assert!(!verify(&hasher, "another", phc).await.unwrap().matches, "{phc}");
        }
    }

    #[test]
    fn hashes_are_the_ones_openssl_makes() {
        let salt: [u8; SALT_BYTES] = std::array::from_fn(|index| index as u8);
        let password = PasswordAttempt::new(PASSWORD);
        let hash = |cost| stored::hash(Params::try_from(cost).unwrap(), &salt, &password).unwrap();
        assert_eq!(hash(CHEAP).expose(), KNOWN);
        assert_eq!(
            hash(ScryptCost::default()).expose(),
            "$scrypt$ln=17,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$TbyV/3B/m9mGYt5FeH49XVD70S1bd/W2mcLvTjw1p7M"
        );
    }

    #[tokio::test]
    async fn every_attempt_is_exactly_one_run() {
        let hasher = hasher();
        let over_long = "a".repeat(257);
        let refused = Ok(Verification { matches: false, outdated: false });
        let attempt = PasswordAttempt::new(PASSWORD);
        assert!(hasher.verify(attempt.clone(), kept(KNOWN), anywhere()).await.unwrap().matches);
        assert_eq!(hasher.runs(), 1);
        assert_eq!(hasher.verify(attempt.clone(), None, anywhere()).await, refused);
        assert_eq!(hasher.runs(), 2);
        assert_eq!(verify(&hasher, &over_long, KNOWN).await, refused);
        assert_eq!(hasher.runs(), 3);
        assert_eq!(verify(&hasher, "", KNOWN).await, refused);
        assert_eq!(hasher.runs(), 4);
        assert_eq!(hasher.verify(attempt, kept("plain"), anywhere()).await, Err(HasherError::Corrupt));
        assert_eq!(hasher.runs(), 5);
        assert!(hasher.check_new("12345678", &[], anywhere()).await.unwrap().is_err());
        assert_eq!(hasher.runs(), 5, "judging a new one is none");
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_matches_and_is_outdated() {
        let hasher = hasher();
        for outdated in [
            ScryptCost { log_n: 3, ..CHEAP },
            ScryptCost { log_n: 5, ..CHEAP },
            ScryptCost { r: 4, ..CHEAP },
            ScryptCost { p: 2, ..CHEAP },
        ] {
            let config = HasherConfig { cost: outdated, permits: 1, ..HasherConfig::default() };
            let other = Hasher::new(config, Arc::new(SystemRandom::new())).unwrap();
            let hash = other.hash(PasswordAttempt::new(PASSWORD), anywhere()).await.unwrap();
            let found = verify(&hasher, PASSWORD, hash.expose()).await;
            assert_eq!(found, Ok(Verification { matches: true, outdated: true }), "{outdated:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_bounded_scrypt_hash_is_corrupt_after_one_run() {
        let hasher = hasher();
        let tail = "$AAECAwQFBgcICQoLDA0ODw$5R8fREsl8Y9j8w3ig4UkwnJdWGeGgB4XuFT1EyhDetU";
        let mut broken = vec![
            String::new(),
            PASSWORD.to_owned(),
            KNOWN.replace("scrypt", "argon2id"),
            KNOWN.replace("$ln", "$v=1$ln"),
            KNOWN.replace("$5R8f", "$"),
            KNOWN.replace("AAECAwQFBgcICQoLDA0ODw", ""),
            format!("{KNOWN}$"),
            format!("{KNOWN} "),
            "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw".to_owned(),
            format!("$scrypt{tail}"),
        ];
        for parameters in [
            "ln=30,r=8,p=1",
            "ln=63,r=8,p=1",
            "ln=256,r=8,p=1",
            "ln=4,r=4294967295,p=1",
            "ln=4,r=65536,p=65536",
            "ln=4,r=8,p=99999999",
            "ln=0,r=8,p=1",
            "ln=4,r=0,p=1",
            "ln=4,r=8,p=0",
            "ln=4,r=8",
            "ln=4,r=8,p=1,x=1",
            "r=8,ln=4,p=1",
            "ln=04,r=8,p=1",
            "ln=-4,r=8,p=1",
        ] {
            broken.push(format!("$scrypt${parameters}{tail}"));
        }
        for (index, phc) in broken.iter().enumerate() {
            assert_eq!(verify(&hasher, PASSWORD, phc).await, Err(HasherError::Corrupt), "{phc}");
            assert_eq!(hasher.runs(), index as u64 + 1, "{phc}");
        }
    }

    #[tokio::test]
    async fn a_new_password_is_judged_by_the_same_rules() {
        let hasher = hasher();
        let context = ["your-username", "your-email@example.com", "Your Business Name"];
        for text in ["short", "password1", "Your Business Name", &"x".repeat(100_000)] {
            let judged = hasher.check_new(text, &context, anywhere()).await.unwrap();
            assert_eq!(judged.unwrap_err(), NewPassword::parse(text, &context).unwrap_err());
        }
        assert!(hasher.check_new(PASSWORD, &context, anywhere()).await.unwrap().is_ok());
    }

    #[test]
    fn a_cost_out_of_bounds_makes_no_hasher() {
        let config = HasherConfig { cost: ScryptCost { log_n: 40, r: 8, p: 1 }, ..HasherConfig::default() };
        let hasher = Hasher::new(config, Arc::new(SystemRandom::new()));
        assert_eq!(hasher.err(), Some(ScryptCostError));
    }

    #[test]
    fn the_default_cost_is_the_first_choice_of_owasp() {
        assert_eq!(HasherConfig::default().cost, ScryptCost { log_n: 17, r: 8, p: 1 });
    }

    #[test]
    fn calls_may_move_between_threads() {
        fn assert_send<T: Send>(_: &T) {}
        let hasher = hasher();
        assert_send(&hasher.check_new("", &[], anywhere()));
        assert_send(&hasher.hash(PasswordAttempt::new(""), anywhere()));
        assert_send(&hasher.verify(PasswordAttempt::new(""), None, anywhere()));
    }
}
