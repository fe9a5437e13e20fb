//! Which URLs a merchant may have webhooks sent to.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

use std::net::IpAddr;
use std::sync::Arc;

use cryptopay_webhook::{Addresses, Looking, Lookup, Resolver, Schemes, Target, TargetError, TargetPolicy};
use proptest::prelude::*;

fn policy(schemes: Schemes, addresses: Addresses) -> TargetPolicy {
    TargetPolicy { schemes, addresses, own: vec!["8.8.4.4".parse().unwrap()] }
}

fn production() -> TargetPolicy {
    policy(Schemes::HttpsOnly, Addresses::PublicOnly)
}

fn sandbox() -> TargetPolicy {
    policy(Schemes::HttpAndHttps, Addresses::PublicOnly)
}

fn development() -> TargetPolicy {
    policy(Schemes::HttpAndHttps, Addresses::AnyAddress)
}

fn refusal(url: &str) -> TargetError {
    match Target::parse(url, &sandbox()) {
        Err(error) => error,
        Ok(target) => panic!("{url} was taken for {}", target.as_str()),
    }
}

#[test]
fn what_leads_to_a_public_host_is_a_target() {
    for (url, normal) in [
        ("https://shop.example.com/webhooks", "https://shop.example.com/webhooks"),
        ("https://shop.example.com", "https://shop.example.com/"),
        ("HTTPS://Shop.Example.COM:443/A?b=C%20d", "https://shop.example.com/A?b=C%20d"),
        ("https://shop.example.com:8443/", "https://shop.example.com:8443/"),
        ("http://shop.example.com./", "http://shop.example.com./"),
        ("https://under_score.example.com/", "https://under_score.example.com/"),
        ("https://shop.example.com/ä?ö={ü}|^`", "https://shop.example.com/%C3%A4?%C3%B6={%C3%BC}|^`"),
        ("https://shop.example.com/@handle?mail=a@b", "https://shop.example.com/@handle?mail=a@b"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://0x01010101/", "https://1.1.1.1/"),
        ("https://[2606:4700:4700::1111]:444/", "https://[2606:4700:4700::1111]:444/"),
    ] {
        let target = Target::parse(url, &sandbox());
        assert_eq!(target.map(|target| target.as_str().to_owned()), Ok(normal.to_owned()), "{url}");
    }
}

#[test]
fn a_name_that_can_pass_for_another_is_refused() {
    for url in [
        "https://münchen.example.com/",
        "https://XN--mnchen-3ya.example.com/",
        "https://例え.jp/",
        "https://shop.xn--p1ai/",
    ] {
        assert_eq!(refusal(url), TargetError::Internationalised, "{url}");
    }
}

#[test]
fn literal_addresses_are_judged_in_every_spelling() {
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F.0.0.0x1", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("10.1.2.3", "10.1.2.3"),
        ("172.16.0.1", "172.16.0.1"),
        ("192.168.1.1", "192.168.1.1"),
        ("192.168.257", "192.168.1.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("100.64.0.1", "100.64.0.1"),
        ("224.0.0.1", "224.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("8.8.4.4", "8.8.4.4"),
        ("[::]", "::"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("[::ffff:8.8.8.8]", "::ffff:8.8.8.8"),
        ("[::127.0.0.1]", "::7f00:1"),
        ("[64:ff9b::10.0.0.1]", "64:ff9b::a00:1"),
        ("[64:ff9b:1::10.0.0.1]", "64:ff9b:1::a00:1"),
        ("[2002:7f00:1::]", "2002:7f00:1::"),
        ("[2001::1]", "2001::1"),
        ("[fe80::1]", "fe80::1"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("[ff02::1]", "ff02::1"),
    ] {
        let address: IpAddr = address.parse().unwrap();
        for port in ["", ":443", ":8080"] {
            let url = format!("https://{host}{port}/");
            assert_eq!(refusal(&url), TargetError::NotPublic(address), "{url}");
            assert!(Target::parse(&url, &development()).is_ok(), "{url}");
        }
    }
}

#[test]
fn names_of_private_networks_are_refused() {
    for name in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "localhost.localdomain",
        "printer.local",
        "db.prod.internal",
        "router.home.arpa",
        "intranet",
        "intranet.",
        "ｌｏｃａｌｈｏｓｔ",
        "local%68ost",
    ] {
        let url = format!("https://{name}/");
        assert!(matches!(refusal(&url), TargetError::PrivateName(_)), "{url}");
        assert!(Target::parse(&url, &development()).is_ok(), "{url}");
    }
    for name in ["notlocalhost.example.com", "localhost.example.com", "mylocal.example", "xlocal.dev"] {
        assert!(Target::parse(&format!("https://{name}/"), &sandbox()).is_ok(), "{name}");
    }
}

#[test]
fn only_https_passes_where_only_https_may() {
    assert!(Target::parse("https://shop.example.com/", &production()).is_ok());
    for url in ["http://shop.example.com/", "ftp://shop.example.com/", "shop.example.com", ""] {
        assert_eq!(Target::parse(url, &production()), Err(TargetError::NotHttps), "{url}");
    }
    for url in [
        "ftp://shop.example.com/",
        "file:///etc/passwd",
        "gopher://shop.example.com/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "//shop.example.com/",
        "/webhooks",
        "https:shop.example.com",
        "https:/shop.example.com",
        "httpss://shop.example.com/",
        "é",
        "",
    ] {
        assert_eq!(refusal(url), TargetError::NotHttp, "{url}");
    }
}

#[test]
fn credentials_and_fragments_are_refused_even_when_empty() {
    for url in [
        "https://user:password@shop.example.com/",
        "https://user@shop.example.com/",
        "https://:password@shop.example.com/",
        "https://@shop.example.com/",
        "https://shop.example.com@evil.example.net/",
        "https://shop.example.com:443@127.0.0.1/",
    ] {
        assert_eq!(refusal(url), TargetError::Credentials, "{url}");
    }
    for url in ["https://shop.example.com/#part", "https://shop.example.com/#", "https://shop.example.com#@x"]
    {
        assert_eq!(refusal(url), TargetError::Fragment, "{url}");
    }
}

#[test]
fn characters_that_programs_read_in_different_ways_are_refused() {
    for url in [
        " https://shop.example.com/",
        "https://shop.example.com/ ",
        "https://shop.example.com/a b",
        "https://shop.exa\nmple.com/",
        "https://shop.exa\tmple.com/",
        "ht\ntps://shop.example.com/",
        "https://shop.example.com/\r\nX-Injected: 1",
        "https://shop.example.com/\0",
        "https://shop.example.com/\u{85}",
        "https://shop.example.com/\u{2028}",
        "https://shop.example.com\\@evil.example.net/",
        "https:\\\\shop.example.com/",
    ] {
        assert_eq!(refusal(url), TargetError::AmbiguousCharacter, "{url:?}");
    }
}

#[test]
fn hosts_that_are_none_are_refused() {
    for host in [
        "",
        ":443",
        ".",
        "..",
        ".example.com",
        "shop..example.com",
        "shop.example.com..",
        "shop.example.com:port",
        "shop.example.com:65536",
        "256.256.256.256",
        "1.2.3.4.5",
        "0x100000000",
        "1.2.3.09",
        "[::1",
        "::1",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::ffff:127.0.0.256]",
        "[v1.x]",
        "a<b.example.com",
        "a%00b.example.com",
        "a%2fb.example.com",
        "sh*p.example.com",
        "sh!p.example.com",
        "$(id).example.com",
        "xn--.example.com",
        "xn--a.example.com",
        "xn--\u{fc}.example.com",
        "xn--zzzzzzzzzzzz999999.example.com",
        "\u{200d}.example.com",
        "\u{ad}",
    ] {
        let url = format!("https://{host}/");
        assert_eq!(refusal(&url), TargetError::Invalid, "{url}");
    }
    let label = "a".repeat(64);
    assert_eq!(refusal(&format!("https://{label}.example.com/")), TargetError::Invalid);
    let name = ["a".repeat(63).as_str(); 4].join(".");
    assert_eq!(refusal(&format!("https://{name}/")), TargetError::Invalid);
}

#[test]
fn a_url_has_at_most_2048_characters() {
    let start = "https://shop.example.com/";
    let of_length = |length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    assert!(Target::parse(&of_length(2048), &production()).is_ok());
    assert_eq!(Target::parse(&of_length(2049), &production()), Err(TargetError::TooLong));
    // In its normal form each of these takes six.
    let grows = format!("{start}{}", "ü".repeat(400));
    assert_eq!(Target::parse(&grows, &production()), Err(TargetError::TooLong));
}

#[test]
fn a_normal_form_is_a_target_again() {
    for url in ["https://shop.example.com/ä?ö", "https://0x08080808:8443", "http://shop.example.com.:80/%zz"]
    {
        let target = Target::parse(url, &sandbox()).unwrap();
        assert_eq!(Target::parse(target.as_str(), &sandbox()).as_ref(), Ok(&target));
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange_to_be_judged(text in "\\PC*", url in "https?://[^/]{0,40}(:[0-9]{0,6})?/?\\PC{0,20}") {
        for text in [text, url] {
            if let Ok(target) = Target::parse(&text, &sandbox()) {
                prop_assert!(target.as_str().starts_with("http"));
            }
        }
    }
}

/// Names with the addresses that they are given here.
struct Names(Vec<(&'static str, Vec<IpAddr>)>);

impl Lookup for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
        let found = self.0.iter().find(|(known, _)| *known == name).map(|(_, addresses)| addresses.clone());
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

struct Silence;

impl Lookup for Silence {
    fn lookup<'a>(&'a self, _: &'a str) -> Looking<'a> {
        Box::pin(std::future::pending())
    }
}

async fn judged(url: &str, lookup: impl Lookup + 'static) -> Result<(), TargetError> {
    let resolver = Resolver::new(sandbox(), Arc::new(lookup));
    Target::parse(url, &sandbox()).unwrap().check_resolution(&resolver).await
}

#[tokio::test]
async fn a_name_with_any_address_that_is_not_public_is_refused() {
    let of = |addresses: &[&str]| {
        Names(vec![("shop.example.com", addresses.iter().map(|it| it.parse().unwrap()).collect())])
    };
    let url = "https://shop.example.com/";
    let refused = Err(TargetError::ResolvesToPrivate("shop.example.com".to_owned()));
    for private in ["10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::808:808", "8.8.4.4"] {
        assert_eq!(judged(url, of(&[private])).await, refused, "{private}");
        assert_eq!(judged(url, of(&["1.1.1.1", private])).await, refused, "{private}");
        assert_eq!(judged(url, of(&[private, "2606:4700:4700::1111"])).await, refused, "{private}");
    }
    assert_eq!(judged(url, of(&["1.1.1.1", "2606:4700:4700::1111"])).await, Ok(()));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_judged_later() {
    assert_eq!(judged("https://shop.example.com/", Names(Vec::new())).await, Ok(()));
    let empty = Names(vec![("shop.example.com", Vec::new())]);
    assert_eq!(judged("https://shop.example.com/", empty).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_is_silent_costs_two_seconds() {
    let began = tokio::time::Instant::now();
    assert_eq!(judged("https://shop.example.com/", Silence).await, Ok(()));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn a_literal_address_needs_no_name_server() {
    assert_eq!(judged("https://1.1.1.1/", Silence).await, Ok(()));
}
