//! Two replicas that deliver from one PostgreSQL database.

use std::collections::BTreeSet;

use cryptopay_testkit::{Backend, eventually};

use crate::scripted_receiver::{Behaviour, Fate, ScriptedReceiver};
use crate::shop::{self, create_endpoint, create_order, settled_deliveries, text};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work_and_one_takes_over_what_a_killed_one_held() {
    let installation = shop::installation(Backend::Postgres).await;
    let here = installation.serve().await;
    let there = installation.replica().serve().await;
    let key = shop::open(&here, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Hang).await;
    create_endpoint(&here, &key, &receiver.url()).await;
    let mut orders = BTreeSet::new();
    for number in 0..16 {
        let server = if number % 2 == 0 { &here } else { &there };
        orders.insert(text(&create_order(server, &key).await["id"]));
    }
    // A process sends nothing more to an endpoint that it has never heard of before the first answer is there:
    // two requests that hang are two processes at work.
    eventually("both replicas deliver", async || receiver.hanging().len() == 2).await;
    let held: BTreeSet<_> = receiver.hanging().into_iter().collect();
    assert_eq!(held.len(), 2, "each holds another event");

    here.kill().await;
    eventually("one has gone", async || receiver.hanging().len() == 1).await;
    let abandoned = receiver.received().into_iter().find(|request| request.fate == Fate::Abandoned).unwrap();
    receiver.behave(Behaviour::Answer(200));
    eventually("the other has its answer", async || receiver.hanging().is_empty()).await;
    // Half a minute later: the leases of the one that was killed have run out, and so have the pauses that the
    // other one made while the endpoint hung.
    installation.make_deliveries_due().await;
    assert_eq!(receiver.answered_orders(orders.len()).await, orders);
    let taken_over = receiver.received().into_iter().filter(|request| request.event == abandoned.event);
    assert!(taken_over.clone().any(|request| request.fate == Fate::Answered));
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_delivery_is_made_twice_while_no_replica_dies() {
    let installation = shop::installation(Backend::Postgres).await;
    let here = installation.serve().await;
    let there = installation.replica().serve().await;
    let key = shop::open(&here, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(200)).await;
    let endpoint = create_endpoint(&here, &key, &receiver.url()).await;
    let mut orders = BTreeSet::new();
    for number in 0..60 {
        let server = if number % 2 == 0 { &here } else { &there };
        orders.insert(text(&create_order(server, &key).await["id"]));
    }
    assert_eq!(receiver.answered_orders(orders.len()).await, orders);
    let deliveries = settled_deliveries(&there, &key, &endpoint).await;
    assert!(deliveries.iter().all(|delivery| delivery["status"] == "succeeded"), "{deliveries:?}");
    assert_eq!(receiver.received().len(), orders.len(), "each event came once");
}
