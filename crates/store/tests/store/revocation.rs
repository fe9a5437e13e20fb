//! The revocation feed: everything that was committed is seen, once, by whoever tails it.

use std::collections::HashMap;

use cryptopay_domain::{SessionId, Timestamp};
use cryptopay_store::Store;
use cryptopay_store::revocation::{FeedPosition, Revoked};
use cryptopay_store::session::EndSessions;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{ACCESS_TTL, Fixture, at, at_once, audit, login, register, session_id};

on_both_databases! {
    a_reader_sees_every_row_exactly_once_while_many_are_written => exactly_once;
    a_reader_sees_what_another_store_on_the_same_database_writes => other_store;
    a_new_reader_begins_with_all_that_is_not_yet_to_be_forgotten => beginning;
    a_revocation_outlives_the_longest_access_token_ever_issued => longest_ttl;
    raising_the_generation_ends_all_sessions_and_is_read_with_the_feed => generation;
    rows_of_a_later_version_are_passed_over => later_version;
}

/// A reader of the feed that counts how often it saw what.
#[derive(Default)]
struct Tail {
    position: Option<FeedPosition>,
    seen: HashMap<Revoked, usize>,
}

impl Tail {
    async fn look(&mut self, store: &Store) {
        let read = store.read_revocations(self.position.take(), at(0)).await.unwrap();
        self.position = Some(read.position);
        for row in read.revocations {
            *self.seen.entry(row.revoked).or_default() += 1;
        }
    }

    fn times(&self, session: SessionId) -> usize {
        self.seen.get(&Revoked::Session(session)).copied().unwrap_or(0)
    }
}

async fn exactly_once(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = fixture.store.clone();
    let alice = register(&store, "alice").await.id;
    let bob = register(&store, "bobby").await.id;
    let mut sessions = Vec::new();
    for number in 0..60 {
        let user = if number % 2 == 0 { alice } else { bob };
        sessions.push((user, login(&store, user).await));
    }
    let ending = {
        let (store, sessions) = (store.clone(), sessions.clone());
        tokio::spawn(async move {
            at_once(sessions.len(), |number| {
                let (store, (user, session)) = (store.clone(), sessions[number]);
                async move { store.end_sessions(user, EndSessions::One(session), at(1), audit("logout")).await }
            })
            .await
        })
    };
    let mut tail = Tail::default();
    while !ending.is_finished() {
        tail.look(&store).await;
    }
    assert!(ending.await.unwrap().into_iter().all(|ended| ended.unwrap().len() == 1));
    tail.look(&store).await;
    for (_, session) in sessions {
        assert_eq!(tail.times(session), 1);
    }
}

async fn other_store(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let session = login(&fixture.store, alice).await;
    let mut tail = Tail::default();
    tail.look(&fixture.store).await;
    let other = fixture.database.open().await;
    other.end_sessions(alice, EndSessions::One(session), at(1), audit("logout")).await.unwrap();
    tail.look(&fixture.store).await;
    tail.look(&fixture.store).await;
    assert_eq!(tail.times(session), 1);
}

async fn beginning(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (early, late) = (login(store, alice).await, login(store, alice).await);
    let end = async |session, moment| {
        let ended = store.end_sessions(alice, EndSessions::One(session), at(moment), audit("logout")).await;
        ended.unwrap()[0].forget_after
    };
    let forget_early = end(early, 0).await;
    let forget_late = end(late, 100).await;
    assert!(forget_early < forget_late);
    let seen = async |now: Timestamp| {
        let read = store.read_revocations(None, now).await.unwrap();
        read.revocations.into_iter().map(|row| row.revoked).collect::<Vec<_>>()
    };
    assert_eq!(seen(at(100)).await.len(), 2);
    assert_eq!(seen(forget_early).await, [Revoked::Session(late)]);
    assert_eq!(seen(forget_late).await, []);
}

async fn longest_ttl(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let forget_after = async || {
        let session = login(store, alice).await;
        let ended = store.end_sessions(alice, EndSessions::One(session), at(0), audit("logout")).await;
        ended.unwrap()[0].forget_after
    };
    let seconds = |ttl: u64| at(i64::try_from(ttl).unwrap());
    assert_eq!(forget_after().await, seconds(ACCESS_TTL + 300));
    store.raise_longest_access_ttl(100_000).await.unwrap();
    // The configuration is lowered again, but tokens that were issued before live on.
    store.raise_longest_access_ttl(3600).await.unwrap();
    assert_eq!(forget_after().await, seconds(100_300));
    assert_eq!(store.find_installation().await.unwrap().unwrap().longest_access_ttl, 100_000);
}

