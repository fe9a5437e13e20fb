//! Encryption keys that change, and the secrets that they seal.

use std::sync::Arc;

use cryptopay_auth::{
    Auth, AuthConfig, Change, EncryptionKey, EncryptionKeyFile, EncryptionKeySource, EncryptionRing,
    KeySources,
};
use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_payments::{Payments, Resealed};
use cryptopay_testkit::{Backend, TestReceiver, context, on_both_databases, test_config};
use ring::rand::SystemRandom;

use crate::support::{Shop, open_payments, page_accepts, standard_accepts};

on_both_databases! {
    once_everything_is_sealed_anew_the_older_encryption_key_can_go => older_key_goes;
    a_secret_that_no_key_opens_is_counted_and_left_as_it_was => unreadable;
}

/// A process that has this one encryption key alone.
async fn process_with(shop: &Shop, key: EncryptionKey) -> Payments {
    let encryption = EncryptionKeySource::Fixed(EncryptionRing::new(vec![key]).unwrap());
    let keys = KeySources { encryption, ..KeySources::in_directory(shop.core.database.directory()) };
    let config = AuthConfig { encryption_key_change: Change::Accepted, ..test_config() };
    let (clock, random) = (Arc::new(shop.core.clock.clone()), Arc::new(SystemRandom::new()));
    let auth = Auth::start(config, shop.core.database.open().await, keys, clock, random).await.unwrap();
    open_payments(&auth, &shop.names)
}

async fn older_key_goes(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let (id, overlap) = (made.endpoint.id, SecretOverlap::from_seconds(3_600).unwrap());
    let rotated = shop.payments.rotate_secret(&shop.alice, id, overlap, &context()).await.unwrap();
    assert_eq!(shop.payments.reseal_secrets().await.unwrap(), Resealed::default(), "there is one key alone");

    let file = EncryptionKeyFile::in_directory(shop.core.database.directory());
    file.rotate(&SystemRandom::new()).unwrap();
    let payments = shop.replica().await;
    assert_eq!(payments.reseal_secrets().await.unwrap(), Resealed { sealed_anew: 2, unreadable: 0 });
    assert_eq!(payments.reseal_secrets().await.unwrap(), Resealed::default());

    let newest = file.load().unwrap().active().clone();
    let workers = process_with(&shop, newest).await.run_deliveries();
    shop.order().await;
    let received = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&received, &made.secret), "the secret before, while the overlap runs");
    assert!(standard_accepts(&received, &rotated.secret, &shop));
    workers.stop().await;
}

async fn unreadable(backend: Backend) {
    let shop = Shop::open(backend).await;
    let endpoint = shop.endpoint(&TestReceiver::start().await).await.endpoint;
    let stranger = EncryptionKey::generate(&SystemRandom::new()).unwrap();
    let elsewhere = process_with(&shop, stranger).await;
    assert_eq!(elsewhere.reseal_secrets().await.unwrap(), Resealed { sealed_anew: 0, unreadable: 1 });
    assert_eq!(shop.get(endpoint.id).await.secrets, endpoint.secrets);
}
