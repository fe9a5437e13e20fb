//! Sessions: begun only for whom was verified, rotated once, ended for good.

use cryptopay_domain::session::RefreshPolicy;
use cryptopay_domain::{Session, SessionId};
use cryptopay_store::Store;
use cryptopay_store::login_throttle::AttemptSettlement;
use cryptopay_store::session::{EndSessions, SessionRotation, SessionSighting, VerifiedLogin};
use cryptopay_store::user::{PasswordChange, UserKey};
use cryptopay_testkit::{Backend, on_both_databases};
use secrecy::{ExposeSecret, SecretString};

use crate::fixture::{
    Fixture, HASH, at, at_once, audit, login, new_session, register, seconds, session_id, verified,
};

on_both_databases! {
    of_fifty_rotations_from_one_counter_exactly_one_wins => rotation_race;
    an_ended_session_is_not_rotated => no_rotation_after_the_end;
    a_session_survives_its_row_to_the_microsecond => exact_row;
    a_login_is_refused_when_the_password_was_changed_meanwhile => changed_meanwhile;
    a_login_is_refused_when_the_account_was_disabled_meanwhile => disabled_meanwhile;
    a_rehash_is_written_only_over_the_hash_that_was_verified => rehash;
    no_session_outlives_a_password_change_that_runs_beside_logins => login_against_change;
    ending_a_session_reaches_only_its_owners_and_is_told_once => ending;
    the_first_sight_of_a_counter_is_kept_and_last_uses_never_go_back => sightings;
}

const POLICY: RefreshPolicy = RefreshPolicy { ttl: seconds(2_592_000), grace: seconds(30) };

async fn find(store: &Store, id: SessionId) -> Session {
    store.find_session_with_username(id).await.unwrap().expect("the session is there").0
}

fn rotation_of(session: &Session, mac_key: &str) -> SessionRotation {
    let now = at(10);
    SessionRotation {
        session: session.id,
        from_counter: session.line.counter,
        line: session.line.rotated(mac_key.to_owned(), POLICY, now),
        expires_at: now.after(POLICY.ttl),
        now,
    }
}

async fn rotation_race(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let session = find(&fixture.store, login(&fixture.store, alice).await).await;
    let won = at_once(50, |number| {
        let (store, rotation) = (fixture.store.clone(), rotation_of(&session, &format!("key-{number}")));
        async move { store.rotate_session(rotation, audit("refreshed")).await.unwrap() }
    })
    .await;
    let winners: Vec<usize> = won.iter().enumerate().filter(|(_, won)| **won).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1);
    let line = find(&fixture.store, session.id).await.line;
    assert_eq!((line.counter, line.mac_key), (1, format!("key-{}", winners[0])));
    let events = fixture.store.list_audit_events(None, 1000).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "refreshed").count(), 1);
}

async fn no_rotation_after_the_end(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let session = find(store, login(store, alice).await).await;
    let ended = store.end_sessions(alice, EndSessions::One(session.id), at(5), audit("logout")).await;
    assert_eq!(ended.unwrap().len(), 1);
    assert!(!store.rotate_session(rotation_of(&session, "key"), audit("refreshed")).await.unwrap());
    assert_eq!(find(store, session.id).await, Session { ended_at: Some(at(5)), ..session });
}

async fn exact_row(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let micro = |n| cryptopay_domain::Timestamp::from_unix_micros(at(n).unix_micros() + 1);
    let mut session = new_session(alice);
    session.created_at = micro(1);
    session.line.used_at = Some(micro(2));
    session.line = session.line.rotated("key".to_owned(), POLICY, micro(3));
    session.expires_at = cryptopay_domain::Timestamp::MAX;
    assert!(store.insert_session(verified(session.clone()), audit("login")).await.unwrap());
    let (found, username) = store.find_session_with_username(session.id).await.unwrap().unwrap();
    assert_eq!((found, username.as_str()), (session, "alice"));
    assert!(store.find_session_with_username(session_id()).await.unwrap().is_none());
}

