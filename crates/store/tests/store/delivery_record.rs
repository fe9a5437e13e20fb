//! What attempts come to, for deliveries and for endpoints.

use cryptopay_domain::delivery::{DeliveryStatus, NextStep};
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_domain::{Attempt, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::Store;
use cryptopay_store::delivery::{AttemptRecord, Lane};
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, register};
use crate::outbox::{
    attempt, deliveries, disable, endpoint_of, lease, listen, order_at, put_endpoint, record, record_all,
};

on_both_databases! {
    attempts_recorded_twice_change_nothing_the_second_time => twice;
    a_failure_makes_an_endpoint_fail_and_a_success_mends_it => health;
    attempts_of_one_batch_count_in_the_order_in_which_they_were_made => in_order;
    a_gone_endpoint_is_disabled_at_once_with_all_that_is_pending_for_it => gone;
    five_days_of_failing_disable_an_endpoint_once_and_say_so => five_days;
    an_attempt_to_another_url_says_nothing_about_the_endpoint => other_url;
    what_waits_for_an_endpoint_that_begins_to_fail_leaves_the_prompt_lane => leaves_lane;
    a_retry_for_an_endpoint_that_was_disabled_meanwhile_is_none => disabled_meanwhile;
    an_endpoint_deleted_during_a_delivery_takes_the_rest_with_it => deleted_meanwhile;
    batches_disabling_and_leasing_at_once_sacrifice_nobody => at_one_time;
}

const DAY: i64 = 86_400;

async fn find(store: &Store, user: cryptopay_domain::UserId, id: WebhookEndpointId) -> WebhookEndpoint {
    store.find_webhook_endpoint(user, id).await.unwrap().expect("the endpoint is there")
}

async fn twice(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    order_at(store, alice, at(0)).await;
    let records: Vec<AttemptRecord> = lease(store, Lane::Prompt, at(0))
        .await
        .iter()
        .zip([NextStep::Retry(at(5)), NextStep::Succeeded])
        .map(|(leased, next)| record(leased, attempt(at(1), 500), next))
        .collect();
    record_all(store, records.clone()).await;
    let first = deliveries(store, alice, endpoint).await;
    record_all(store, records.iter().chain(&records).cloned().collect()).await;
    assert_eq!(deliveries(store, alice, endpoint).await, first);
    assert!(first.iter().all(|delivery| delivery.attempts.len() == 1));
    assert_eq!(lease(store, Lane::Patient, at(5)).await.pop().map(|leased| leased.tries), Some(1));
    assert!(record_all(store, vec![]).await.is_empty());
}

/// Makes an order and records one attempt of its delivery.
async fn try_once(store: &Store, endpoint: &WebhookEndpoint, lane: Lane, now: i64, status_code: u16) {
    order_at(store, endpoint.user_id, at(now)).await;
    let leased = lease(store, lane, at(now)).await.pop().expect("it is due");
    let next = if status_code == 200 { NextStep::Succeeded } else { NextStep::GiveUp };
    record_all(store, vec![record(&leased, attempt(at(now), status_code), next)]).await;
}

async fn health(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = endpoint_of(alice, &["*"]);
    put_endpoint(store, endpoint.clone()).await;
    for (lane, now, status_code, failing_since) in [
        (Lane::Prompt, 0, 200, None),
        (Lane::Prompt, 10, 500, Some(at(10))),
        (Lane::Patient, 20, 302, Some(at(10))),
        (Lane::Patient, 30, 204, None),
        (Lane::Prompt, 40, 500, Some(at(40))),
    ] {
        try_once(store, &endpoint, lane, now, status_code).await;
        let expected = WebhookEndpoint { failing_since, ..endpoint.clone() };
        assert_eq!(find(store, alice, endpoint.id).await, expected, "at {now} s");
    }
}

