//! Counting the attempts at a password before they are looked at.

use cryptopay_domain::login_throttle::{
    AttemptCounter, AttemptKind, CounterKey, KNOWN_FOR, Throttled, reserve,
};
use cryptopay_domain::{ClientNetwork, Timestamp, User, UserId};
use cryptopay_store::StoreError;
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::login_throttle::AttemptSettlement;
use cryptopay_token::AttemptSubject;

use crate::config::LoginThrottle;
use crate::core::Inner;
use crate::failure::{Failure, Outcome};
use crate::login::identifier;

/// An attempt that was counted: it may be looked at.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    counters: Vec<(CounterKey, AttemptKind)>,
    exhausted: Vec<AttemptKind>,
}

impl Reservation {
    /// What the audit log is told of an attempt that failed: itself and, once, that attempts have to wait from now on.
    /// Attempts that come too early leave no record each: there may be any number of them.
    pub(crate) fn records(&self, refused: AuditEvent) -> Vec<AuditEvent> {
        let throttled = self.exhausted.iter().map(|kind| AuditEvent {
            event: "password.throttled",
            subject: Some(kind.as_str().to_owned()),
            ..refused.clone()
        });
        let throttled: Vec<_> = throttled.collect();
        std::iter::once(refused).chain(throttled).collect()
    }
}

impl Inner {
    /// Counts a login. Whether anybody has the name makes no difference, except from a network that has logged its
    /// owner in.
    pub(crate) async fn reserve_login(
        &self,
        identifier: &str,
        network: ClientNetwork,
    ) -> Outcome<Reservation, Throttled> {
        if self.config.login_throttle == LoginThrottle::Off {
            return Ok(Reservation::default());
        }
        let now = self.clock.now();
        let (account, from, origin) = {
            let ring = self.encryption.load();
            let from = AttemptSubject::AccountFrom(identifier, network);
            (
                AttemptSubject::Account(identifier).counter_key(ring.active()),
                // A network stays known when another key becomes the active one, which comes first.
                ring.keys().iter().map(|key| from.counter_key(key)).collect::<Vec<_>>(),
                AttemptSubject::Network(network).counter_key(ring.active()),
            )
        };
        let keys: Vec<CounterKey> = from.iter().copied().chain([account, origin]).collect();
        let found = self.store.find_attempt_counters(&keys).await?;
        let known_until = from.iter().filter_map(|key| found.get(key)?.known_until).max();
        let counters = match (known_until, from.first()) {
            (Some(until), Some(known)) if until > now => vec![(*known, AttemptKind::KnownNetwork)],
            _ => vec![(account, AttemptKind::Account), (origin, AttemptKind::Network)],
        };
        let counted = |key| found.get(key).map_or(AttemptCounter::new(now), |found| found.counter);
        let facts: Vec<_> = counters.iter().map(|(key, kind)| (*kind, counted(key))).collect();
        self.reserve(counters, &facts, now).await
    }

    /// Counts a look at the current password of a merchant who wants another.
    pub(crate) async fn reserve_password_change(&self, user: UserId) -> Outcome<Reservation, Throttled> {
        if self.config.login_throttle == LoginThrottle::Off {
            return Ok(Reservation::default());
        }
        let now = self.clock.now();
        let key = AttemptSubject::PasswordChange(user).counter_key(self.encryption.load().active());
        let found = self.store.find_attempt_counters(&[key]).await?;
        let counter = found.get(&key).map_or(AttemptCounter::new(now), |found| found.counter);
        let kind = AttemptKind::PasswordChange;
        self.reserve(vec![(key, kind)], &[(kind, counter)], now).await
    }

    /// Whoever has to wait by what was just read is told so without a write: a flood of attempts that come too early
    /// costs a look each. What is counted is decided again in the write.
    async fn reserve(
        &self,
        counters: Vec<(CounterKey, AttemptKind)>,
        facts: &[(AttemptKind, AttemptCounter)],
        now: Timestamp,
    ) -> Outcome<Reservation, Throttled> {
        reserve(facts, now).map_err(Failure::Rejected)?;
        let reserved = self.store.reserve_attempt(counters.clone(), now).await?;
        let exhausted = reserved.map_err(Failure::Rejected)?.exhausted;
        Ok(Reservation { counters, exhausted })
    }

    /// Takes an attempt back, the first time it is asked to.
    pub(crate) async fn take_back(&self, reservation: &mut Reservation) -> Result<(), StoreError> {
        let refund = std::mem::take(&mut reservation.counters);
        if refund.is_empty() {
            return Ok(());
        }
        let settlement = AttemptSettlement { refund, known: None };
        self.store.settle_attempt(settlement, self.clock.now()).await
    }

    /// What a login that succeeds does to the counters: its attempt is taken back, and its network known under each of
    /// the merchant's names.
    pub(crate) fn settlement(
        &self,
        reservation: &Reservation,
        user: &User,
        network: ClientNetwork,
        now: Timestamp,
    ) -> AttemptSettlement {
        if self.config.login_throttle == LoginThrottle::Off {
            return AttemptSettlement::default();
        }
        let ring = self.encryption.load();
        let known = [&user.username, &user.email]
            .map(|name| AttemptSubject::AccountFrom(&identifier(name), network).counter_key(ring.active()));
        AttemptSettlement {
            refund: reservation.counters.clone(),
            known: Some((known.to_vec(), now.after(KNOWN_FOR))),
        }
    }
}
