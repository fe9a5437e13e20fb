//! Leases: every delivery to one worker at a time, and none lost with its worker.

use std::collections::HashSet;

use cryptopay_domain::delivery::{DeliveryStatus, NextStep};
use cryptopay_domain::{DeliveryId, EventType, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::delivery::{Lane, LeaseRequest, LeasedDelivery};
use cryptopay_store::payment_order::OrderInsert;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, register};
use crate::outbox::{
    attempt, deliveries, disable, endpoint_of, event, lease, lease_request, listen, order_at, order_of,
    put_endpoint, record, record_all,
};

on_both_databases! {
    workers_that_lease_at_once_never_lease_the_same_delivery => at_one_time;
    a_lease_lost_with_its_worker_is_due_again => lost;
    a_returned_lease_is_due_at_once_and_one_taken_over_is_left_alone => returned;
    a_deferred_lease_is_due_later_the_patient_way_as_it_was => deferred;
    nothing_is_leased_before_its_time => not_yet;
    what_waits_longest_is_leased_first => longest_first;
    one_endpoint_gets_its_share_and_hides_nobody_else => share;
    endpoints_that_are_excepted_are_passed_by => except;
    looks_go_from_endpoint_to_endpoint_and_past_a_backlog => round;
    what_its_writer_leased_is_nobody_elses_until_its_lease_ends => born_leased;
    what_is_written_for_a_failing_endpoint_is_leased_to_nobody => failing_at_birth;
    what_is_due_for_a_disabled_or_deleted_endpoint_ends => pointless;
    what_belongs_to_rows_that_are_not_there_ends => orphaned;
}

async fn at_one_time(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    for _ in 0..3 {
        listen(&fixture.store, alice).await;
    }
    for _ in 0..40 {
        order_at(&fixture.store, alice, at(0)).await;
    }
    let replica = fixture.database.open().await;
    let leased = at_once(8, |number| {
        let store = if number % 2 == 0 { fixture.store.clone() } else { replica.clone() };
        async move {
            let mut leased: Vec<DeliveryId> = Vec::new();
            // A worker that came away with nothing although something was due looks again, as workers do.
            for _ in 0..60 {
                let request = LeaseRequest { limit: 7, ..lease_request(Lane::Prompt, at(0)) };
                leased.extend(
                    store.lease_deliveries(request).await.unwrap().deliveries.iter().map(|leased| leased.id),
                );
            }
            leased
        }
    })
    .await
    .concat();
    assert_eq!(leased.len(), 120);
    assert_eq!(leased.into_iter().collect::<HashSet<_>>().len(), 120);
}

async fn lost(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let first = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    assert_eq!(first.leased_until, at(30));
    assert!(lease(store, Lane::Prompt, at(29)).await.is_empty());
    // Meanwhile the merchant is told when it was due, not when its lease ends.
    assert_eq!(deliveries(store, alice, endpoint).await[0].next_attempt_at, Some(at(0)));
    let second = lease(store, Lane::Prompt, at(30)).await.pop().expect("it is due again");
    assert_eq!((second.id, second.leased_until), (first.id, at(60)));

    // What the first worker still has to say is told, and changes nothing.
    record_all(store, vec![record(&first, attempt(at(31), 500), NextStep::GiveUp)]).await;
    let told = deliveries(store, alice, endpoint).await.pop().expect("it is there");
    assert_eq!((told.status, told.attempts.len()), (DeliveryStatus::Pending, 1));
    record_all(store, vec![record(&second, attempt(at(32), 200), NextStep::Succeeded)]).await;
    let told = deliveries(store, alice, endpoint).await.pop().expect("it is there");
    assert_eq!((told.status, told.attempts.len()), (DeliveryStatus::Succeeded, 2));
}

async fn returned(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let first = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    store.return_leases(vec![(first.id, first.leased_until)]).await.unwrap();
    let second = lease(store, Lane::Prompt, at(1)).await.pop().expect("it is due at once");
    assert_eq!(second.tries, 0);
    store.return_leases(vec![(first.id, first.leased_until)]).await.unwrap();
    assert!(lease(store, Lane::Prompt, at(2)).await.is_empty());
    store.return_leases(vec![]).await.unwrap();
}