async fn in_order(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let id = listen(store, alice).await;
    for _ in 0..3 {
        order_at(store, alice, at(0)).await;
    }
    let leased = lease(store, Lane::Prompt, at(0)).await;
    let records = [(3, 500), (2, 200), (1, 500)]
        .iter()
        .zip(&leased)
        .map(|((now, code), leased)| record(leased, attempt(at(*now), *code), NextStep::GiveUp));
    record_all(store, records.collect()).await;
    assert_eq!(find(store, alice, id).await.failing_since, Some(at(3)));
}

async fn gone(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (gone, other) = (listen(store, alice).await, listen(store, alice).await);
    for _ in 0..3 {
        order_at(store, alice, at(0)).await;
    }
    let leased = lease(store, Lane::Prompt, at(0)).await;
    let of_gone: Vec<_> = leased.iter().filter(|leased| leased.endpoint.id == gone).collect();
    let said = vec![
        record(of_gone[0], attempt(at(1), 410), NextStep::GiveUp),
        record(of_gone[1], attempt(at(2), 500), NextStep::Retry(at(9))),
    ];
    assert_eq!(record_all(store, said).await, [gone]);
    assert_eq!(find(store, alice, gone).await.status, EndpointStatus::Disabled(DisabledReason::Gone));
    let told = deliveries(store, alice, gone).await;
    assert!(told.iter().all(|delivery| delivery.status == DeliveryStatus::Failed), "{told:#?}");
    assert_eq!(told.iter().map(|delivery| delivery.attempts.len()).sum::<usize>(), 2);
    assert_eq!(find(store, alice, other).await.status, EndpointStatus::Enabled);
    let pending = deliveries(store, alice, other).await;
    assert!(pending.iter().all(|delivery| delivery.status == DeliveryStatus::Pending));
}

async fn five_days(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = endpoint_of(alice, &["*"]);
    put_endpoint(store, endpoint.clone()).await;
    try_once(store, &endpoint, Lane::Prompt, 0, 500).await;
    try_once(store, &endpoint, Lane::Patient, 5 * DAY - 1, 500).await;
    assert_eq!(find(store, alice, endpoint.id).await.status, EndpointStatus::Enabled);
    for _ in 0..2 {
        order_at(store, alice, at(5 * DAY)).await;
    }
    let leased = lease(store, Lane::Patient, at(5 * DAY)).await;
    // Two replicas come to the same conclusion at once.
    let replica = fixture.database.open().await;
    let disabled = at_once(2, |number| {
        let store = if number == 0 { store.clone() } else { replica.clone() };
        let said = record(&leased[number], attempt(at(5 * DAY), 500), NextStep::Retry(at(6 * DAY)));
        async move { record_all(&store, vec![said]).await }
    })
    .await;
    assert_eq!(disabled.concat(), [endpoint.id]);
    let expected = WebhookEndpoint {
        status: EndpointStatus::Disabled(DisabledReason::Failing),
        failing_since: Some(at(0)),
        ..endpoint
    };
    assert_eq!(find(store, alice, expected.id).await, expected);
    let events = store.list_audit_events(None, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "webhook.disabled").count(), 1);
    for delivery in deliveries(store, alice, expected.id).await {
        assert_eq!((delivery.status, delivery.next_attempt_at), (DeliveryStatus::Failed, None));
    }
}

async fn other_url(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let id = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let leased = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    let decide = |endpoint| {
        Ok::<_, ()>((WebhookEndpoint { url: "https://new.example/".to_owned(), ..endpoint }, vec![]))
    };
    store.change_webhook_endpoint(alice, id, at(1), decide).await.unwrap();
    record_all(store, vec![record(&leased, attempt(at(2), 410), NextStep::Retry(at(9)))]).await;
    let endpoint = find(store, alice, id).await;
    assert_eq!((endpoint.status, endpoint.failing_since), (EndpointStatus::Enabled, None));
    // The delivery itself goes on, to the new one.
    assert_eq!(lease(store, Lane::Patient, at(9)).await.len(), 1);
}

