//! Operations that take several rows take them in one order, so that none has to be sacrificed for another.

use cryptopay_domain::SessionId;
use cryptopay_store::api_key::{ApiKeyFacts, ApiKeyPlan, ApiKeyWrite, KeyActor};
use cryptopay_store::session::{EndSessions, SessionSighting};
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, login, new_key, put_key, register};

on_both_databases! {
    replicas_that_mark_the_same_sessions_at_once_do_not_block_each_other => marking_sessions;
    marking_keys_at_once_with_changing_them_does_not_block => marking_keys;
}

/// Not sorted, and another order for every caller.
fn shuffled<T: Copy>(items: &[T], number: usize) -> Vec<T> {
    let mut items = items.to_vec();
    let length = items.len();
    items.rotate_left(number * 7 % length);
    if number % 2 == 1 {
        items.reverse();
    }
    items
}

async fn marking_sessions(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let keep = login(&fixture.store, alice).await;
    let mut sessions: Vec<SessionId> = Vec::new();
    for _ in 0..40 {
        sessions.push(login(&fixture.store, alice).await);
    }
    let results = at_once(24, |number| {
        let (store, order) = (fixture.store.clone(), shuffled(&sessions, number));
        async move {
            if number == 12 {
                let others = EndSessions::AllBut(keep);
                return store.end_sessions(alice, others, at(9), audit("ended")).await.map(|_| ());
            }
            let moment = at(1 + i64::try_from(number).unwrap());
            let sightings =
                order.iter().rev().map(|id| SessionSighting { session: *id, counter: 0, at: moment });
            store
                .mark_sessions_seen(sightings.collect(), order.iter().map(|id| (*id, moment)).collect())
                .await
        }
    })
    .await;
    for result in results {
        result.expect("nobody is sacrificed");
    }
}

async fn marking_keys(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let mut keys = Vec::new();
    for _ in 0..30 {
        keys.push(put_key(&fixture.store, new_key(alice, None)).await);
    }
    let results = at_once(24, |number| {
        let (store, keys) = (fixture.store.clone(), keys.clone());
        async move {
            if number % 3 != 0 {
                let uses = shuffled(&keys.iter().map(|key| key.id).collect::<Vec<_>>(), number);
                let moment = at(1 + i64::try_from(number).unwrap());
                return store.mark_api_keys_used(uses.into_iter().map(|id| (id, moment)).collect()).await;
            }
            let decide = move |_: ApiKeyFacts| {
                let changes = keys.into_iter().rev().collect();
                Ok::<_, ()>((ApiKeyPlan { insert: None, changes, audit: vec![] }, ()))
            };
            let write = store.change_api_keys(alice, KeyActor::Operator, None, at(0), decide).await?;
            assert!(matches!(write, ApiKeyWrite::Written { .. }));
            Ok(())
        }
    })
    .await;
    for result in results {
        result.expect("nobody is sacrificed");
    }
}
