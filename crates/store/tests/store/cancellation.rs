//! Callers that vanish in mid-query by the hundred: what they began ends, and every connection works on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use cryptopay_domain::{DisplayName, UserId};
use cryptopay_store::user::UserKey;
use cryptopay_store::{Store, StoreError};
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{
    Fixture, at_once, audit, login, new_session, new_user, register, seconds, until, verified,
};

on_both_databases! {
    requests_dropped_in_mid_query_by_the_hundred_leave_every_connection_working => dropped;
    requests_dropped_on_a_single_threaded_worker_leave_every_connection_working => dropped_on_a_worker;
    a_write_whose_caller_has_gone_is_still_done_whole => done_whole;
}

/// Polls a future so many times, with the worker's other tasks in between, then drops it.
async fn vanish<T>(operation: impl Future<Output = T>, polls: usize) {
    let mut operation = pin!(operation);
    for _ in 0..polls {
        let done = poll_fn(|context| Poll::Ready(operation.as_mut().poll(context).is_ready())).await;
        if done {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// One request of a mixed load, whose caller vanishes at a point that differs from one to the next.
async fn request(store: Store, user: UserId, number: usize) {
    let polls = number % 23;
    match number % 4 {
        0 => {
            let name = format!("user-{number}");
            let new = new_user(&name, &format!("{name}@example.com"));
            vanish(store.insert_user(new, audit("user.registered")), polls).await;
        }
        1 => vanish(store.insert_session(verified(new_session(user)), audit("login")), polls).await,
        2 => vanish(store.find_user_credentials(UserKey::Id(user)), polls).await,
        _ => vanish(store.read_revocations(None, crate::fixture::at(0)), polls).await,
    }
}

async fn dropped(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let user = register(&fixture.store, "alice").await.id;
    let tasks: Vec<_> =
        (0..400).map(|number| tokio::spawn(request(fixture.store.clone(), user, number))).collect();
    for (number, task) in tasks.into_iter().enumerate() {
        // Some are dropped by themselves, some aborted from outside, wherever they are.
        if number % 3 == 0 {
            task.abort();
        }
        let _ = task.await;
    }
    assert_healthy(&fixture, user).await;
}

async fn dropped_on_a_worker(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let user = register(&fixture.store, "alice").await.id;
    let store = fixture.store.clone();
    let worker = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let tasks: Vec<_> = (0..400)
                .map(|number| tokio::task::spawn_local(request(store.clone(), user, number)))
                .collect();
            for task in tasks {
                task.await.expect("a vanished caller is no panic");
            }
            // The last ones are dropped together with the worker itself.
            for number in 400..440 {
                tokio::task::spawn_local(request(store.clone(), user, number));
            }
        });
    });
    worker.await.unwrap();
    assert_healthy(&fixture, user).await;
}

/// Every connection answers, reads and writes alike, and what was written was written whole.
async fn assert_healthy(fixture: &Fixture, user: UserId) {
    let store = &fixture.store;
    let answers = at_once(100, |number| {
        let store = store.clone();
        async move {
            if number % 2 == 0 {
                return store.find_user(user).await.map(|found| found.is_some());
            }
            store.insert_session(verified(new_session(user)), audit("login")).await
        }
    })
    .await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(true))), "{answers:?}");
    if matches!(fixture.database.url(), cryptopay_store::DatabaseUrl::Postgres(_)) {
        assert_full_size(fixture, user).await;
    }
    // Two writes in one operation: both or none.
    let users = store.list_users(UserId(0), 10_000).await.unwrap().len();
    let events = store.list_audit_events(None, 100_000).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "user.registered").count(), users);
}

/// As many operations as the pool has connections hold one at the same time.
async fn assert_full_size(fixture: &Fixture, user: UserId) {
    const CONNECTIONS: usize = 8;
    let client = fixture.postgres().await;
    let watcher = fixture.postgres().await;
    client.batch_execute(&format!("BEGIN; SELECT 1 FROM users WHERE id = {user} FOR UPDATE")).await.unwrap();
    let store = fixture.store.clone();
    let waiting = tokio::spawn(async move {
        at_once(CONNECTIONS, |_| {
            let store = store.clone();
            let name = DisplayName::parse("Renamed").unwrap();
            async move { store.rename_shop(user, name, audit("renamed")).await }
        })
        .await
    });
    until(
        &watcher,
        &format!(
            "SELECT count(*) = {CONNECTIONS} FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'cryptopay' AND wait_event_type = 'Lock'"
        ),
    )
    .await;
    client.batch_execute("COMMIT").await.unwrap();
    let renamed: Result<Vec<_>, StoreError> = waiting.await.unwrap().into_iter().collect();
    assert!(renamed.unwrap().iter().all(Option::is_some));
}

async fn done_whole(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let session = new_session(alice);
    let id = session.id;
    // Polled once: it is on its way, and then nobody waits for it.
    vanish(store.insert_session(verified(session), audit("login")), 1).await;
    let arrived = async {
        while !store.is_session_live(id, alice).await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(seconds(10), arrived).await.expect("the write is done all the same");
    let events = store.list_audit_events(None, 10).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "login").count(), 1);
    login(store, alice).await;
}