async fn changed_meanwhile(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let keep = login(store, alice).await;
    let change = PasswordChange {
        user: alice,
        verified: SecretString::from(HASH),
        new: SecretString::from("$new"),
        keep,
        now: at(5),
    };
    assert!(store.change_password(change, audit("password")).await.unwrap().is_some());
    let late = new_session(alice);
    let id = late.id;
    assert!(!store.insert_session(verified(late), audit("login")).await.unwrap());
    assert!(store.find_session_with_username(id).await.unwrap().is_none());
}

async fn disabled_meanwhile(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    store.set_user_disabled("alice".to_owned(), Some(at(1)), at(1), audit("disabled")).await.unwrap();
    assert!(!store.insert_session(verified(new_session(alice)), audit("login")).await.unwrap());
    store.set_user_disabled("alice".to_owned(), None, at(2), audit("enabled")).await.unwrap();
    assert!(store.insert_session(verified(new_session(alice)), audit("login")).await.unwrap());
}

async fn rehash(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let rehashing = |verified: &str| VerifiedLogin {
        session: new_session(alice),
        verified: SecretString::from(verified),
        rehashed: Some(SecretString::from("$scrypt$stronger")),
        attempt: AttemptSettlement::default(),
    };
    assert!(!store.insert_session(rehashing("$scrypt$older"), audit("login")).await.unwrap());
    let hash = async || {
        let found = store.find_user_credentials(UserKey::Id(alice)).await.unwrap().unwrap();
        found.password_hash.expose_secret().to_owned()
    };
    assert_eq!(hash().await, HASH);
    assert!(store.insert_session(rehashing(HASH), audit("login")).await.unwrap());
    assert_eq!(hash().await, "$scrypt$stronger");
}

async fn login_against_change(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let keep = login(store, alice).await;
    let results = at_once(41, |number| {
        let store = store.clone();
        async move {
            if number != 20 {
                let session = new_session(alice);
                let id = session.id;
                return store.insert_session(verified(session), audit("login")).await.unwrap().then_some(id);
            }
            let change = PasswordChange {
                user: alice,
                verified: SecretString::from(HASH),
                new: SecretString::from("$new"),
                keep,
                now: at(5),
            };
            assert!(store.change_password(change, audit("password")).await.unwrap().is_some());
            None
        }
    })
    .await;
    for session in results.into_iter().flatten() {
        assert!(!store.is_session_live(session, alice).await.unwrap(), "begun with the old password");
    }
    assert!(store.is_session_live(keep, alice).await.unwrap());
}

async fn ending(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let (first, second, third) =
        (login(store, alice).await, login(store, alice).await, login(store, alice).await);
    let end = async |user, which| store.end_sessions(user, which, at(5), audit("ended")).await.unwrap().len();
    assert_eq!(end(bob, EndSessions::One(first)).await, 0, "somebody else's session");
    assert_eq!(end(alice, EndSessions::One(first)).await, 1);
    assert_eq!(end(alice, EndSessions::One(first)).await, 0, "it has ended already");
    assert_eq!(end(bob, EndSessions::AllBut(session_id())).await, 0);
    assert_eq!(end(alice, EndSessions::AllBut(second)).await, 1);
    assert!(store.is_session_live(second, alice).await.unwrap());
    assert!(!store.is_session_live(third, alice).await.unwrap());
    assert!(!store.is_session_live(second, bob).await.unwrap());
}

async fn sightings(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let id = login(store, alice).await;
    let see = async |counter, moment| {
        let sighting = SessionSighting { session: id, counter, at: at(moment) };
        store.mark_sessions_seen(vec![sighting], vec![(id, at(moment))]).await.unwrap();
        let session = find(store, id).await;
        (session.line.used_at, session.last_used_at)
    };
    assert_eq!(see(1, 7).await, (None, at(7)), "of another counter");
    assert_eq!(see(0, 9).await, (Some(at(9)), at(9)));
    assert_eq!(see(0, 8).await, (Some(at(9)), at(9)));
    assert_eq!(see(0, 12).await, (Some(at(9)), at(12)));
    // Of a session that is gone: nothing happens.
    let gone = SessionSighting { session: session_id(), counter: 0, at: at(1) };
    store.mark_sessions_seen(vec![gone], vec![(session_id(), at(1))]).await.unwrap();
}
