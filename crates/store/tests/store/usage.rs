//! Marking what was used: many rows in a batch, each by its own facts.

use cryptopay_domain::{ApiKeyId, Timestamp};
use cryptopay_store::api_key::KeyActor;
use cryptopay_store::session::SessionSighting;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, login, new_key, put_key, register};

on_both_databases! {
    each_key_of_a_batch_gets_its_latest_use => keys;
    each_session_of_a_batch_gets_its_first_sight_and_its_latest_use => sessions;
    more_than_one_piece_is_marked_whole => pieces;
}

async fn keys(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let mut keys: Vec<ApiKeyId> = Vec::new();
    for _ in 0..3 {
        keys.push(put_key(store, new_key(alice, None)).await.id);
    }
    let used = async |uses: &[(usize, i64)]| -> Vec<Option<Timestamp>> {
        let uses = uses.iter().map(|(key, second)| (keys[*key], at(*second)));
        store.mark_api_keys_used(uses.collect()).await.unwrap();
        let mut marks = Vec::new();
        for key in &keys {
            let key = store.find_api_key(alice, KeyActor::Operator, *key).await.unwrap();
            marks.push(key.expect("it is there").last_used_at);
        }
        marks
    };
    assert_eq!(used(&[(1, 5), (0, 2), (1, 9), (1, 7)]).await, [Some(at(2)), Some(at(9)), None]);
    assert_eq!(used(&[(0, 3), (1, 8), (2, 1)]).await, [Some(at(3)), Some(at(9)), Some(at(1))]);
    assert_eq!(used(&[]).await, [Some(at(3)), Some(at(9)), Some(at(1))]);
}

async fn sessions(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (first, second) = (login(store, alice).await, login(store, alice).await);
    let seen = |session, counter, second| SessionSighting { session, counter, at: at(second) };
    let marks = async |session| {
        let (session, _) = store.find_session_with_username(session).await.unwrap().expect("it is there");
        (session.line.used_at, session.last_used_at)
    };
    // The first session's counter is 0: what was seen of another one is not about it.
    let sightings = vec![seen(first, 1, 3), seen(first, 0, 6), seen(first, 0, 4)];
    store.mark_sessions_seen(sightings, vec![(first, at(6)), (second, at(7)), (first, at(5))]).await.unwrap();
    assert_eq!(marks(first).await, (Some(at(4)), at(6)));
    assert_eq!(marks(second).await, (None, at(7)));
    store.mark_sessions_seen(vec![seen(first, 0, 1)], vec![(second, at(2))]).await.unwrap();
    assert_eq!(marks(first).await, (Some(at(4)), at(6)));
    assert_eq!(marks(second).await, (None, at(7)));
}

async fn pieces(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let mut sessions = Vec::new();
    for _ in 0..520 {
        sessions.push(login(store, alice).await);
    }
    let uses = sessions.iter().zip(1..).map(|(session, second)| (*session, at(second))).collect();
    store.mark_sessions_seen(vec![], uses).await.unwrap();
    for (session, second) in sessions.iter().zip(1..) {
        let (session, _) = store.find_session_with_username(*session).await.unwrap().expect("it is there");
        assert_eq!(session.last_used_at, at(second));
    }
}
