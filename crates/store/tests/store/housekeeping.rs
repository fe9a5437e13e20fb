//! Clearing away: what is over, and nothing else.

use std::time::Duration;

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::login_throttle::{AttemptKind, CounterKey};
use cryptopay_store::Store;
use cryptopay_store::api_key::KeyActor;
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::housekeeping::Cleared;
use cryptopay_store::login_throttle::AttemptSettlement;
use cryptopay_store::session::EndSessions;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{ACCESS_TTL, Fixture, at, audit, login, new_key, put_key, register, seconds};

on_both_databases! {
    what_is_over_is_cleared_away_at_its_time_and_nothing_else => table;
    counters_of_attempts_are_cleared_away_when_they_count_nothing => attempts;
    more_than_one_piece_is_cleared_in_several_goes => pieces;
    a_cleared_key_leaves_those_under_it_to_the_key_above_it => cleared_maker;
}

const DAY: i64 = 86_400;
const AUDIT_KEPT: Duration = seconds(365 * 86_400);

async fn table(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    // One session ends at 1000 s (which the feed tells), one expires after its 30 days.
    let ended = login(store, alice).await;
    login(store, alice).await;
    store.end_sessions(alice, EndSessions::One(ended), at(1000), audit("logout")).await.unwrap();
    // Keys that ended at 2000 s in each of the three ways, and one without end.
    let key = || new_key(alice, None);
    put_key(store, ApiKey { expires_at: Some(at(2000)), ..key() }).await;
    put_key(store, ApiKey { overlap_ends_at: Some(at(2000)), ..key() }).await;
    put_key(store, ApiKey { revoked_at: Some(at(2000)), ..key() }).await;
    put_key(store, key()).await;
    let later = AuditEvent { occurred_at: at(1), ..audit("later") };
    store.record_audit_event(later).await.unwrap();

    let access = i64::try_from(ACCESS_TTL).unwrap();
    let none = Cleared::default();
    for (now, expected) in [
        (0, none),
        // Making keys told the feed four times at 0 s; a change of a key is forgotten after a quarter of an
        // hour.
        (900, none),
        (901, Cleared { revocations: 4, ..none }),
        // An ended session is needed, and its revocation too, for as long as its access tokens could live.
        (1000 + access + 300, none),
        (1000 + access + 301, Cleared { sessions: 1, revocations: 1, ..none }),
        (30 * DAY + access + 300, none),
        (30 * DAY + access + 301, Cleared { sessions: 1, ..none }),
        (2000 + 90 * DAY, none),
        (2001 + 90 * DAY, Cleared { api_keys: 3, ..none }),
        (365 * DAY, none),
        // Registration, two logins, one logout; the one a second later stays for a second more.
        (365 * DAY + 1, Cleared { audit_events: 4, ..none }),
        (365 * DAY + 2, Cleared { audit_events: 1, ..none }),
        (4000 * DAY, none),
    ] {
        let cleared = store.clear_away(at(now), AUDIT_KEPT).await.unwrap();
        assert_eq!(cleared, expected, "at {now} s");
    }
    assert!(store.find_user(alice).await.unwrap().is_some());
}

async fn attempts(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let key = |number| CounterKey([number; 16]);
    // One attempt is forgiven after a quarter of an hour, a network after two minutes; one is known for a day.
    store.reserve_attempt(vec![(key(1), AttemptKind::Account)], at(0)).await.unwrap().unwrap();
    store.reserve_attempt(vec![(key(2), AttemptKind::Network)], at(0)).await.unwrap().unwrap();
    store.reserve_attempt(vec![(key(3), AttemptKind::KnownNetwork)], at(0)).await.unwrap().unwrap();
    let refund = vec![(key(3), AttemptKind::KnownNetwork)];
    let settlement = AttemptSettlement { refund, known: Some((vec![key(3), key(4)], at(DAY))) };
    store.settle_attempt(settlement, at(0)).await.unwrap();
    for (now, expected) in [
        (120 + 300, 0),
        (121 + 300, 1),
        (900 + 300, 0),
        (901 + 300, 1),
        (DAY + 300, 0),
        (DAY + 301, 2),
        (4000 * DAY, 0),
    ] {
        let cleared = store.clear_away(at(now), AUDIT_KEPT).await.unwrap();
        assert_eq!(cleared.login_attempts, expected, "at {now} s");
    }
}

async fn pieces(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    for _ in 0..11 {
        let batch: Vec<_> = (0..100).map(|_| store.record_audit_event(audit("many"))).collect();
        futures_util::future::try_join_all(batch).await.unwrap();
    }
    assert_eq!(goes(store).await, [500, 500, 100]);
}

/// How many rows each go clears, until there is nothing left.
async fn goes(store: &Store) -> Vec<usize> {
    let mut goes = Vec::new();
    loop {
        match store.clear_away(at(366 * DAY), AUDIT_KEPT).await.unwrap().total() {
            0 => return goes,
            cleared => goes.push(cleared),
        }
    }
}

async fn cleared_maker(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let lapsed = |parent| ApiKey { overlap_ends_at: Some(at(0)), ..new_key(alice, parent) };
    let alone = put_key(store, lapsed(None)).await.id;
    let orphan = put_key(store, new_key(alice, Some(alone))).await.id;
    let root = put_key(store, new_key(alice, None)).await.id;
    let between = put_key(store, lapsed(Some(root))).await.id;
    let below = put_key(store, lapsed(Some(between))).await.id;
    let heir = put_key(store, new_key(alice, Some(below))).await.id;

    assert_eq!(store.clear_away(at(91 * DAY), AUDIT_KEPT).await.unwrap().api_keys, 3);
    for (key, parent) in [(orphan, None), (root, None), (heir, Some(root))] {
        let found = store.find_api_key(alice, KeyActor::Operator, key).await.unwrap();
        assert_eq!(found.expect("the key is there").parent, parent);
    }
}