async fn leaves_lane(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (fails, works) = (listen(store, alice).await, listen(store, alice).await);
    order_at(store, alice, at(0)).await;
    let leased = lease(store, Lane::Prompt, at(0)).await;
    let leased = leased.iter().find(|leased| leased.endpoint.id == fails).expect("it is due");
    order_at(store, alice, at(1)).await;
    record_all(store, vec![record(leased, attempt(at(1), 500), NextStep::Retry(at(500)))]).await;
    let endpoints = async |lane| -> Vec<WebhookEndpointId> {
        lease(store, lane, at(1)).await.iter().map(|leased| leased.endpoint.id).collect()
    };
    assert_eq!(endpoints(Lane::Prompt).await, [works]);
    assert_eq!(endpoints(Lane::Patient).await, [fails]);
}

async fn disabled_meanwhile(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let id = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let first = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    disable(store, alice, id, at(1)).await;
    // Sent again all the same, and taken before anybody looked at the endpoint.
    record_all(store, vec![record(&first, attempt(at(2), 410), NextStep::Retry(at(9)))]).await;
    let told = deliveries(store, alice, id).await.pop().expect("it is there");
    assert_eq!((told.status, told.attempts.len()), (DeliveryStatus::Failed, 1));
    let status = EndpointStatus::Disabled(DisabledReason::ByMerchant);
    assert_eq!(find(store, alice, id).await.status, status, "whoever disabled it first has said why");
}

async fn deleted_meanwhile(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (deleted, other) = (listen(store, alice).await, listen(store, alice).await);
    order_at(store, alice, at(0)).await;
    let leased = lease(store, Lane::Prompt, at(0)).await;
    store.delete_webhook_endpoint(alice, deleted, at(1), audit("deleted")).await.unwrap();
    let cleared = store.clear_away(at(DAY), crate::fixture::seconds(1 << 30)).await.unwrap();
    assert_eq!((cleared.deliveries, cleared.endpoints), (1, 1));
    // The batch holds an attempt of a delivery that is no longer there, and one that is.
    let said = leased.iter().map(|leased| record(leased, attempt(at(2), 200), NextStep::Succeeded));
    record_all(store, said.collect()).await;
    let told = deliveries(store, alice, other).await;
    assert_eq!((told[0].status, told[0].attempts.len()), (DeliveryStatus::Succeeded, 1));
}

async fn at_one_time(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let mut endpoints = Vec::new();
    for _ in 0..6 {
        endpoints.push(listen(&fixture.store, alice).await);
    }
    for _ in 0..30 {
        order_at(&fixture.store, alice, at(0)).await;
    }
    let leased = lease(&fixture.store, Lane::Prompt, at(0)).await;
    let replica = fixture.database.open().await;
    at_once(24, |number| {
        let store = if number % 2 == 0 { fixture.store.clone() } else { replica.clone() };
        let (mut leased, endpoint) = (leased.clone(), endpoints[number % 6]);
        let half = leased.len() / 2;
        leased.rotate_left(number * 5 % half);
        async move {
            let now = i64::try_from(number).unwrap();
            match number % 4 {
                0 => disable(&store, alice, endpoint, at(now)).await,
                1 => drop(lease(&store, Lane::Prompt, at(31 + now)).await),
                _ => {
                    let code = [200, 500, 410][number % 3];
                    let said = leased.iter().take(half).map(|leased| {
                        let attempt = Attempt { response: None, ..attempt(at(now), code) };
                        record(leased, attempt, NextStep::Retry(at(100)))
                    });
                    record_all(&store, said.collect()).await;
                }
            }
        }
    })
    .await;
    for id in endpoints {
        for delivery in deliveries(&fixture.store, alice, id).await {
            assert_eq!(delivery.next_attempt_at.is_some(), delivery.status == DeliveryStatus::Pending);
        }
    }
}
