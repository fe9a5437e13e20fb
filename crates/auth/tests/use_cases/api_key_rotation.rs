//! Rotating API keys.

use std::sync::Arc;
use std::time::Duration;

use cryptopay_auth::RotateApiKeyRejection;
use cryptopay_domain::api_key::{ApiKeyStatus, DEFAULT_OVERLAP};
use cryptopay_domain::{Permission, Timestamp};
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};
use tokio::task::JoinSet;

use crate::support::{
    DAY, HOUR, SECOND, audit_of, is_accepted, key_request, make_key, principal_of, rejection,
};

on_both_databases! {
    a_successor_has_the_same_name_permissions_and_end => successor;
    a_rotated_key_works_until_its_overlap_ends_to_the_second => overlap;
    an_overlap_of_nothing_stops_the_key_at_once => no_overlap;
    an_overlap_never_reaches_past_the_keys_own_end => own_end;
    an_unused_successor_is_replaced_and_a_used_one_is_not => replaced;
    a_successors_use_on_another_replica_counts_once_written => used_elsewhere;
    only_an_active_key_is_rotated => only_active;
    keys_underneath_move_to_the_successor => children_move;
    keys_underneath_a_replaced_successor_move_to_the_next_one => replaced_children_move;
    a_successor_made_by_a_login_outlives_the_revoked_key => made_by_login;
    a_successor_made_by_the_key_itself_is_revoked_with_it_but_outlives_its_lapse => made_by_itself;
    a_key_that_is_rotated_is_never_refused_meanwhile => against_verify;
    of_parallel_rotations_all_but_the_last_answer_are_replaced => parallel;
}

fn now(test: &TestAuth) -> Timestamp {
    test.auth.clock().now()
}

async fn successor(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = now(&test).after(365 * DAY);
    let request = key_request(&[Permission::Read, Permission::CreatePayments], Some(end));
    let made = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    let rotated =
        test.auth.rotate_api_key(&alice, made.details.id, DEFAULT_OVERLAP, &context()).await.unwrap();
    assert_ne!(rotated.key.expose(), made.key.expose());
    assert_ne!(rotated.details.id, made.details.id);
    assert_eq!(rotated.details.name, made.details.name);
    assert_eq!(rotated.details.permissions, made.details.permissions);
    assert_eq!(rotated.details.expires_at, Some(end));
    assert_eq!(rotated.details.status(now(&test)), ApiKeyStatus::Active);
    assert_eq!((rotated.details.parent, rotated.details.last_used_at), (None, None));
    assert!(is_accepted(&test.auth, rotated.key.expose()).await);
    let old = test.auth.find_api_key(&alice, made.details.id).await.unwrap();
    assert_eq!(old.successor, Some(rotated.details.id));
    assert_eq!(old.effective_end(), Some(now(&test).after(DAY)));
    assert_eq!(old.status(now(&test)), ApiKeyStatus::Expiring);
}

async fn overlap(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    assert_eq!(principal_of(&test.auth, made.key.expose()).await.expires_at, None);
    test.auth.rotate_api_key(&alice, made.details.id, HOUR, &context()).await.unwrap();
    let end = now(&test).after(HOUR);
    // What was remembered of the key follows at once.
    assert_eq!(principal_of(&test.auth, made.key.expose()).await.expires_at, Some(end));
    test.clock.advance(HOUR - SECOND);
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    test.clock.advance(SECOND);
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    let key = test.auth.find_api_key(&alice, made.details.id).await.unwrap();
    assert_eq!(key.status(now(&test)), ApiKeyStatus::Expired);
}

