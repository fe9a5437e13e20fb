//! Writes that share a commit: one failure harms no other, and what was acknowledged stays.

use cryptopay_store::api_key::{ApiKeyPlan, KeyActor};
use cryptopay_store::user::{InsertUserOutcome, UserKey};
use cryptopay_store::{Store, StoreConfig, StoreError};
use cryptopay_testkit::{Backend, on_both_databases};
use tokio::runtime::Handle;

use crate::fixture::{Fixture, at, at_once, audit, hash_of, new_key, new_user, put_key, register};

on_both_databases! {
    a_write_that_fails_harms_no_other_and_what_was_acknowledged_is_there_after_reopening => one_failure;
    an_operation_that_panics_leaves_the_store_healthy_and_nothing_written => panicking;
    a_statement_that_is_refused_undoes_its_own_operation_alone => refused_statement;
}

async fn one_failure(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    register(&fixture.store, "taken").await;
    // Every fifth write violates a constraint in the middle of its group.
    let outcomes = at_once(200, |number| {
        let store = fixture.store.clone();
        let name = if number % 5 == 0 { "taken".to_owned() } else { format!("user-{number}") };
        async move {
            let new = new_user(&name, &format!("{name}@example.com"));
            (name, store.insert_user(new, audit("user.registered")).await.unwrap())
        }
    })
    .await;

    let reopened = Store::open(fixture.database.url(), StoreConfig::default(), Handle::current()).unwrap();
    for (name, outcome) in outcomes {
        if name == "taken" {
            assert!(matches!(outcome, InsertUserOutcome::UsernameTaken), "{outcome:?}");
            continue;
        }
        let InsertUserOutcome::Inserted(user) = outcome else { panic!("{name}: {outcome:?}") };
        let found = reopened.find_user_credentials(UserKey::Username(name)).await.unwrap();
        assert_eq!(found.expect("what was acknowledged is there").user, user);
    }
    let recorded = reopened.list_audit_events(None, 1000).await.unwrap();
    assert_eq!(recorded.len(), 161, "a failed write left its audit event behind, or one was lost");
}

async fn panicking(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let user = register(&fixture.store, "alice").await.id;
    let results = at_once(60, |number| {
        let store = fixture.store.clone();
        async move {
            let key = new_key(user, None);
            let decide = move |_| {
                if number % 3 == 0 {
                    // Without the hook: to look up where it was takes long, during which a connection is not free.
                    std::panic::resume_unwind(Box::new("an operation panics, as the test wants"));
                }
                Ok::<_, ()>((
                    ApiKeyPlan { insert: Some((key.clone(), hash_of(key.id))), ..Default::default() },
                    (),
                ))
            };
            store.change_api_keys(user, KeyActor::Operator, None, at(0), decide).await.map(|_| ())
        }
    })
    .await;
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(()) => assert_ne!(number % 3, 0),
            Err(error) => assert!(number % 3 == 0 && matches!(error, StoreError::Closed), "{error:?}"),
        }
    }
    // As many operations as there are connections, and more, find one that works.
    let found = at_once(40, |_| {
        let store = fixture.store.clone();
        async move { store.find_user(user).await.unwrap().is_some() }
    })
    .await;
    assert_eq!(found, [true; 40]);
    let request = cryptopay_domain::PageRequest {
        limit: cryptopay_domain::page::PageLimit::new(100).unwrap(),
        position: None,
    };
    let listed = fixture.store.list_api_keys(user, KeyActor::Operator, request, at(0)).await.unwrap();
    assert_eq!(listed.items.len(), 40);
}

async fn refused_statement(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let user = register(&fixture.store, "alice").await.id;
    let first = put_key(&fixture.store, new_key(user, None)).await;
    let results = at_once(30, |number| {
        let store = fixture.store.clone();
        async move {
            let key = new_key(user, None);
            // Every third repeats a hash; the audit event before it in the plan must not stay.
            let hash = if number % 3 == 0 { hash_of(first.id) } else { hash_of(key.id) };
            let decide = move |_| {
                let plan = ApiKeyPlan {
                    insert: Some((key, hash)),
                    changes: vec![],
                    audit: vec![audit("api_key.created")],
                };
                Ok::<_, ()>((plan, ()))
            };
            store.change_api_keys(user, KeyActor::Operator, None, at(0), decide).await.map(|_| ())
        }
    })
    .await;
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(()) => assert_ne!(number % 3, 0),
            Err(error) => assert!(number % 3 == 0 && !error.is_unavailable(), "{error:?}"),
        }
    }
    let recorded = fixture.store.list_audit_events(None, 1000).await.unwrap();
    assert_eq!(recorded.iter().filter(|row| row.event == "api_key.created").count(), 20);
}
