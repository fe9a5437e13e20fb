//! Where webhooks may go: judged when an endpoint is saved, and again at each dial.

use std::net::IpAddr;

use cryptopay_domain::PageRequest;
use cryptopay_payments::{
    ChangeEndpointRejection, CreateEndpointRejection, EndpointChange, Payments, PaymentsConfig,
};
use cryptopay_testkit::{Backend, TestReceiver, context, guarded_targets, on_both_databases, payments_with};
use cryptopay_webhook::{Addresses, TargetPolicy};

use crate::support::{Shop, impatient, new_endpoint, rejection};

on_both_databases! {
    what_is_no_public_https_url_is_neither_saved_nor_asked_for => refused;
    a_name_with_a_private_address_is_refused_and_one_without_any_is_saved => names;
    a_name_that_turns_private_after_it_was_saved_is_not_dialled => rebinding;
}

fn guarded(shop: &Shop, targets: TargetPolicy) -> Payments {
    let config =
        PaymentsConfig { look_every: std::time::Duration::from_millis(20), ..PaymentsConfig::default() };
    payments_with(&shop.core.auth, config, targets, &shop.names, impatient())
}

async fn refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let payments = guarded(&shop, guarded_targets());
    let endpoint = shop.endpoint(&TestReceiver::start().await).await.endpoint;
    for url in [
        "http://shop.example/hook",
        "ftp://shop.example",
        "https://user:secret@shop.example",
        "https://shop.example/#part",
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://10.0.0.1",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1",
        "https://224.0.0.1",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://localhost",
        "shop.example",
        "",
    ] {
        let outcome = payments.create_endpoint(&shop.alice, new_endpoint(url, &["*"]), &context()).await;
        assert!(matches!(rejection(outcome), CreateEndpointRejection::Url(_)), "{url}");
        let change = EndpointChange { url: Some(url.to_owned()), ..EndpointChange::default() };
        let outcome = payments.change_endpoint(&shop.alice, endpoint.id, change, &context()).await;
        assert!(matches!(rejection(outcome), ChangeEndpointRejection::Url(_)), "{url}");
    }
    let listed = payments.list_endpoints(&shop.alice, PageRequest::default()).await.unwrap().items;
    assert_eq!(listed, [endpoint], "nothing was stored");
}

async fn names(backend: Backend) {
    let shop = Shop::open(backend).await;
    let payments = guarded(&shop, guarded_targets());
    let public: IpAddr = "8.8.8.8".parse().unwrap();
    shop.names.point("private.example", &["10.1.2.3".parse().unwrap()]);
    shop.names.point("mixed.example", &[public, "127.0.0.1".parse().unwrap()]);
    shop.names.point("public.example", &[public]);
    let create =
        async |url| payments.create_endpoint(&shop.alice, new_endpoint(url, &["*"]), &context()).await;
    for url in ["https://private.example/hook", "https://mixed.example/hook"] {
        assert!(matches!(rejection(create(url).await), CreateEndpointRejection::Url(_)), "{url}");
    }
    for url in ["https://public.example/hook", "https://nowhere.example/hook"] {
        assert_eq!(create(url).await.unwrap().endpoint.url, url);
    }
}

async fn rebinding(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let port = receiver.url("").rsplit(':').next().unwrap().to_owned();
    let targets = TargetPolicy { addresses: Addresses::PublicOnly, ..cryptopay_testkit::open_targets() };
    let payments = guarded(&shop, targets);
    shop.names.point("shop.example", &["8.8.8.8".parse().unwrap()]);
    let new = new_endpoint(&format!("http://shop.example:{port}/hook"), &["*"]);
    let endpoint = payments.create_endpoint(&shop.alice, new, &context()).await.unwrap().endpoint;
    shop.names.point("shop.example", &["127.0.0.1".parse().unwrap()]);
    let workers = payments.run_deliveries();
    shop.order().await;
    let delivery = shop.attempts(endpoint.id, 1).await;
    workers.stop().await;
    assert_eq!(delivery.attempts[0].status_code, None);
    assert!(delivery.attempts[0].error.as_ref().unwrap().contains("public"), "{delivery:?}");
    assert!(receiver.received().is_empty(), "nothing was sent");
}