async fn no_overlap(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    test.clock.advance(Duration::from_millis(700));
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    assert!(is_accepted(&test.auth, made.key.expose()).await);
    let rotated =
        test.auth.rotate_api_key(&alice, made.details.id, Duration::ZERO, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    assert!(is_accepted(&test.auth, rotated.key.expose()).await);
}

async fn own_end(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let end = now(&test).after(HOUR);
    let request = key_request(&[Permission::Read], Some(end));
    let made = test.auth.create_api_key(&alice, request, &context()).await.unwrap();
    let rotated = test.auth.rotate_api_key(&alice, made.details.id, DAY, &context()).await.unwrap();
    let key = test.auth.find_api_key(&alice, made.details.id).await.unwrap();
    assert_eq!((key.effective_end(), rotated.details.expires_at), (Some(end), Some(end)));
}

async fn replaced(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let id = made.details.id;
    let lost = test.auth.rotate_api_key(&alice, id, HOUR, &context()).await.unwrap();
    test.clock.advance(HOUR - SECOND);
    let found = test.auth.rotate_api_key(&alice, id, HOUR, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, lost.key.expose()).await);
    let gone = test.auth.find_api_key(&alice, lost.details.id).await.unwrap();
    assert_eq!(gone.status(now(&test)), ApiKeyStatus::Revoked);
    let old = test.auth.find_api_key(&alice, id).await.unwrap();
    assert_eq!(old.effective_end(), Some(now(&test).after(HOUR)), "the overlap starts anew");
    assert_eq!(old.successor, Some(found.details.id));
    // Used, though not written yet.
    assert!(is_accepted(&test.auth, found.key.expose()).await);
    let outcome = test.auth.rotate_api_key(&alice, id, HOUR, &context()).await;
    assert_eq!(rejection(outcome), RotateApiKeyRejection::Conflict);
    assert!(is_accepted(&test.auth, found.key.expose()).await);
    assert!(is_accepted(&test.auth, made.key.expose()).await);
}

async fn used_elsewhere(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let other = test.replica().await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let rotated = test.auth.rotate_api_key(&alice, made.details.id, HOUR, &context()).await.unwrap();
    assert!(is_accepted(&other, rotated.key.expose()).await);
    other.write_uses().await.unwrap();
    let outcome = test.auth.rotate_api_key(&alice, made.details.id, HOUR, &context()).await;
    assert_eq!(rejection(outcome), RotateApiKeyRejection::Conflict);
}

async fn only_active(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let revoked = make_key(&test.auth, &alice, &[Permission::Read]).await.details.id;
    test.auth.revoke_api_key(&alice, revoked, &context()).await.unwrap();
    let request = key_request(&[Permission::Read], Some(now(&test).after(HOUR)));
    let expired = test.auth.create_api_key(&alice, request, &context()).await.unwrap().details.id;
    let lapsed = make_key(&test.auth, &alice, &[Permission::Read]).await.details.id;
    test.auth.rotate_api_key(&alice, lapsed, HOUR, &context()).await.unwrap();
    let orphaned = make_key(&test.auth, &alice, &[Permission::Read]).await.details.id;
    let successor = test.auth.rotate_api_key(&alice, orphaned, DAY, &context()).await.unwrap().details.id;
    test.auth.revoke_api_key(&alice, successor, &context()).await.unwrap();
    test.clock.advance(HOUR);
    for id in [revoked, expired, lapsed, orphaned] {
        let outcome = test.auth.rotate_api_key(&alice, id, HOUR, &context()).await;
        assert_eq!(rejection(outcome), RotateApiKeyRejection::Conflict);
    }
}

async fn children_move(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let parent = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
    let parent_principal = principal_of(&test.auth, parent.key.expose()).await;
    let child = make_key(&test.auth, &parent_principal, &[Permission::FullAccess]).await;
    let child_principal = principal_of(&test.auth, child.key.expose()).await;
    let grandchild = make_key(&test.auth, &child_principal, &[Permission::Read]).await;
    let rotated = test.auth.rotate_api_key(&alice, parent.details.id, HOUR, &context()).await.unwrap();
    test.clock.advance(HOUR);
    assert!(is_accepted(&test.auth, child.key.expose()).await, "it outlives its maker's overlap");
    let moved = test.auth.find_api_key(&alice, child.details.id).await.unwrap();
    assert_eq!(moved.parent, Some(rotated.details.id));
    let unmoved = test.auth.find_api_key(&alice, grandchild.details.id).await.unwrap();
    assert_eq!(unmoved.parent, Some(child.details.id));
    test.auth.revoke_api_key(&alice, parent.details.id, &context()).await.unwrap();
    assert!(is_accepted(&test.auth, grandchild.key.expose()).await, "it belongs to the successor now");
    test.auth.revoke_api_key(&alice, rotated.details.id, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, child.key.expose()).await);
    assert!(!is_accepted(&test.auth, grandchild.key.expose()).await);
}

