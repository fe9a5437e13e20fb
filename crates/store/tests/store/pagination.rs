//! Lists: every item once, newest first, forward and back, while others are being added.

use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{ApiKeyId, PageRequest, SessionId};
use cryptopay_store::api_key::KeyActor;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, audit, login, new_key, put_key, register};

on_both_databases! {
    sessions_are_paged_forward_and_back_while_logins_go_on => sessions;
    api_keys_are_paged_forward_and_back_while_keys_are_made => api_keys;
    a_keys_family_is_paged_like_any_list => family;
    ended_and_expired_sessions_are_not_listed => ended;
}

fn two<Id>(position: Option<cryptopay_domain::page::Position<Id>>) -> PageRequest<Id> {
    PageRequest { limit: PageLimit::new(2).unwrap(), position }
}

async fn sessions(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let mut made: Vec<SessionId> = Vec::new();
    for _ in 0..5 {
        made.push(login(store, alice).await);
        login(store, bob).await;
    }
    let list = async |position| {
        let page = store.list_sessions(alice, two(position), at(0)).await.unwrap();
        (page.items.iter().map(|session| session.id).collect::<Vec<_>>(), page.next, page.previous)
    };
    let (first, next, previous) = list(None).await;
    assert_eq!((first, previous), (vec![made[4], made[3]], None));
    let newer = login(store, alice).await;
    let (second, next, previous) = list(next).await;
    assert_eq!(second, [made[2], made[1]]);
    let (third, end, _) = list(next).await;
    assert_eq!((third, end), (vec![made[0]], None));
    let (back, _, previous) = list(previous).await;
    assert_eq!(back, [made[4], made[3]]);
    let (newest, next, previous) = list(previous).await;
    assert_eq!((newest, previous), (vec![newer], None));
    assert_eq!(list(next).await.0, [made[4], made[3]]);
}

async fn api_keys(backend: Backend) {
    page_keys(backend, |_| KeyActor::Operator).await;
}

async fn family(backend: Backend) {
    page_keys(backend, KeyActor::Key).await;
}

/// Pages through a key and five under it, with `actor` made of that key.
async fn page_keys(backend: Backend, actor: impl Fn(ApiKeyId) -> KeyActor) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let root = put_key(store, new_key(alice, None)).await.id;
    let actor = actor(root);
    let mut made = vec![root];
    for _ in 0..4 {
        made.push(put_key(store, new_key(alice, Some(root))).await.id);
        put_key(store, new_key(bob, None)).await;
    }
    let list = async |position| {
        let page = store.list_api_keys(alice, actor, two(position), at(0)).await.unwrap();
        (page.items.iter().map(|key| key.id).collect::<Vec<_>>(), page.next, page.previous)
    };
    let (first, next, previous) = list(None).await;
    assert_eq!((first, previous), (vec![made[4], made[3]], None));
    let newer = put_key(store, new_key(alice, Some(root))).await.id;
    let (second, next, previous) = list(next).await;
    assert_eq!(second, [made[2], made[1]]);
    let (third, end, _) = list(next).await;
    assert_eq!((third, end), (vec![made[0]], None));
    let (back, _, previous) = list(previous).await;
    assert_eq!(back, [made[4], made[3]]);
    let (newest, next, previous) = list(previous).await;
    assert_eq!((newest, previous), (vec![newer], None));
    assert_eq!(list(next).await.0, [made[4], made[3]]);
}

async fn ended(backend: Backend) {
    use cryptopay_store::session::EndSessions;
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (ended, live) = (login(store, alice).await, login(store, alice).await);
    store.end_sessions(alice, EndSessions::One(ended), at(1), audit("logout")).await.unwrap();
    let listed = store.list_sessions(alice, two(None), at(2)).await.unwrap();
    assert_eq!(listed.items.iter().map(|session| session.id).collect::<Vec<_>>(), [live]);
    let expired = store.list_sessions(alice, two(None), at(2_592_000)).await.unwrap();
    assert_eq!(expired.items, []);
}
