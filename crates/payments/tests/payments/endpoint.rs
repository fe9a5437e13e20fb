//! Webhook endpoints: making, listing and deleting them.

use cryptopay_auth::Outcome;
use cryptopay_auth::operator::AccountState;
use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_domain::{PageRequest, Username, WebhookEndpointId};
use cryptopay_payments::{
    ChangeEndpointRejection, CreateEndpointRejection, EndpointChange, NewWebhookEndpoint, NotFound,
    RequestedStatus, SendRejection, WebhookSecret,
};
use cryptopay_testkit::{Backend, TestReceiver, context, on_both_databases};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Shop, new_endpoint, rejection};

on_both_databases! {
    an_endpoint_is_kept_as_asked_for_and_its_secret_sealed => created;
    a_merchant_has_twenty_endpoints_at_most_however_they_are_made => twenty;
    another_merchants_endpoint_is_out_of_reach => another_merchants;
    a_merchant_who_was_disabled_meanwhile_makes_no_endpoint => disabled_merchant;
    a_deleted_endpoint_is_gone_and_hears_nothing_more => deleted;
}

async fn created(backend: Backend) {
    let shop = Shop::open(backend).await;
    let new = new_endpoint("http://receiver.example/a?b=c", &["payment_order.paid"]);
    let made = shop.payments.create_endpoint(&shop.alice, new, &context()).await.unwrap();
    assert!(WebhookSecret::parse(made.secret.expose()).is_ok());
    assert_eq!(made.secret.expose().len(), "whsec_".len() + 44);
    let kept = shop.get(made.endpoint.id).await;
    assert_eq!(kept, made.endpoint);
    assert_eq!(kept.url, "http://receiver.example/a?b=c");
    assert_eq!(kept.events.to_wire(), ["payment_order.paid"]);
    let sealed = &kept.secrets.current.0;
    assert!(!sealed.windows(8).any(|part| made.secret.expose().as_bytes().windows(8).any(|own| own == part)));
    let listed = shop.payments.list_endpoints(&shop.alice, PageRequest::default()).await.unwrap();
    assert_eq!(listed.items, [kept]);
    let audit = shop.audit().await;
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0].event, "webhook_endpoint.created");
    assert_eq!(audit[0].actor, shop.alice.credential.label());
    assert_eq!(audit[0].subject, Some(made.endpoint.id.to_string()));
    assert_eq!((audit[0].ip.as_str(), audit[0].request_id.as_str()), ("192.0.2.7", "test-request"));
}

async fn twenty(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut requests = JoinSet::new();
    for number in 0..30 {
        let (payments, alice) = (shop.payments.clone(), shop.alice.clone());
        requests.spawn(async move {
            let new = new_endpoint(&format!("http://receiver.example/{number}"), &["*"]);
            payments.create_endpoint(&alice, new, &context()).await
        });
    }
    let outcomes: Vec<Outcome<NewWebhookEndpoint, CreateEndpointRejection>> = requests.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(std::result::Result::is_ok);
    assert_eq!((made.len(), refused.len()), (20, 10));
    for outcome in refused {
        assert_eq!(rejection(outcome), CreateEndpointRejection::TooMany);
    }
    let freed = made.into_iter().next().unwrap().unwrap().endpoint.id;
    shop.payments.delete_endpoint(&shop.alice, freed, &context()).await.unwrap();
    let new = new_endpoint("http://receiver.example/again", &["*"]);
    shop.payments.create_endpoint(&shop.alice, new, &context()).await.unwrap();
}

async fn another_merchants(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let bob = shop.core.principal("bob").await;
    let alices = shop.endpoint(&receiver).await.endpoint;
    shop.order().await;
    let delivery = shop.deliveries(alices.id).await[0].id;
    let payments = &shop.payments;
    let before = shop.audit().await.len();
    for (id, who) in [(alices.id, &bob), (WebhookEndpointId(Uuid::from_u128(7)), &shop.alice)] {
        assert_eq!(rejection(payments.get_endpoint(who, id).await), NotFound);
        let change = EndpointChange {
            url: Some("http://elsewhere.example".to_owned()),
            status: Some(RequestedStatus::Disabled),
            ..EndpointChange::default()
        };
        let outcome = payments.change_endpoint(who, id, change, &context()).await;
        assert_eq!(rejection(outcome), ChangeEndpointRejection::NotFound);
        let outcome = payments.rotate_secret(who, id, SecretOverlap::default(), &context()).await;
        assert_eq!(rejection(outcome), NotFound);
        assert_eq!(rejection(payments.send_test(who, id).await), SendRejection::NotFound);
        assert_eq!(rejection(payments.resend(who, id, delivery).await), SendRejection::NotFound);
        let outcome = payments.list_deliveries(who, id, PageRequest::default()).await;
        assert_eq!(rejection(outcome), NotFound);
        assert_eq!(rejection(payments.delete_endpoint(who, id, &context()).await), NotFound);
    }
    assert!(payments.list_endpoints(&bob, PageRequest::default()).await.unwrap().items.is_empty());
    assert_eq!(shop.get(alices.id).await, alices, "untouched");
    assert_eq!(shop.audit().await.len(), before);
}

async fn deleted(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (gone, kept) = (TestReceiver::start().await, TestReceiver::start().await);
    let endpoint = shop.endpoint(&gone).await.endpoint;
    shop.endpoint(&kept).await;
    shop.order().await;
    let answer = shop.payments.delete_endpoint(&shop.alice, endpoint.id, &context()).await.unwrap();
    assert_eq!((answer.id, answer.url), (endpoint.id, endpoint.url));
    assert_eq!(rejection(shop.payments.get_endpoint(&shop.alice, endpoint.id).await), NotFound);
    let again = shop.payments.delete_endpoint(&shop.alice, endpoint.id, &context()).await;
    assert_eq!(rejection(again), NotFound);
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    kept.wait_for(2).await;
    workers.stop().await;
    assert!(gone.received().is_empty());
    let audit = shop.audit().await;
    assert_eq!(audit.last().unwrap().event, "webhook_endpoint.deleted");
}

async fn disabled_merchant(backend: Backend) {
    let shop = Shop::open(backend).await;
    let name = Username::parse("alice").unwrap();
    // Between the check of the credential and the write.
    shop.core.auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    let new = new_endpoint("http://receiver.example", &["*"]);
    let outcome = shop.payments.create_endpoint(&shop.alice, new, &context()).await;
    assert_eq!(rejection(outcome), CreateEndpointRejection::Unauthenticated);
}
