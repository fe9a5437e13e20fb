//! Accounts: unique names, and passwords that change under somebody's feet.

use std::collections::HashSet;

use cryptopay_domain::{DisplayName, SessionId, UserId};
use cryptopay_store::revocation::Revoked;
use cryptopay_store::user::{InsertUserOutcome, PasswordChange, Taken, UserKey};
use cryptopay_testkit::{Backend, on_both_databases};
use secrecy::{ExposeSecret, SecretString};

use crate::fixture::{
    Fixture, HASH, at, at_once, audit, hash_of, login, new_key, new_user, put_key, register,
};

on_both_databases! {
    of_fifty_registrations_of_one_name_at_once_exactly_one_is_made => one_name;
    of_fifty_registrations_of_one_address_at_once_exactly_one_is_made => one_address;
    a_refused_registration_says_which_name_is_taken => which_is_taken;
    a_password_change_ends_every_other_session_and_no_other_merchants => password_change;
    a_password_change_is_refused_when_the_hash_has_moved_on => hash_moved_on;
    a_password_change_is_refused_when_its_session_has_ended_or_the_account_is_disabled => asker_gone;
    of_many_password_changes_at_once_exactly_one_wins => password_race;
    disabling_ends_all_sessions_and_voids_all_keys => disabling;
    a_disabled_account_cannot_be_renamed => renaming;
    accounts_are_listed_in_order_of_their_numbers => listing;
}

async fn one_name(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let outcomes = at_once(50, |number| {
        let store = fixture.store.clone();
        async move {
            let name = if number % 2 == 0 { "Alice" } else { "aLICE" };
            let new = new_user(name, &format!("alice-{number}@example.com"));
            store.insert_user(new, audit("user.registered")).await.unwrap()
        }
    })
    .await;
    let made = outcomes.iter().filter(|outcome| matches!(outcome, InsertUserOutcome::Inserted(_))).count();
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, InsertUserOutcome::UsernameTaken)).count();
    assert_eq!((made, taken), (1, 49), "{outcomes:?}");
}

async fn one_address(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let outcomes = at_once(50, |number| {
        let store = fixture.store.clone();
        async move {
            let email = if number % 2 == 0 { "Shop@Example.com" } else { "shop@EXAMPLE.com" };
            let new = new_user(&format!("user-{number}"), email);
            store.insert_user(new, audit("user.registered")).await.unwrap()
        }
    })
    .await;
    let made = outcomes.iter().filter(|outcome| matches!(outcome, InsertUserOutcome::Inserted(_))).count();
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, InsertUserOutcome::EmailTaken)).count();
    assert_eq!((made, taken), (1, 49), "{outcomes:?}");
}

async fn which_is_taken(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    register(&fixture.store, "alice").await;
    for (username, email, expected) in [
        ("ALICE", "new@example.com", Some(Taken::Username)),
        ("bobby", "ALICE@example.com", Some(Taken::Email)),
        ("alice", "alice@example.com", Some(Taken::Username)),
        ("carol", "carol@example.com", None),
    ] {
        let new = new_user(username, email);
        assert_eq!(fixture.store.find_taken(&new.username, &new.email).await.unwrap(), expected);
        let outcome = fixture.store.insert_user(new, audit("user.registered")).await.unwrap();
        let told = match outcome {
            InsertUserOutcome::Inserted(_) => None,
            InsertUserOutcome::UsernameTaken => Some(Taken::Username),
            InsertUserOutcome::EmailTaken => Some(Taken::Email),
        };
        assert_eq!(told, expected, "{username} {email}");
    }
}

fn change(user: UserId, verified: &str, new: &str, keep: SessionId) -> PasswordChange {
    PasswordChange {
        user,
        verified: SecretString::from(verified),
        new: SecretString::from(new),
        keep,
        now: at(10),
    }
}