async fn replaced_children_move(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for by_itself in [false, true] {
        let key = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
        let principal = principal_of(&test.auth, key.key.expose()).await;
        let child = make_key(&test.auth, &principal, &[Permission::Read]).await;
        let maker = if by_itself { &principal } else { &alice };
        let lost = test.auth.rotate_api_key(maker, key.details.id, HOUR, &context()).await.unwrap();
        let found = test.auth.rotate_api_key(maker, key.details.id, HOUR, &context()).await.unwrap();
        assert!(!is_accepted(&test.auth, lost.key.expose()).await);
        assert!(is_accepted(&test.auth, child.key.expose()).await);
        let moved = test.auth.find_api_key(&alice, child.details.id).await.unwrap();
        assert_eq!(moved.parent, Some(found.details.id), "{by_itself}");
        test.auth.revoke_api_key(&alice, found.details.id, &context()).await.unwrap();
        assert!(!is_accepted(&test.auth, child.key.expose()).await);
    }
}

async fn made_by_login(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let made = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let rotated = test.auth.rotate_api_key(&alice, made.details.id, DAY, &context()).await.unwrap();
    test.auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    assert!(!is_accepted(&test.auth, made.key.expose()).await);
    assert!(is_accepted(&test.auth, rotated.key.expose()).await);
}

async fn made_by_itself(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    for lapses in [true, false] {
        let key = make_key(&test.auth, &alice, &[Permission::FullAccess]).await;
        let principal = principal_of(&test.auth, key.key.expose()).await;
        let child = make_key(&test.auth, &principal, &[Permission::Read]).await;
        let rotated = test.auth.rotate_api_key(&principal, key.details.id, HOUR, &context()).await.unwrap();
        assert_eq!(rotated.details.parent, Some(key.details.id));
        if lapses {
            test.clock.advance(HOUR);
            assert!(!is_accepted(&test.auth, key.key.expose()).await);
        } else {
            test.auth.revoke_api_key(&principal, key.details.id, &context()).await.unwrap();
        }
        assert_eq!(is_accepted(&test.auth, rotated.key.expose()).await, lapses);
        assert_eq!(is_accepted(&test.auth, child.key.expose()).await, lapses, "it moved along");
    }
}

async fn against_verify(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let mut key = make_key(&test.auth, &alice, &[Permission::Read]).await;
    for _ in 0..10 {
        let mut checks = JoinSet::new();
        for _ in 0..20 {
            let (auth, bearer) = (test.auth.clone(), key.key.expose().to_owned());
            checks.spawn(async move { is_accepted(&auth, &bearer).await });
        }
        let rotated = test.auth.rotate_api_key(&alice, key.details.id, HOUR, &context()).await.unwrap();
        assert!(is_accepted(&test.auth, rotated.key.expose()).await);
        assert!(checks.join_all().await.into_iter().all(|accepted| accepted));
        key = rotated;
    }
}

async fn parallel(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    let key = make_key(&test.auth, &alice, &[Permission::Read]).await;
    let mut rotations = JoinSet::new();
    for _ in 0..10 {
        let (auth, alice, id) = (test.auth.clone(), Arc::clone(&alice), key.details.id);
        rotations.spawn(async move { auth.rotate_api_key(&alice, id, HOUR, &context()).await.unwrap() });
    }
    let old = rotations.join_all().await;
    let current = test.auth.find_api_key(&alice, key.details.id).await.unwrap().successor.unwrap();
    for rotated in old {
        let works = is_accepted(&test.auth, rotated.key.expose()).await;
        assert_eq!(works, rotated.details.id == current);
    }
    let events = audit_of(&test, Some(alice.user_id)).await;
    assert_eq!(events.iter().filter(|row| row.event == "api_key.rotated").count(), 10);
}
