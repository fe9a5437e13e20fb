//! Counting attempts: none is lost, none counted by half, and nobody is sacrificed for another.

use std::time::Duration;

use cryptopay_domain::login_throttle::{AttemptKind, CounterKey, Throttled};
use cryptopay_domain::{SessionId, Timestamp, UserId};
use cryptopay_store::Store;
use cryptopay_store::login_throttle::AttemptSettlement;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, new_session, register, verified};

on_both_databases! {
    fifty_attempts_at_once_are_counted_one_by_one => parallel;
    an_attempt_that_comes_too_early_is_counted_by_nothing => all_or_nothing;
    attempts_at_many_counters_at_once_and_their_clearing_away_block_nobody => crowd;
    a_session_and_its_settlement_are_written_together_or_not_at_all => with_the_session;
}

const NOBODY: UserId = UserId(0);

fn key(number: u8) -> CounterKey {
    CounterKey([number; 16])
}

/// How many attempts a counter still lets in at a moment.
async fn room(store: &Store, key: CounterKey, kind: AttemptKind, now: Timestamp) -> u32 {
    let found = store.find_attempt_counters(&[key]).await.unwrap();
    let spent = found.get(&key).map_or(0, |found| found.counter.spent(kind.budget(), now));
    kind.budget().free.saturating_sub(spent)
}

async fn parallel(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let replica = fixture.database.open().await;
    let outcomes = at_once(50, |number| {
        let store = if number % 2 == 0 { fixture.store.clone() } else { replica.clone() };
        async move { store.reserve_attempt(vec![(key(1), AttemptKind::Account)], at(0)).await.unwrap() }
    })
    .await;
    let throttled = Err(Throttled { retry_after: Duration::from_secs(1) });
    let refused = outcomes.iter().filter(|outcome| **outcome == throttled).count();
    let exhausted = outcomes.iter().flatten().filter(|reserved| !reserved.exhausted.is_empty()).count();
    assert_eq!((refused, exhausted), (40, 1), "{outcomes:?}");
    // As many are taken back at once as were counted.
    let settlements = at_once(10, |_| {
        let store = fixture.store.clone();
        let refund = vec![(key(1), AttemptKind::Account)];
        async move { store.settle_attempt(AttemptSettlement { refund, known: None }, at(0)).await }
    })
    .await;
    assert!(settlements.iter().all(Result::is_ok), "{settlements:?}");
    assert_eq!(room(&fixture.store, key(1), AttemptKind::Account, at(0)).await, 10);
}

async fn all_or_nothing(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    // Taken before the account's counter, and after it.
    for (account, network) in [(1, 0), (5, 6)] {
        let (account, network) = ((key(account), AttemptKind::Account), (key(network), AttemptKind::Network));
        for _ in 0..10 {
            store.reserve_attempt(vec![account], at(0)).await.unwrap().unwrap();
        }
        for counters in [vec![account, network], vec![network, account]] {
            store.reserve_attempt(counters, at(0)).await.unwrap().unwrap_err();
        }
        assert_eq!(room(store, network.0, network.1, at(0)).await, 20);
        store.reserve_attempt(vec![network, account], at(3600)).await.unwrap().unwrap();
        assert_eq!(room(store, network.0, network.1, at(3600)).await, 19);
    }
    // Nothing to count by lets everything in.
    store.reserve_attempt(vec![], at(0)).await.unwrap().unwrap();
    store.settle_attempt(AttemptSettlement::default(), at(0)).await.unwrap();
}

async fn crowd(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let results = at_once(120, |number| {
        let store = fixture.store.clone();
        let key_of = |number: usize| key(u8::try_from(number).unwrap());
        let (one, other) = (key_of(number % 5), key_of(number * 7 % 5 + 3));
        // Each pair in both orders, beside whoever clears away what is over.
        let pair = if number % 2 == 0 { [one, other] } else { [other, one] };
        let counters: Vec<_> = pair.into_iter().map(|key| (key, AttemptKind::Network)).collect();
        let now = at(i64::try_from(number).unwrap() * 1000);
        async move {
            match number % 4 {
                0 => store.clear_away(now, Duration::from_secs(1)).await.map(|_| ()),
                1 => {
                    let known = Some((pair.to_vec(), now));
                    store.settle_attempt(AttemptSettlement { refund: counters, known }, now).await
                }
                _ if one == other => Ok(()),
                _ => store.reserve_attempt(counters, now).await.map(|_| ()),
            }
        }
    })
    .await;
    for result in results {
        result.expect("nobody is sacrificed");
    }
}

async fn with_the_session(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (account, network) = ((key(1), AttemptKind::Account), (key(2), AttemptKind::Network));
    store.reserve_attempt(vec![account, network], at(0)).await.unwrap().unwrap();
    let attempt =
        AttemptSettlement { refund: vec![account, network], known: Some((vec![key(3)], at(86_400))) };
    let known_until = async || {
        let found = store.find_attempt_counters(&[key(3)]).await.unwrap();
        found.get(&key(3)).and_then(|found| found.known_until)
    };
    let mut login = verified(new_session(NOBODY));
    login.attempt = attempt.clone();
    assert!(!store.insert_session(login, audit("login")).await.unwrap());
    assert_eq!((room(store, key(1), AttemptKind::Account, at(0)).await, known_until().await), (9, None));
    let mut login = verified(new_session(alice));
    login.attempt = attempt;
    let id: SessionId = login.session.id;
    assert!(store.insert_session(login, audit("login")).await.unwrap());
    assert!(store.is_session_live(id, alice).await.unwrap());
    assert_eq!(room(store, key(1), AttemptKind::Account, at(0)).await, 10);
    assert_eq!(room(store, key(2), AttemptKind::Network, at(0)).await, 20);
    assert_eq!(known_until().await, Some(at(86_400)));
}
