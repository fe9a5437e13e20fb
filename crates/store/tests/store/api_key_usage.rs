//! The use of API keys: what replicas add is there once each, however they do it.

use cryptopay_domain::api_key_usage::{ApiKeyUsage, Day, DayUsage};
use cryptopay_domain::{ApiKeyId, KeyVerdict, Permission, Timestamp, UserId};
use cryptopay_store::Store;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{
    Fixture, at, at_once, change_keys, key_id, new_key, put_key, register, revocation_plan, seconds,
};

on_both_databases! {
    what_is_added_to_a_day_adds_up_and_last_uses_only_move_on => adding;
    replicas_that_add_at_once_lose_nothing => race;
    figures_are_of_the_users_own_keys_and_no_older_than_asked_for => reading;
    days_are_cleared_when_they_are_over_and_with_their_key => clearing;
}

const DAY: i64 = 86_400;

fn counted(verdicts: &[(KeyVerdict, i64)]) -> DayUsage {
    let mut usage = DayUsage::default();
    verdicts.iter().for_each(|(verdict, second)| usage.count(*verdict, at(*second)));
    usage
}

fn today() -> Day {
    Day::of(at(0))
}

async fn usage(store: &Store, user: UserId, key: ApiKeyId, since: Day) -> ApiKeyUsage {
    let mut found = store.list_api_key_usage(user, vec![key], since).await.unwrap();
    found.remove(&key).expect("an entry")
}

async fn adding(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let key = put_key(store, new_key(alice, None)).await.id;
    let other = put_key(store, new_key(alice, None)).await.id;
    assert_eq!(usage(store, alice, key, today()).await, ApiKeyUsage::default());

    use KeyVerdict::{Granted, Refused, Verified};
    let first = counted(&[(Granted(Permission::Read), 9), (Verified, 5), (Refused, 1)]);
    let second = counted(&[
        (Granted(Permission::Read), 7),
        (Granted(Permission::CreatePayments), 3),
        (Granted(Permission::ManageWebhooks), 4),
        (Granted(Permission::FullAccess), 5),
        (Verified, 8),
    ]);
    let tomorrow = Day::of(at(DAY));
    store.add_api_key_usage(vec![(key, today(), first), (other, today(), second)]).await.unwrap();
    // A key that is not there holds up nobody.
    store.add_api_key_usage(vec![(key_id(), today(), second), (key, today(), second)]).await.unwrap();
    store.add_api_key_usage(vec![(key, tomorrow, first)]).await.unwrap();
    store.add_api_key_usage(vec![]).await.unwrap();

    let at = |second| Some(at(second));
    let both =
        DayUsage { requests: 8, refusals: 1, permissions: [at(9), at(3), at(4), at(5)], verified: at(8) };
    let found = usage(store, alice, key, today()).await;
    assert_eq!(found.days, [(today(), both), (tomorrow, first)].into());
    assert_eq!(usage(store, alice, other, today()).await.days, [(today(), second)].into());
}

async fn race(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(put_key(store, new_key(alice, None)).await.id);
    }
    let replicas = [store.clone(), fixture.database.open().await];
    let written = at_once(16, |number| {
        let (store, mut keys) = (replicas[number % 2].clone(), keys.clone());
        // No two come in the same order.
        keys.rotate_left(number);
        let one = counted(&[(KeyVerdict::Refused, 0)]);
        async move { store.add_api_key_usage(keys.iter().map(|key| (*key, today(), one)).collect()).await }
    })
    .await;
    written.into_iter().for_each(|result| result.unwrap());
    for key in keys {
        let day = usage(store, alice, key, today()).await.days[&today()];
        assert_eq!((day.requests, day.refusals), (16, 16));
    }
}

async fn reading(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bob").await.id);
    let key = put_key(store, new_key(alice, None)).await.id;
    let bobs = put_key(store, new_key(bob, None)).await.id;
    let one = counted(&[(KeyVerdict::Verified, 0)]);
    let days = (0..3).map(|ago| (key, today().before(ago), one));
    store.add_api_key_usage(days.chain([(bobs, today(), one)]).collect()).await.unwrap();

    let found = usage(store, alice, key, today().before(1)).await;
    assert_eq!(found.days.into_keys().collect::<Vec<_>>(), [today().before(1), today()]);
    let found = store.list_api_key_usage(alice, vec![key, bobs, key_id()], today()).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [key]);

    let child = put_key(store, new_key(alice, Some(key))).await.id;
    put_key(store, new_key(alice, Some(child))).await;
    assert_eq!(usage(store, alice, key, today()).await.keys_under, 1);
    change_keys(store, alice, Some(child), |facts| revocation_plan(facts, at(1))).await;
    assert_eq!(usage(store, alice, key, today()).await.keys_under, 0, "what was revoked needs nothing");
}

async fn clearing(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let key = put_key(store, new_key(alice, None)).await.id;
    let lapsed = cryptopay_domain::api_key::ApiKey { expires_at: Some(at(0)), ..new_key(alice, None) };
    let lapsed = put_key(store, lapsed).await.id;
    let one = counted(&[(KeyVerdict::Refused, 0)]);
    let (first, second) = (today(), Day::of(at(DAY)));
    store.add_api_key_usage(vec![(key, first, one), (key, second, one)]).await.unwrap();
    let clear = async |now: Timestamp| store.clear_away(now, seconds(1_000_000_000)).await.unwrap();
    let days = async || usage(store, alice, key, first).await.days.into_keys().collect::<Vec<_>>();

    let midnight = Timestamp::parse(&format!("{first}T00:00:00Z")).unwrap();
    assert_eq!(clear(midnight.after(seconds(90 * 86_400 - 1))).await.api_key_days, 0);
    assert_eq!(clear(midnight.after(seconds(90 * 86_400))).await.api_key_days, 1);
    assert_eq!(days().await, [second]);

    let last = Day::of(at(89 * DAY));
    store.add_api_key_usage(vec![(lapsed, last, one)]).await.unwrap();
    assert_eq!(clear(at(90 * DAY + 1)).await.api_keys, 1);
    // It would be a violation of a foreign key if it were still there.
    assert_eq!(store.list_api_key_usage(alice, vec![lapsed], last).await.unwrap().len(), 0);
    store.add_api_key_usage(vec![(lapsed, last, one)]).await.unwrap();
    assert_eq!(days().await, [second]);
}