async fn generation(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let sessions = [login(store, alice).await, login(store, alice).await];
    let mut tail = Tail::default();
    tail.look(store).await;
    // Both, and all that a restored backup does not know of.
    assert_eq!(store.end_all_sessions(at(1), audit("restored")).await.unwrap().len(), 3);
    let read = store.read_revocations(tail.position.clone(), at(1)).await.unwrap();
    assert_eq!((read.generation, read.revocations.len()), (2, 3));
    let all = Revoked::SessionsBegunBefore(at(1));
    assert!(read.revocations.iter().any(|row| row.revoked == all));
    for session in sessions {
        assert!(!store.is_session_live(session, alice).await.unwrap());
    }
}

async fn later_version(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let mut tail = Tail::default();
    tail.look(&fixture.store).await;
    let row = "INSERT INTO revocations (kind, subject, recorded_at, forget_after) \
               VALUES ('passkey', 'p1', '2026-01-02T12:00:00.000000Z', '2036-01-02T12:00:00.000000Z')";
    fixture.execute(row).await;
    let before = tail.position.clone();
    tail.look(&fixture.store).await;
    assert!(tail.seen.is_empty());
    assert_ne!(tail.position, before, "the row is not read again and again");
}

/// Writes a row as a transaction that is still open.
fn insert(session: SessionId) -> String {
    format!(
        "INSERT INTO revocations (kind, subject, recorded_at, forget_after) \
         VALUES ('session', '{session}', '2026-01-02T12:00:00Z', '2036-01-02T12:00:00Z')"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_committed_out_of_sequence_are_all_seen_exactly_once() {
    let fixture = Fixture::new(Backend::Postgres).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (early, late) = (fixture.postgres().await, fixture.postgres().await);
    let (slow, quick, last) = (session_id(), session_id(), session_id());
    let mut tail = Tail::default();
    tail.look(store).await;

    // The lower number is taken first and committed last.
    early.batch_execute(&format!("BEGIN; {}", insert(slow))).await.unwrap();
    late.batch_execute(&format!("BEGIN; {}; COMMIT", insert(quick))).await.unwrap();
    let own = login(store, alice).await;
    store.end_sessions(alice, EndSessions::One(own), at(1), audit("logout")).await.unwrap();
    tail.look(store).await;
    assert_eq!((tail.times(slow), tail.times(quick), tail.times(own)), (0, 1, 1));
    tail.look(store).await;
    early.batch_execute("COMMIT").await.unwrap();
    tail.look(store).await;
    late.batch_execute(&insert(last)).await.unwrap();
    tail.look(store).await;
    tail.look(store).await;
    for session in [slow, quick, own, last] {
        assert_eq!(tail.times(session), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_savepoint_are_seen_with_their_transaction() {
    let fixture = Fixture::new(Backend::Postgres).await;
    let client = fixture.postgres().await;
    let (kept, undone) = (session_id(), session_id());
    let mut tail = Tail::default();
    client
        .batch_execute(&format!(
            "BEGIN; SAVEPOINT a; {}; RELEASE a; SAVEPOINT b; {}; ROLLBACK TO b",
            insert(kept),
            insert(undone)
        ))
        .await
        .unwrap();
    tail.look(&fixture.store).await;
    client.batch_execute("COMMIT").await.unwrap();
    tail.look(&fixture.store).await;
    tail.look(&fixture.store).await;
    assert_eq!((tail.times(kept), tail.times(undone)), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_held_open_by_somebody_else_does_not_stall_the_feed() {
    let fixture = Fixture::new(Backend::Postgres).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (reader, writer) = (fixture.postgres().await, fixture.postgres().await);
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users").await.unwrap();
    // With a number of its own, it holds back the horizon of every snapshot.
    writer.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    let mut tail = Tail::default();
    tail.look(store).await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let session = login(store, alice).await;
        store.end_sessions(alice, EndSessions::One(session), at(1), audit("logout")).await.unwrap();
        tail.look(store).await;
        assert_eq!(tail.times(session), 1);
        sessions.push(session);
    }
    writer.batch_execute("COMMIT").await.unwrap();
    reader.batch_execute("COMMIT").await.unwrap();
    tail.look(store).await;
    for session in sessions {
        assert_eq!(tail.times(session), 1);
    }
}