async fn password_change(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let (keep, first, second) =
        (login(store, alice).await, login(store, alice).await, login(store, alice).await);
    let bystander = login(store, bob).await;

    let ended = store.change_password(change(alice, HASH, "$new", keep), audit("password")).await.unwrap();
    let ended: HashSet<_> = ended.expect("it is changed").into_iter().map(|row| row.revoked).collect();
    assert_eq!(ended, HashSet::from([Revoked::Session(first), Revoked::Session(second)]));
    for (session, user, live) in
        [(keep, alice, true), (first, alice, false), (second, alice, false), (bystander, bob, true)]
    {
        assert_eq!(store.is_session_live(session, user).await.unwrap(), live);
    }
    let credentials = store.find_user_credentials(UserKey::Id(alice)).await.unwrap().unwrap();
    assert_eq!(credentials.password_hash.expose_secret(), "$new");
}

async fn hash_moved_on(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (keep, other) = (login(store, alice).await, login(store, alice).await);
    let refused = store.change_password(change(alice, "$older", "$new", keep), audit("password")).await;
    assert_eq!(refused.unwrap(), None);
    assert!(store.is_session_live(other, alice).await.unwrap());
    let credentials = store.find_user_credentials(UserKey::Id(alice)).await.unwrap().unwrap();
    assert_eq!(credentials.password_hash.expose_secret(), HASH);
}

async fn asker_gone(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let foreign = login(store, bob).await;
    let refused = store.change_password(change(alice, HASH, "$new", foreign), audit("password")).await;
    assert_eq!(refused.unwrap(), None);
    let credentials = store.find_user_credentials(UserKey::Id(alice)).await.unwrap().unwrap();
    assert_eq!(credentials.password_hash.expose_secret(), HASH, "the refused change was rolled back");

    let keep = login(store, alice).await;
    store.set_user_disabled("alice".to_owned(), Some(at(5)), at(5), audit("disabled")).await.unwrap();
    let refused = store.change_password(change(alice, HASH, "$new", keep), audit("password")).await;
    assert_eq!(refused.unwrap(), None);
}

async fn password_race(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let keep = login(&fixture.store, alice).await;
    let outcomes = at_once(30, |number| {
        let store = fixture.store.clone();
        async move {
            let change = change(alice, HASH, &format!("$new-{number}"), keep);
            store.change_password(change, audit("password")).await.unwrap().is_some()
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|changed| **changed).count(), 1);
}

async fn disabling(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let session = login(store, alice).await;
    let key = put_key(store, new_key(alice, None)).await.id;
    let disabled = store.set_user_disabled("alice".to_owned(), Some(at(5)), at(5), audit("disabled"));
    let (user, rows) = disabled.await.unwrap().expect("the account is there");
    assert_eq!(user.disabled_at, Some(at(5)));
    let revoked: Vec<_> = rows.into_iter().map(|row| row.revoked).collect();
    assert_eq!(revoked, [Revoked::Session(session), Revoked::ApiKey(key)]);
    assert!(!store.is_session_live(session, alice).await.unwrap());
    let presented = store.find_api_key_by_hash(hash_of(key)).await.unwrap().unwrap();
    assert_eq!(presented.user_disabled_at, Some(at(5)));
    let nobody = store.set_user_disabled("nobody".to_owned(), None, at(5), audit("enabled")).await.unwrap();
    assert!(nobody.is_none());
}

async fn renaming(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    // What looks like SQL is a name like any other.
    let name = DisplayName::parse("Robert'); DROP TABLE users;-- \"$1\" 🏪").unwrap();
    let renamed = store.rename_shop(alice, name.clone(), audit("renamed")).await.unwrap().unwrap();
    assert_eq!(renamed.shop_name, name.as_str());
    store.set_user_disabled("alice".to_owned(), Some(at(5)), at(5), audit("disabled")).await.unwrap();
    let other = DisplayName::parse("Other").unwrap();
    assert_eq!(store.rename_shop(alice, other, audit("renamed")).await.unwrap(), None);
    assert_eq!(store.find_user(alice).await.unwrap().unwrap().shop_name, name.as_str());
}

async fn listing(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let mut ids = Vec::new();
    for name in ["carol", "alice", "bobby"] {
        ids.push(register(store, name).await.id);
    }
    let first = store.list_users(UserId(0), 2).await.unwrap();
    assert_eq!(first.iter().map(|user| user.id).collect::<Vec<_>>(), ids[..2]);
    let rest = store.list_users(ids[1], 2).await.unwrap();
    assert_eq!(rest.iter().map(|user| user.id).collect::<Vec<_>>(), ids[2..]);
}
