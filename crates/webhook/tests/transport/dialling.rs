//! What is dialled, and what never is.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cryptopay_webhook::{Lookup, ResolveError, Resolver, Target, TargetPolicy, Timeouts, Transport};

use crate::names::{NoNames, Silence, Turncoat};
use crate::receiver::{OWN, PATIENT, Receiver, any_address, outcome, post, public_only};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

const NAME_NOT_PUBLIC: &str = "the name has an address that is not public";

fn transport_with(
    policy: TargetPolicy,
    lookup: &Arc<impl Lookup + 'static>,
    timeouts: Timeouts,
) -> Transport {
    let lookup = Arc::clone(lookup);
    Transport::new(Resolver::new(policy, lookup), timeouts).unwrap()
}

fn named(receiver: &Receiver) -> String {
    format!("http://shop.example.com:{}/", receiver.address.port())
}

#[tokio::test]
async fn an_answer_that_changes_between_check_and_dial_leads_nowhere() {
    let receiver = Receiver::answering(OK).await;
    let names = Arc::new(Turncoat::new(&[&["93.184.215.14"], &["127.0.0.1"]]));
    let transport = transport_with(public_only(), &names, PATIENT);
    let target = Target::parse(&named(&receiver), &public_only()).unwrap();
    assert_eq!(target.check_resolution(transport.resolver()).await, Ok(()));
    let exchange = post(&transport, &named(&receiver)).await;
    assert_eq!(exchange.error.as_deref(), Some(NAME_NOT_PUBLIC));
    assert_eq!(exchange.status_code, None);
    assert_eq!(names.unasked(), 0);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_dialled() {
    let receiver = Receiver::answering(OK).await;
    // Asked a second time, the name would lead to where nobody is.
    let names = Arc::new(Turncoat::new(&[&["127.0.0.1"], &["127.99.99.99"]]));
    let transport = transport_with(any_address(), &names, PATIENT);
    for _ in 0..3 {
        assert_eq!(post(&transport, &named(&receiver)).await.status_code, Some(200));
    }
    assert_eq!(receiver.connections(), 1);
    assert_eq!(names.unasked(), 1);
}

#[tokio::test]
async fn a_name_with_a_public_and_a_private_address_is_not_dialled_at_all() {
    let receiver = Receiver::answering(OK).await;
    for addresses in [["127.0.0.1", "93.184.215.14"], ["93.184.215.14", "::ffff:127.0.0.1"]] {
        let names = Arc::new(Turncoat::new(&[&addresses]));
        let exchange = post(&transport_with(public_only(), &names, PATIENT), &named(&receiver)).await;
        assert_eq!(exchange.error.as_deref(), Some(NAME_NOT_PUBLIC));
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn of_a_name_with_many_addresses_all_are_judged_and_few_are_dialled() {
    let mut many: Vec<String> = (0..100).map(|host| format!("93.184.215.{host}")).collect();
    let resolve = async |addresses: &[String]| {
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let names = Arc::new(Turncoat::new(&[&addresses]));
        Resolver::new(public_only(), names).resolve("shop.example.com").await
    };
    assert_eq!(resolve(&many).await.unwrap().len(), 8);
    many.push("10.0.0.1".to_owned());
    assert_eq!(resolve(&many).await, Err(ResolveError::NotPublic));
}

#[tokio::test]
async fn the_servers_own_address_is_not_dialled() {
    let own = OWN.to_string();
    let names = Arc::new(Turncoat::new(&[&[own.as_str()]]));
    let transport = transport_with(public_only(), &names, PATIENT);
    let exchange = post(&transport, "http://shop.example.com/").await;
    assert_eq!(exchange.error.as_deref(), Some(NAME_NOT_PUBLIC));
    let exchange = post(&transport, &format!("http://{own}/")).await;
    assert_eq!(exchange.error.as_deref(), Some("the address 8.8.4.4 is not public"));
}

#[tokio::test]
async fn a_literal_address_is_judged_at_the_dial_too() {
    let receiver = Receiver::answering(OK).await;
    let transport = transport_with(public_only(), &Arc::new(NoNames), PATIENT);
    let port = receiver.address.port();
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::1]", "::1"),
    ] {
        let exchange = post(&transport, &format!("http://{host}:{port}/")).await;
        assert_eq!(exchange.error, Some(format!("the address {address} is not public")));
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_such() {
    let transport = transport_with(public_only(), &Arc::new(NoNames), PATIENT);
    let exchange = post(&transport, "http://shop.example.com/").await;
    assert_eq!(exchange.error.as_deref(), Some("the name does not resolve"));
}

#[tokio::test]
async fn a_silent_name_server_costs_the_time_to_connect() {
    let hurried = Timeouts { connect: Duration::from_millis(100), ..PATIENT };
    let transport = transport_with(public_only(), &Arc::new(Silence), hurried);
    let exchange = post(&transport, "http://shop.example.com/").await;
    assert_eq!(exchange.error.as_deref(), Some("could not connect within 100 ms"));
}

#[tokio::test]
async fn plain_http_is_not_spoken_where_only_https_may_be() {
    let receiver = Receiver::answering(OK).await;
    let policy = TargetPolicy { schemes: cryptopay_webhook::Schemes::HttpsOnly, ..any_address() };
    let exchange = post(&transport_with(policy, &Arc::new(NoNames), PATIENT), &receiver.url()).await;
    assert_eq!(exchange.error.as_deref(), Some("the request could not be sent"));
    assert_eq!(receiver.connections(), 0);
}

const IN_THE_CHILD: &str = "CRYPTOPAY_TEST_BEHIND_PROXY";

#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    // A process of its own, since an environment is the whole process's.
    if std::env::var_os(IN_THE_CHILD).is_some() {
        let receiver = Receiver::answering(OK).await;
        assert_eq!(outcome(&receiver).await.status_code, Some(200));
        assert_eq!(receiver.connections(), 1);
        return;
    }
    let proxy = Receiver::answering("HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n").await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "dialling::proxies_of_the_environment_are_ignored"]).env(IN_THE_CHILD, "1");
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(variable, format!("http://{}", proxy.address));
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
    assert_eq!(proxy.connections(), 0);
}
