//! A merchant's sessions.

use cryptopay_auth::{
    ActorRejection, CreateApiKeyRejection, EndSessionRejection, LoginRequired, RequestContext,
};
use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{PageRequest, Permission, SessionId};
use cryptopay_testkit::{Backend, PASSWORD, TestAuth, context, login_command, on_both_databases};
use uuid::Uuid;

use crate::support::{DAY, MINUTE, SECOND, audit_of, is_accepted, make_key, principal_of, rejection};

on_both_databases! {
    sessions_are_listed_newest_first_with_where_they_come_from => listed;
    a_sessions_last_use_is_right_within_a_minute => last_use;
    sessions_that_ended_or_expired_are_not_listed => over;
    a_list_of_sessions_is_paged => paged;
    logging_out_ends_this_session_alone_and_at_once => logout;
    a_merchant_ends_one_of_their_sessions => end_one;
    another_merchants_session_is_not_found => another_merchants;
    a_merchant_ends_all_other_sessions => end_others;
    an_api_key_may_not_touch_sessions => by_key;
    an_ended_session_neither_refreshes_nor_makes_keys => ended_is_ended;
}

async fn listed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("bob").await;
    test.login("bob").await;
    let first = test.login("alice").await;
    test.clock.advance(MINUTE);
    let elsewhere = RequestContext {
        client: cryptopay_domain::ClientAddress::new([198, 51, 100, 9].into()),
        user_agent: None,
        request_id: "other".to_owned(),
    };
    let second = test.auth.login(login_command("alice", PASSWORD), &elsewhere).await.unwrap();
    let principal = principal_of(&test.auth, first.access.expose()).await;
    let own = principal.session().unwrap();
    let other = principal_of(&test.auth, second.access.expose()).await.session().unwrap();
    let page = test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap();
    let ids: Vec<SessionId> = page.items.iter().map(|session| session.id).collect();
    assert_eq!(ids, [other, own]);
    assert_eq!((page.items[0].ip.as_str(), page.items[0].user_agent.as_deref()), ("198.51.100.9", None));
    assert_eq!(page.items[1].ip, "192.0.2.7");
    assert_eq!(page.items[1].user_agent.as_deref(), Some("test/1.0"));
    assert_eq!(page.items[1].expires_at, page.items[1].created_at.after(30 * DAY));
}

async fn last_use(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let principal = test.principal("alice").await;
    let login = test.login("alice").await;
    let session = principal_of(&test.auth, login.access.expose()).await.session().unwrap();
    let other = test.replica().await;
    for _ in 0..6 {
        test.clock.advance(45 * SECOND);
        assert!(is_accepted(&test.auth, login.access.expose()).await);
        let now = test.auth.clock().now();
        let seen = |page: cryptopay_domain::Page<cryptopay_domain::Session, SessionId>| {
            page.items.into_iter().find(|listed| listed.id == session).unwrap().last_used_at
        };
        let page = test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap();
        assert!(now.since(seen(page)) < MINUTE);
        test.auth.write_uses().await.unwrap();
        let page = other.list_sessions(&principal, PageRequest::default()).await.unwrap();
        assert!(now.since(seen(page)) < MINUTE);
    }
}

async fn over(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let principal = test.principal("alice").await;
    let ended = test.login("alice").await;
    let ended = principal_of(&test.auth, ended.access.expose()).await;
    test.auth.logout(&ended, &context()).await.unwrap();
    let count =
        async || test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap().items.len();
    assert_eq!(count().await, 1);
    test.clock.advance(30 * DAY - SECOND);
    assert_eq!(count().await, 1);
    test.clock.advance(SECOND);
    assert_eq!(count().await, 0);
}

async fn paged(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let principal = test.principal("alice").await;
    for _ in 0..4 {
        test.login("alice").await;
    }
    let limit = PageLimit::new(2).unwrap();
    let mut request = PageRequest { limit, position: None };
    let mut seen = Vec::new();
    loop {
        let page = test.auth.list_sessions(&principal, request).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|session| session.id));
        // A session that begins meanwhile shifts nothing.
        test.login("alice").await;
        match page.next {
            Some(next) => request.position = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
}

