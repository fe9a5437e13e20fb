//! The database goes away and comes back.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_store::DatabaseUrl;
use cryptopay_testkit::postgres::PrivateCluster;
use cryptopay_testkit::{Behaviour, TestDatabase, TestReceiver, eventually};

use crate::support::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_go_on_when_the_database_comes_back() {
    let mut cluster = tokio::task::block_in_place(PrivateCluster::start);
    let database = TestDatabase::at(DatabaseUrl::Postgres(cluster.create_database().await));
    let shop = Shop::open_on(database).await;
    let receiver = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    receiver.wait_for(1).await;
    // What comes of this attempt can be recorded only later.
    tokio::task::block_in_place(|| cluster.stop());
    tokio::task::block_in_place(|| cluster.start_again());
    receiver.behave(Behaviour::Answer(200));
    let recorded = async || {
        let page = shop.payments.list_deliveries(&shop.alice, endpoint, Default::default()).await;
        page.is_ok_and(|page| page.items[0].attempts.len() == 1)
    };
    eventually("the attempt is recorded", recorded).await;
    shop.order().await;
    shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    workers.stop().await;
}