async fn deferred(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let first = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    store.defer_deliveries(vec![(first.id, at(29))], at(2)).await.unwrap();
    assert_eq!(deliveries(store, alice, endpoint).await[0].next_attempt_at, Some(at(0)), "another lease");
    store.defer_deliveries(vec![(first.id, first.leased_until)], at(7)).await.unwrap();
    assert_eq!(deliveries(store, alice, endpoint).await[0].next_attempt_at, Some(at(7)));
    assert!(lease(store, Lane::Prompt, at(9)).await.is_empty());
    assert!(lease(store, Lane::Patient, at(6)).await.is_empty());
    let again = lease(store, Lane::Patient, at(7)).await.pop().expect("it is due");
    assert_eq!((again.id, again.tries, again.plan_started_at), (first.id, 0, at(0)));
}

async fn not_yet(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    listen(store, alice).await;
    order_at(store, alice, at(10)).await;
    assert!(lease(store, Lane::Prompt, at(9)).await.is_empty());
    let leased = lease(store, Lane::Prompt, at(10)).await.pop().expect("it is due");
    record_all(store, vec![record(&leased, attempt(at(10), 500), NextStep::Retry(at(20)))]).await;
    assert!(lease(store, Lane::Prompt, at(25)).await.is_empty(), "a retry went the prompt way");
    assert!(lease(store, Lane::Patient, at(19)).await.is_empty());
    assert_eq!(lease(store, Lane::Patient, at(20)).await.pop().map(|leased| leased.tries), Some(1));
}

async fn longest_first(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    listen(store, alice).await;
    for second in [3, 1, 2, 0] {
        order_at(store, alice, at(second)).await;
    }
    let request = LeaseRequest { limit: 3, ..lease_request(Lane::Prompt, at(9)) };
    let leased = store.lease_deliveries(request).await.unwrap().deliveries;
    let begun: Vec<_> = leased.iter().map(|leased| leased.plan_started_at).collect();
    assert_eq!(begun, [at(0), at(1), at(2)]);
}

async fn share(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let (busy, quiet) = (listen(store, alice).await, listen(store, bob).await);
    for _ in 0..30 {
        order_at(store, alice, at(0)).await;
    }
    order_at(store, bob, at(1)).await;
    let request = LeaseRequest { limit: 10, per_endpoint: 4, ..lease_request(Lane::Prompt, at(1)) };
    let leased = store.lease_deliveries(request).await.unwrap().deliveries;
    let count = |endpoint| leased.iter().filter(|leased| leased.endpoint.id == endpoint).count();
    assert_eq!((count(busy), count(quiet)), (4, 1));
}

async fn except(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (full, free) = (listen(store, alice).await, listen(store, alice).await);
    order_at(store, alice, at(0)).await;
    let request = LeaseRequest { except: vec![full], ..lease_request(Lane::Prompt, at(0)) };
    let leased = store.lease_deliveries(request).await.unwrap().deliveries;
    assert_eq!(leased.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [free]);
    let left = lease(store, Lane::Prompt, at(0)).await;
    assert_eq!(left.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [full]);
}

async fn round(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let mut endpoints = Vec::new();
    for name in ["alice", "bobby", "carol", "david", "erika"] {
        let merchant = register(store, name).await.id;
        endpoints.push(listen(store, merchant).await);
        for _ in 0..30 {
            order_at(store, merchant, at(0)).await;
        }
    }
    endpoints.sort();
    let mut after = None;
    let mut seen: Vec<Vec<WebhookEndpointId>> = Vec::new();
    // Twice around: six for the first three endpoints, four for the others, with the end of the list in sight.
    for _ in 0..4 {
        let request = LeaseRequest { limit: 6, per_endpoint: 2, after, ..lease_request(Lane::Prompt, at(0)) };
        let lease = store.lease_deliveries(request).await.unwrap();
        after = lease.reached;
        let mut found: Vec<_> = lease.deliveries.iter().map(|leased| leased.endpoint.id).collect();
        found.sort();
        found.chunks(2).for_each(|pair| assert_eq!(pair[0], pair[1]));
        found.dedup();
        seen.push(found);
    }
    let (first, rest) = endpoints.split_at(3);
    assert_eq!(seen, [first, rest, first, rest]);
    assert_eq!(after, None);
}

