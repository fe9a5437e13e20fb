//! API keys: making, listing, changing and revoking them.

use cryptopay_auth::{ChangeApiKeyRejection, CreateApiKeyRejection, NotFound, RevokeApiKeyRejection};
use cryptopay_domain::api_key::{ApiKeyChange, ApiKeyStatus};
use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{ApiKeyId, DisplayName, PageRequest, Permission, PermissionSet};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{
    DAY, HOUR, MINUTE, SECOND, audit_of, is_accepted, is_remembered, key_request, make_key, permissions,
    principal_of, rejection,
};

on_both_databases! {
    a_key_opens_what_it_was_made_for => opens;
    a_key_without_permission_or_future_is_not_made => limits;
    a_merchant_has_at_most_a_hundred_active_keys_and_may_always_rotate => hundred;
    keys_made_at_once_never_exceed_the_limit => hundred_at_once;
    a_key_stops_at_its_end_to_the_second => exact_end;
    a_key_is_listed_for_ninety_days_after_its_end => ninety_days;
    another_merchants_key_is_not_found => another_merchants;
    a_revoked_key_is_refused_at_once_and_answers_the_same_again => revoked;
    narrowing_takes_effect_at_once => narrowed;
    widening_is_refused_and_a_key_that_is_over_cannot_be_changed => not_changed;
    a_key_is_renamed_without_touching_its_permissions => renamed;
    a_keys_last_use_is_right_within_a_minute_and_costs_no_write_per_request => last_use;
    a_list_of_keys_is_paged => paged;
}

async fn opens(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = test.auth.clock().now().after(DAY);
    let request = key_request(&[Permission::CreatePayments, Permission::Read], Some(end));
    let made = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    assert!(made.key.expose().starts_with("cp_test_"));
    assert_eq!(made.details.prefix, made.key.expose()[..12]);
    assert_eq!(made.details.status(test.auth.clock().now()), ApiKeyStatus::Active);
    assert_eq!((made.details.last_used_at, made.details.parent), (None, None));
    let key = principal_of(&test.auth, made.key.expose()).await;
    assert_eq!((key.user_id, key.username.as_str(), key.expires_at), (alice.user_id, "alice", Some(end)));
    assert_eq!(key.permissions.to_comma_separated(), "read,create_payments");
    assert_eq!(key.credential.label(), format!("api_key:{}", made.details.id));
    let full = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let full = principal_of(&test.auth, full.key.expose()).await;
    assert_eq!((full.permissions, full.expires_at), (PermissionSet::FULL, None));
}

async fn limits(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let now = test.auth.clock().now();
    for (request, expected) in [
        (key_request(&[], None), CreateApiKeyRejection::NoPermission),
        (key_request(&[Permission::Read], Some(now)), CreateApiKeyRejection::EndNotInFuture),
        (key_request(&[Permission::Read], Some(now.before(DAY))), CreateApiKeyRejection::EndNotInFuture),
    ] {
        assert_eq!(rejection(test.auth.create_api_key(&alice, request, &context()).await), expected);
    }
    let page = test.auth.list_api_keys(&alice, PageRequest::default()).await.unwrap();
    assert!(page.items.is_empty());
    let events = audit_of(&test, Some(alice.user_id)).await;
    assert!(events.iter().all(|row| !row.event.starts_with("api_key")), "what is not made is not recorded");
}

async fn hundred(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = test.auth.clock().now().after(HOUR);
    let request = key_request(&[Permission::Read], Some(end));
    let mut made = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    let ending = made.details.id;
    for _ in 1..100 {
        made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    }
    let create =
        async || test.auth.create_api_key(&alice, key_request(&[Permission::Read], None), &context()).await;
    assert_eq!(rejection(create().await), CreateApiKeyRejection::TooMany);
    let rotated = test.auth.rotate_api_key(&alice, made.details.id, DAY, &context()).await.unwrap();
    assert_eq!(rejection(create().await), CreateApiKeyRejection::TooMany);
    test.auth.rotate_api_key(&alice, ending, DAY, &context()).await.unwrap();
    // Another merchant's keys do not count, and one that is revoked makes room.
    let bob = test.principal("bob").await;
    make_key(&test.auth, &bob, &[Permission::Read]).await;
    test.auth.revoke_api_key(&alice, rotated.details.id, &context()).await.unwrap();
    create().await.unwrap();
    assert_eq!(rejection(create().await), CreateApiKeyRejection::TooMany);
    test.clock.advance(HOUR);
    create().await.expect("one that has ended makes room");
}

