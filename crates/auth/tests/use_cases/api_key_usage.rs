//! The use of API keys: counted at once, written in batches, lost by no restart.

use cryptopay_auth::{Auth, Failure, NotFound, Principal};
use cryptopay_domain::api_key_usage::{ApiKeyUsage, Day, DayUsage};
use cryptopay_domain::{ApiKeyId, KeyVerdict, Permission};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};

use crate::support::{DAY, MINUTE, is_accepted, make_key, principal_of};

on_both_databases! {
    what_replicas_count_adds_up_and_survives_them => replicas;
    each_day_has_figures_of_its_own => days;
    a_key_that_has_ended_or_was_revoked_is_counted_without_being_used => ended;
    figures_are_only_for_those_who_reach_the_key => reach;
}

async fn usage(auth: &Auth, principal: &Principal, key: ApiKeyId) -> ApiKeyUsage {
    auth.find_api_key_usage(principal, key).await.unwrap().1
}

/// The only day's requests and refusals.
async fn figures(auth: &Auth, principal: &Principal, key: ApiKeyId) -> Vec<(u64, u64)> {
    let days = usage(auth, principal, key).await.days;
    days.values().map(|day| (day.requests, day.refusals)).collect()
}

async fn replicas(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let other = test.replica().await;
    for _ in 0..3 {
        test.auth.count_request(&key, KeyVerdict::Granted(Permission::Read));
        other.count_request(&key, KeyVerdict::Refused);
    }
    test.auth.count_request(&alice, KeyVerdict::Verified);
    assert_eq!(figures(&test.auth, &alice, made.details.id).await, [(3, 0)], "before it is written");

    test.auth.write_uses().await.unwrap();
    test.auth.write_uses().await.unwrap();
    assert_eq!(figures(&test.auth, &alice, made.details.id).await, [(3, 0)], "written once");
    assert_eq!(figures(&other, &alice, made.details.id).await, [(6, 3)]);
    other.run_background().stop().await;
    assert_eq!(figures(&test.replica().await, &alice, made.details.id).await, [(6, 3)]);
    let used = usage(&test.auth, &alice, made.details.id).await;
    assert_eq!(used.last_use(Permission::Read), Some(alice.expires_at.unwrap().before(DAY)));
    assert_eq!(used.last_verified(), None, "a login's requests are no key's");
}

async fn days(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let today = Day::of(alice.expires_at.unwrap().before(DAY));
    test.auth.count_request(&key, KeyVerdict::Refused);
    test.clock.advance(DAY);
    test.auth.count_request(&key, KeyVerdict::Verified);
    test.auth.count_request(&key, KeyVerdict::Verified);
    test.auth.write_uses().await.unwrap();
    let figures = |(day, counted): (Day, DayUsage)| (day, counted.requests, counted.refusals);
    let known = usage(&test.auth, &alice, made.details.id).await;
    let tomorrow = Day::of(alice.expires_at.unwrap());
    assert_eq!(
        known.recent_days(tomorrow).map(figures).skip(12).collect::<Vec<_>>(),
        [(today, 1, 1), (tomorrow, 2, 0)]
    );
    test.clock.advance(DAY * 89);
    assert_eq!(
        usage(&test.auth, &alice, made.details.id).await.days.into_keys().collect::<Vec<_>>(),
        [tomorrow]
    );
}

async fn ended(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let revoked = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let rotated = make_key(&test.auth, &alice, &[Permission::Read]).await;
    test.auth.revoke_api_key(&alice, revoked.details.id, &context()).await.unwrap();
    let successor = test.auth.rotate_api_key(&alice, rotated.details.id, MINUTE, &context()).await.unwrap();
    test.clock.advance(MINUTE);
    for made in [&revoked, &rotated] {
        for _ in 0..2 {
            assert!(!is_accepted(&test.auth, made.key.expose()).await);
        }
        assert_eq!(figures(&test.auth, &alice, made.details.id).await, [(2, 2)]);
        let (key, _) = test.auth.find_api_key_usage(&alice, made.details.id).await.unwrap();
        assert_eq!(key.last_used_at, None);
    }
    let listed = [rotated.details, successor.details];
    let listed = test.auth.list_api_key_usage(&alice, &listed).await.unwrap();
    let requests = |days: &ApiKeyUsage| days.days.values().map(|day| day.requests).sum::<u64>();
    let mut requests: Vec<u64> = listed.values().map(requests).collect();
    requests.sort_unstable();
    assert_eq!(requests, [0, 2], "the old key and the new one have figures of their own");
}

async fn reach(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let (alice, bob) = (test.principal("alice").await, test.principal("bob").await);
    let full = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let beside = make_key(&test.auth, &alice, &[Permission::Read]).await.details;
    let acting = principal_of(&test.auth, full.key.expose()).await;
    for (who, id) in [(&bob, full.details.id), (&acting, beside.id)] {
        let found = test.auth.find_api_key_usage(who, id).await;
        assert!(matches!(found, Err(Failure::Rejected(NotFound))), "{found:?}");
    }
    assert_eq!(usage(&test.auth, &acting, full.details.id).await, ApiKeyUsage::default());
    assert_eq!(test.auth.list_api_key_usage(&bob, &[beside]).await.unwrap().len(), 0);
}