async fn logout(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let kept = test.principal("alice").await;
    let login = test.login("alice").await;
    let principal = principal_of(&test.auth, login.access.expose()).await;
    assert_eq!(test.auth.logout(&principal, &context()).await.unwrap(), 1);
    assert!(!is_accepted(&test.auth, login.access.expose()).await);
    assert!(test.auth.authenticate_cached(login.access.expose()).is_none());
    let listed = test.auth.list_sessions(&kept, PageRequest::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(test.auth.logout(&principal, &context()).await.unwrap(), 0, "it has ended already");
    let events = audit_of(&test, None).await;
    assert_eq!(events.iter().filter(|row| row.event == "session.logged_out").count(), 1);
}

async fn end_one(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let principal = test.principal("alice").await;
    let other = test.login("alice").await;
    let id = principal_of(&test.auth, other.access.expose()).await.session().unwrap();
    assert_eq!(test.auth.end_session(&principal, id, &context()).await.unwrap(), 1);
    assert!(!is_accepted(&test.auth, other.access.expose()).await);
    let again = test.auth.end_session(&principal, id, &context()).await;
    assert_eq!(rejection(again), EndSessionRejection::NotFound);
    let own = principal.session().unwrap();
    assert_eq!(test.auth.end_session(&principal, own, &context()).await.unwrap(), 1);
}

async fn another_merchants(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.principal("alice").await;
    test.register("bob").await;
    let bobs = test.login("bob").await;
    let bob = principal_of(&test.auth, bobs.access.expose()).await;
    for id in [bob.session().unwrap(), SessionId(Uuid::from_u128(7))] {
        let outcome = test.auth.end_session(&alice, id, &context()).await;
        assert_eq!(rejection(outcome), EndSessionRejection::NotFound);
    }
    assert!(is_accepted(&test.auth, bobs.access.expose()).await);
    assert_eq!(test.auth.end_other_sessions(&alice, &context()).await.unwrap(), 0);
    assert!(is_accepted(&test.auth, bobs.access.expose()).await);
}

async fn end_others(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let kept = test.login("alice").await;
    let others = [test.login("alice").await, test.login("alice").await];
    let principal = principal_of(&test.auth, kept.access.expose()).await;
    for other in &others {
        assert!(is_accepted(&test.auth, other.access.expose()).await);
    }
    assert_eq!(test.auth.end_other_sessions(&principal, &context()).await.unwrap(), 2);
    for other in &others {
        assert!(!is_accepted(&test.auth, other.access.expose()).await);
        rejection(test.auth.refresh(other.refresh.expose(), &context()).await);
    }
    assert!(is_accepted(&test.auth, kept.access.expose()).await);
    assert!(test.auth.refresh(kept.refresh.expose(), &context()).await.is_ok());
}

async fn by_key(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let principal = test.principal("alice").await;
    let made = make_key(&test.auth, &principal, &[Permission::FullAccess]).await;
    let key = principal_of(&test.auth, made.key.expose()).await;
    let session = principal.session().unwrap();
    assert_eq!(rejection(test.auth.logout(&key, &context()).await), LoginRequired);
    assert_eq!(rejection(test.auth.list_sessions(&key, PageRequest::default()).await), LoginRequired);
    assert_eq!(rejection(test.auth.end_other_sessions(&key, &context()).await), LoginRequired);
    assert_eq!(
        rejection(test.auth.end_session(&key, session, &context()).await),
        EndSessionRejection::LoginRequired
    );
    assert_eq!(rejection(test.auth.profile(&key).await), LoginRequired);
    let listed = test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

async fn ended_is_ended(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    // A request that was authenticated just before the session ended.
    let principal = principal_of(&test.auth, login.access.expose()).await;
    test.auth.logout(&principal, &context()).await.unwrap();
    rejection(test.auth.refresh(login.refresh.expose(), &context()).await);
    let request = crate::support::key_request(&[Permission::Read], None);
    let outcome = test.auth.create_api_key(&principal, request, &context()).await;
    assert_eq!(rejection(outcome), CreateApiKeyRejection::Actor(ActorRejection::Unauthenticated));
}