async fn hundred_at_once(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for _ in 0..90 {
        make_key(&test.auth, &alice, &[Permission::Read]).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let (auth, alice) = (test.auth.clone(), alice.clone());
        tasks.spawn(async move {
            auth.create_api_key(&alice, key_request(&[Permission::Read], None), &context()).await.is_ok()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 10);
}

async fn exact_end(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = test.auth.clock().now().after(30 * SECOND);
    let request = key_request(&[Permission::Read], Some(end));
    let made = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    test.clock.advance(29 * SECOND);
    assert!(is_remembered(&test.auth, made.key.expose()).await);
    test.clock.advance(SECOND);
    assert!(!is_remembered(&test.auth, made.key.expose()).await);
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    let key = test.auth.find_api_key(&alice, made.details.id).await.unwrap();
    assert_eq!(key.status(end), ApiKeyStatus::Expired);
}

async fn ninety_days(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let now = test.auth.clock().now();
    let request = key_request(&[Permission::Read], Some(now.after(DAY)));
    let ending = test.auth.create_api_key(&alice, request, &context()).await.unwrap().details.id;
    let revoked = make_key(&test.auth, &alice, &[Permission::Read]).await.details.id;
    let kept = make_key(&test.auth, &alice, &[Permission::Read]).await.details.id;
    test.auth.revoke_api_key(&alice, revoked, &context()).await.unwrap();
    let listed = async || {
        let page = test.auth.list_api_keys(&alice, PageRequest::default()).await.unwrap();
        page.items.into_iter().map(|key| key.id).collect::<Vec<ApiKeyId>>()
    };
    test.clock.advance(90 * DAY - SECOND);
    assert_eq!(listed().await, [kept, revoked, ending]);
    test.clock.advance(SECOND);
    assert_eq!(listed().await, [kept, ending]);
    assert_eq!(rejection(test.auth.find_api_key(&alice, revoked).await), NotFound);
    test.clock.advance(DAY);
    assert_eq!(listed().await, [kept]);
    let cleared = test.auth.store().clear_away(test.auth.clock().now().after(SECOND), DAY).await.unwrap();
    assert_eq!(cleared.api_keys, 2);
    assert_eq!(listed().await, [kept]);
}

async fn another_merchants(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let bob = test.principal("bob").await;
    let made = make_key(&test.auth, &bob, &[Permission::FullAccess]).await;
    let alices = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let alices = principal_of(&test.auth, alices.key.expose()).await;
    let nobodys = ApiKeyId(Uuid::from_u128(7));
    for (caller, id) in [(&alice, made.details.id), (&alices, made.details.id), (&alice, nobodys)] {
        let rename = ApiKeyChange { name: Some(DisplayName::parse("mine").unwrap()), permissions: None };
        assert_eq!(rejection(test.auth.find_api_key(caller, id).await), NotFound);
        let changed = test.auth.change_api_key(caller, id, rename, &context()).await;
        assert_eq!(rejection(changed), ChangeApiKeyRejection::NotFound);
        let rotated = test.auth.rotate_api_key(caller, id, DAY, &context()).await;
        assert_eq!(rejection(rotated), cryptopay_auth::RotateApiKeyRejection::NotFound);
        let revoked = test.auth.revoke_api_key(caller, id, &context()).await;
        assert_eq!(rejection(revoked), RevokeApiKeyRejection::NotFound);
    }
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    let page = test.auth.list_api_keys(&alice, PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

async fn revoked(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    assert!(is_remembered(&test.auth, made.key.expose()).await);
    let first = test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    assert!(!is_remembered(&test.auth, made.key.expose()).await);
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    test.clock.advance(DAY);
    let again = test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(again.status(test.auth.clock().now()), ApiKeyStatus::Revoked);
    let events = audit_of(&test, Some(alice.user_id)).await;
    assert_eq!(events.iter().filter(|row| row.event == "api_key.revoked").count(), 1);
}

async fn narrowed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    assert_eq!(principal_of(&test.auth, made.key.expose()).await.permissions, PermissionSet::FULL);
    let narrower = permissions(&[Permission::Read, Permission::ManageWebhooks]);
    let change = ApiKeyChange { name: None, permissions: Some(narrower) };
    let key = test.auth.change_api_key(&alice, made.details.id, change, &context()).await.unwrap();
    assert_eq!(key.permissions, narrower);
    assert_eq!(principal_of(&test.auth, made.key.expose()).await.permissions, narrower);
}

async fn not_changed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let change = async |set: PermissionSet| {
        let change = ApiKeyChange { name: None, permissions: Some(set) };
        rejection(test.auth.change_api_key(&alice, made.details.id, change, &context()).await)
    };
    assert_eq!(change(PermissionSet::FULL).await, ChangeApiKeyRejection::MorePermission);
    assert_eq!(change(PermissionSet::EMPTY).await, ChangeApiKeyRejection::NoPermission);
    test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    assert_eq!(change(permissions(&[Permission::Read])).await, ChangeApiKeyRejection::Conflict);
}

async fn renamed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    principal_of(&test.auth, made.key.expose()).await;
    let change = ApiKeyChange { name: Some(DisplayName::parse("Kasse 2").unwrap()), permissions: None };
    let key = test.auth.change_api_key(&alice, made.details.id, change, &context()).await.unwrap();
    assert_eq!((key.name.as_str(), key.permissions), ("Kasse 2", made.details.permissions));
    let principal = principal_of(&test.auth, made.key.expose()).await;
    let cryptopay_auth::Credential::ApiKey { name, .. } = &principal.credential else { panic!("a key") };
    assert_eq!(name, "Kasse 2", "what is remembered follows");
}

async fn last_use(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let other = test.replica().await;
    let written = async || other.find_api_key(&alice, made.details.id).await.unwrap().last_used_at;
    let here = async || test.auth.find_api_key(&alice, made.details.id).await.unwrap().last_used_at;
    assert_eq!((here().await, written().await), (None, None));
    for _ in 0..1_000 {
        assert!(is_accepted(&test.auth, made.key.expose()).await);
    }
    assert_eq!(written().await, None, "a thousand requests, and no write yet");
    let first = test.auth.clock().now();
    assert_eq!(here().await, Some(first));
    for _ in 0..6 {
        test.clock.advance(45 * SECOND);
        assert!(is_accepted(&test.auth, made.key.expose()).await);
        let now = test.auth.clock().now();
        assert!(now.since(here().await.unwrap()) < MINUTE);
        test.auth.write_uses().await.unwrap();
        assert!(now.since(written().await.unwrap()) < MINUTE);
    }
    let page = other.list_api_keys(&alice, PageRequest::default()).await.unwrap();
    assert_eq!(page.items[0].last_used_at, written().await);
}

async fn paged(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let root = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let root = principal_of(&test.auth, root.key.expose()).await;
    let mut made = vec![root.api_key().unwrap()];
    for _ in 0..4 {
        made.push(make_key(&test.auth, &root, &[Permission::Read]).await.details.id);
    }
    made.reverse();
    for caller in [&alice, &root] {
        let limit = PageLimit::new(2).unwrap();
        let mut request = PageRequest { limit, position: None };
        let mut pages = Vec::new();
        loop {
            let page = test.auth.list_api_keys(caller, request).await.unwrap();
            let next = page.next;
            pages.push(page);
            let Some(next) = next else { break };
            request.position = Some(next);
        }
        let seen: Vec<ApiKeyId> = pages.iter().flat_map(|page| &page.items).map(|key| key.id).collect();
        assert_eq!(seen, made);
        let back = PageRequest { limit, position: pages[2].previous };
        assert_eq!(test.auth.list_api_keys(caller, back).await.unwrap().items, pages[1].items);
    }
}
