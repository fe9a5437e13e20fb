//! Keys made with keys: what they may, whom they reach, and with whom they end.

use cryptopay_auth::{
    ActorRejection, ChangeApiKeyRejection, CreateApiKeyRejection, NewApiKey, NotFound, Principal,
    RevokeApiKeyRejection, RotateApiKeyRejection,
};
use cryptopay_domain::api_key::{ApiKeyChange, ApiKeyStatus};
use cryptopay_domain::{ApiKeyId, PageRequest, Permission};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};
use std::sync::Arc;
use tokio::task::JoinSet;

use crate::support::{
    DAY, HOUR, SECOND, audit_of, is_accepted, key_request, make_key, permissions, principal_of, rejection,
};

on_both_databases! {
    a_key_makes_no_key_with_more_permission_or_a_later_end => bounded;
    a_key_in_its_overlap_makes_no_key_that_outlives_the_overlap => bounded_by_overlap;
    a_family_is_revoked_as_a_whole => revoked_with_parent;
    a_keys_reach_is_itself_and_the_keys_under_it => reach;
    narrowing_reaches_every_key_underneath => narrowing;
    a_narrowed_or_revoked_key_manages_nothing_any_more => no_longer_manages;
    no_key_survives_being_made_while_its_maker_is_revoked => against_revocation;
    a_key_stays_in_its_family_when_the_key_between_is_cleared_away => cleared_between;
}

async fn made_and_used(
    test: &TestAuth,
    maker: &Principal,
    allowed: &[Permission],
) -> (NewApiKey, Arc<Principal>) {
    let made = make_key(&test.auth, maker, allowed).await;
    let principal = principal_of(&test.auth, made.key.expose()).await;
    (made, principal)
}

async fn bounded(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = test.auth.clock().now().after(DAY);
    let request = key_request(&[Permission::FullAccess], Some(end));
    let parent = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    let parent = principal_of(&test.auth, parent.key.expose()).await;
    for (allowed, expires_at, expected) in [
        (Permission::Read, None, Some(CreateApiKeyRejection::LaterEnd)),
        (Permission::Read, Some(end.after(SECOND)), Some(CreateApiKeyRejection::LaterEnd)),
        (Permission::FullAccess, Some(end), None),
        (Permission::Read, Some(end.before(HOUR)), None),
    ] {
        let request = key_request(&[allowed], expires_at);
        let outcome = test.auth.create_api_key(&parent, request, &context()).await;
        match expected {
            Some(expected) => assert_eq!(rejection(outcome), expected),
            None => assert_eq!(outcome.unwrap().details.parent, parent.api_key()),
        }
    }
    // A key that may manage nothing makes nothing, whatever it asks for.
    let (_, small) = made_and_used(&test, &alice, &[Permission::Read]).await;
    let outcome = test.auth.create_api_key(&small, key_request(&[Permission::Read], None), &context()).await;
    assert_eq!(rejection(outcome), CreateApiKeyRejection::Actor(ActorRejection::InsufficientPermissions));
}

async fn bounded_by_overlap(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (made, parent) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    test.auth.rotate_api_key(&alice, made.details.id, HOUR, &context()).await.unwrap();
    let overlap_end = test.auth.clock().now().after(HOUR);
    for expires_at in [None, Some(overlap_end.after(SECOND))] {
        let request = key_request(&[Permission::Read], expires_at);
        let outcome = test.auth.create_api_key(&parent, request, &context()).await;
        assert_eq!(rejection(outcome), CreateApiKeyRejection::LaterEnd);
    }
    let request = key_request(&[Permission::Read], Some(overlap_end));
    test.auth.create_api_key(&parent, request, &context()).await.unwrap();
}

