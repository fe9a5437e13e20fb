//! What the installation is: written once, and changed on purpose alone.

use cryptopay_store::installation::Installation;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, installation};

on_both_databases! {
    whoever_comes_second_is_told_what_the_installation_is => second;
    of_many_first_encryption_keys_at_once_one_is_recorded => first_encryption_key;
    the_encryption_key_is_changed_on_purpose_alone => encryption_key;
}

async fn second(backend: Backend) {
    let store = Fixture::new(backend).await.store;
    let other = Installation {
        issuer: "https://other.example.com".to_owned(),
        encryption_key: Some("k4.lid.other".to_owned()),
        ..installation()
    };
    assert_eq!(store.get_or_insert_installation(other, at(1)).await.unwrap(), installation());
    assert_eq!(store.find_installation().await.unwrap(), Some(installation()));
}

async fn first_encryption_key(backend: Backend) {
    let store = Fixture::new(backend).await.store;
    assert_eq!(store.find_installation().await.unwrap().unwrap().encryption_key, None);
    let recorded = at_once(10, |number| {
        let store = store.clone();
        async move { store.get_or_set_encryption_key(format!("k4.lid.{number}")).await.unwrap() }
    })
    .await;
    assert!(recorded.iter().all(|key| *key == recorded[0]), "{recorded:?}");
    let found = store.find_installation().await.unwrap().unwrap();
    assert_eq!(found.encryption_key.as_ref(), Some(&recorded[0]));
}

async fn encryption_key(backend: Backend) {
    let store = Fixture::new(backend).await.store;
    let [one, two] = ["k4.lid.one", "k4.lid.two"].map(str::to_owned);
    assert_eq!(store.get_or_set_encryption_key(one.clone()).await.unwrap(), one);
    assert_eq!(store.get_or_set_encryption_key(two.clone()).await.unwrap(), one);
    store.set_encryption_key(two.clone()).await.unwrap();
    assert_eq!(store.get_or_set_encryption_key(one).await.unwrap(), two);
}