async fn born_leased(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    let order = event(EventType::PaymentOrderCreated, at(0));
    let leased_until = Some(at(20));
    let written = match store.insert_payment_order(order_of(alice), None, order.clone(), leased_until).await {
        Ok(OrderInsert::Inserted { deliveries }) => deliveries,
        other => panic!("{other:?}"),
    };
    assert_eq!((written.prompt, written.patient, written.leased.len()), (0, 0, 1));
    // It is what a look would have found, ...
    assert!(lease(store, Lane::Prompt, at(19)).await.is_empty());
    assert_eq!(deliveries(store, alice, endpoint).await[0].next_attempt_at, Some(at(0)));
    let found = lease(store, Lane::Prompt, at(20)).await;
    let leased = &written.leased[0];
    assert_eq!(found, [LeasedDelivery { leased_until: found[0].leased_until, ..leased.clone() }]);
    assert_eq!((&leased.body, leased.tries, leased.plan_started_at), (&order.body, 0, at(0)));
    // ... and once that other lease has begun, its own says nothing more.
    record_all(store, vec![record(leased, attempt(at(21), 500), NextStep::GiveUp)]).await;
    assert_eq!(deliveries(store, alice, endpoint).await[0].status, DeliveryStatus::Pending);
}

async fn failing_at_birth(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let failing = WebhookEndpoint { failing_since: Some(at(0)), ..endpoint_of(alice, &["*"]) };
    let failing = put_endpoint(store, failing).await;
    let working = listen(store, alice).await;
    let told = event(EventType::PaymentOrderCreated, at(0));
    let Ok(OrderInsert::Inserted { deliveries }) =
        store.insert_payment_order(order_of(alice), None, told, Some(at(20))).await
    else {
        panic!("it is not made")
    };
    assert_eq!((deliveries.prompt, deliveries.patient), (0, 1));
    assert_eq!(deliveries.leased.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [working]);
    let due = lease(store, Lane::Patient, at(0)).await;
    assert_eq!(due.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [failing]);
}

/// An order may be written at the moment in which an endpoint is disabled: its delivery is pending
/// afterwards.
async fn pointless(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = endpoint_of(alice, &["*"]);
    let id = put_endpoint(store, endpoint.clone()).await;
    disable(store, alice, id, at(0)).await;
    let late = event(EventType::WebhookTest, at(0));
    store.insert_test_delivery(alice, id, late).await.unwrap();
    assert!(lease(store, Lane::Prompt, at(1)).await.is_empty());
    let told = deliveries(store, alice, id).await.pop().expect("it is there");
    assert_eq!((told.status, told.next_attempt_at), (DeliveryStatus::Failed, None));
    // Enabled again, it does not come back by itself.
    let decide = |_: WebhookEndpoint| Ok::<_, ()>((endpoint, vec![audit("enabled")]));
    store.change_webhook_endpoint(alice, id, at(2), decide).await.unwrap();
    assert!(lease(store, Lane::Prompt, at(100)).await.is_empty());
}

async fn orphaned(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (endpoint, kept) = (listen(store, alice).await, listen(store, alice).await);
    order_at(store, alice, at(0)).await;
    fixture.execute(&format!("DELETE FROM webhook_endpoints WHERE id = '{endpoint}'")).await;
    let leased = lease(store, Lane::Prompt, at(0)).await;
    assert_eq!(leased.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [kept]);
    record_all(store, vec![record(&leased[0], attempt(at(0), 200), NextStep::Succeeded)]).await;
    // Neither the other's lease nor anything else brings it back.
    assert!(lease(store, Lane::Prompt, at(1000)).await.is_empty());
}