async fn revoked_with_parent(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (root, root_principal) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    let (child, child_principal) = made_and_used(&test, &root_principal, &[Permission::FullAccess]).await;
    let (grandchild, _) = made_and_used(&test, &child_principal, &[Permission::Read]).await;
    let (sibling, _) = made_and_used(&test, &alice, &[Permission::Read]).await;
    test.auth.revoke_api_key(&alice, root.details.id, &context()).await.unwrap();
    for key in [&root, &child, &grandchild] {
        assert!(!is_accepted(&test.auth, key.key.expose()).await);
        let kept = test.auth.find_api_key(&alice, key.details.id).await.unwrap();
        assert_eq!(kept.status(test.auth.clock().now()), ApiKeyStatus::Revoked);
    }
    assert!(is_accepted(&test.auth, sibling.key.expose()).await);
    let events = audit_of(&test, Some(alice.user_id)).await;
    assert_eq!(events.iter().filter(|row| row.event == "api_key.revoked").count(), 1, "one event, one row");
}

async fn reach(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (root, root_principal) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    let (child, child_principal) = made_and_used(&test, &root_principal, &[Permission::FullAccess]).await;
    let (grandchild, _) = made_and_used(&test, &child_principal, &[Permission::Read]).await;
    let (sibling, _) = made_and_used(&test, &alice, &[Permission::Read]).await;
    let listed = async |principal: &Principal| {
        let page = test.auth.list_api_keys(principal, PageRequest::default()).await.unwrap();
        page.items.into_iter().map(|key| key.id).collect::<Vec<ApiKeyId>>()
    };
    let [root, child, grandchild, sibling] = [root, child, grandchild, sibling].map(|made| made.details.id);
    assert_eq!(listed(&root_principal).await, [grandchild, child, root]);
    assert_eq!(listed(&child_principal).await, [grandchild, child]);
    assert_eq!(listed(&alice).await, [sibling, grandchild, child, root]);
    for beyond in [root, sibling] {
        assert_eq!(rejection(test.auth.find_api_key(&child_principal, beyond).await), NotFound);
        let revoke = test.auth.revoke_api_key(&child_principal, beyond, &context()).await;
        assert_eq!(rejection(revoke), RevokeApiKeyRejection::NotFound);
        let rotate = test.auth.rotate_api_key(&child_principal, beyond, DAY, &context()).await;
        assert_eq!(rejection(rotate), RotateApiKeyRejection::NotFound);
        let change = ApiKeyChange { name: None, permissions: Some(permissions(&[Permission::Read])) };
        let change = test.auth.change_api_key(&child_principal, beyond, change, &context()).await;
        assert_eq!(rejection(change), ChangeApiKeyRejection::NotFound);
    }
    assert_eq!(test.auth.find_api_key(&root_principal, grandchild).await.unwrap().id, grandchild);
    test.auth.revoke_api_key(&root_principal, grandchild, &context()).await.unwrap();
    // A key may revoke itself.
    test.auth.revoke_api_key(&child_principal, child, &context()).await.unwrap();
    let again = test.auth.revoke_api_key(&child_principal, child, &context()).await;
    assert_eq!(rejection(again), RevokeApiKeyRejection::Actor(ActorRejection::Unauthenticated));
}

async fn narrowing(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (root, root_principal) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    let (child, child_principal) = made_and_used(&test, &root_principal, &[Permission::FullAccess]).await;
    let (both, _) =
        made_and_used(&test, &child_principal, &[Permission::Read, Permission::CreatePayments]).await;
    let (webhooks, _) = made_and_used(&test, &child_principal, &[Permission::ManageWebhooks]).await;
    let left = permissions(&[Permission::Read]);
    let change = ApiKeyChange { name: None, permissions: Some(left) };
    test.auth.change_api_key(&alice, root.details.id, change, &context()).await.unwrap();
    for key in [&root, &child, &both] {
        assert_eq!(principal_of(&test.auth, key.key.expose()).await.permissions, left);
    }
    assert!(!is_accepted(&test.auth, webhooks.key.expose()).await, "nothing is left of it");
    let key = test.auth.find_api_key(&alice, webhooks.details.id).await.unwrap();
    assert_eq!(key.status(test.auth.clock().now()), ApiKeyStatus::Revoked);
}

async fn no_longer_manages(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (made, key) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    // As a request does that was authenticated just before.
    let change = ApiKeyChange { name: None, permissions: Some(permissions(&[Permission::Read])) };
    test.auth.change_api_key(&alice, made.details.id, change.clone(), &context()).await.unwrap();
    let request = key_request(&[Permission::Read], None);
    let outcome = test.auth.create_api_key(&key, request.clone(), &context()).await;
    assert_eq!(rejection(outcome), CreateApiKeyRejection::Actor(ActorRejection::InsufficientPermissions));
    let outcome = test.auth.rotate_api_key(&key, made.details.id, DAY, &context()).await;
    assert_eq!(rejection(outcome), RotateApiKeyRejection::Actor(ActorRejection::InsufficientPermissions));
    test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    let outcome = test.auth.create_api_key(&key, request, &context()).await;
    assert_eq!(rejection(outcome), CreateApiKeyRejection::Actor(ActorRejection::Unauthenticated));
    let outcome = test.auth.change_api_key(&key, made.details.id, change, &context()).await;
    assert_eq!(rejection(outcome), ChangeApiKeyRejection::Actor(ActorRejection::Unauthenticated));
    let outcome = test.auth.rotate_api_key(&key, made.details.id, DAY, &context()).await;
    assert_eq!(rejection(outcome), RotateApiKeyRejection::Actor(ActorRejection::Unauthenticated));
}

async fn against_revocation(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for _ in 0..5 {
        let (made, key) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
        let mut creations = JoinSet::new();
        for _ in 0..10 {
            let (auth, key) = (test.auth.clone(), Arc::clone(&key));
            creations.spawn(async move {
                auth.create_api_key(&key, key_request(&[Permission::Read], None), &context()).await
            });
        }
        let (auth, alice_too, id) = (test.auth.clone(), Arc::clone(&alice), made.details.id);
        let revocation = tokio::spawn(async move { auth.revoke_api_key(&alice_too, id, &context()).await });
        let outcomes = creations.join_all().await;
        revocation.await.unwrap().unwrap();
        for outcome in outcomes {
            match outcome {
                Ok(child) => assert!(!is_accepted(&test.auth, child.key.expose()).await),
                refused => assert_eq!(
                    rejection(refused),
                    CreateApiKeyRejection::Actor(ActorRejection::Unauthenticated)
                ),
            }
        }
    }
}

/// A program under a key rotates itself for ever: the keys that it leaves behind are cleared away, and its
/// newest one still belongs to the key that once made the first.
async fn cleared_between(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let (parent, parent_principal) = made_and_used(&test, &alice, &[Permission::FullAccess]).await;
    let (mut key, mut principal) = made_and_used(&test, &parent_principal, &[Permission::FullAccess]).await;
    for _ in 0..3 {
        key = test.auth.rotate_api_key(&principal, key.details.id, DAY, &context()).await.unwrap();
        principal = principal_of(&test.auth, key.key.expose()).await;
        test.auth.write_uses().await.unwrap();
        test.clock.advance(2 * DAY);
    }
    test.clock.advance(91 * DAY);
    let now = test.auth.clock().now();
    let cleared = test.auth.store().clear_away(now, 365 * DAY).await.unwrap();
    assert_eq!(cleared.api_keys, 3);
    assert!(is_accepted(&test.auth, key.key.expose()).await);
    let page = test.auth.list_api_keys(&parent_principal, PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 2, "it is still within its maker's reach");
    // The login that made the first key has expired long ago.
    let login = test.login("alice").await;
    let alice = principal_of(&test.auth, login.access.expose()).await;
    test.auth.revoke_api_key(&alice, parent.details.id, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, key.key.expose()).await);
}
