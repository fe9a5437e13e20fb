//! Metrics: on an address of their own, of the whole program, and never of a client's making.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use cryptopay_testkit::{
    Answer, Backend, Behaviour, Installation, Server, TestReceiver, client, eventually, on_both_databases,
};
use serde_json::json;

use crate::PROGRAM;

on_both_databases! {
    requests_are_counted_and_timed_by_route_method_and_status => requests;
    what_the_cores_do_is_told => cores;
}

/// A server whose metrics are served, and where.
async fn measured(installation: Installation) -> (Server, String) {
    let server = installation.with("CRYPTOPAY_METRICS_LISTEN", "127.0.0.1:0").serve().await;
    let banner = server.banner();
    let line = banner.lines().find_map(|line| line.trim().strip_prefix("metrics "));
    let url = line.expect("the banner says where").trim().to_owned();
    (server, url)
}

async fn ask(method: &str, url: &str) -> Answer {
    let response = client().request(method.parse().unwrap(), url).send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.expect("a body").to_vec() }
}

/// What is told at `url`: each series with its value.
async fn scrape(url: &str) -> BTreeMap<String, f64> {
    let answer = ask("GET", url).await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).expect("text");
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so: {text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').expect("a series and its value"));
    samples.map(|(series, value)| (series.to_owned(), value.parse().expect("a number"))).collect()
}

fn answered(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_route=\"{route}\",\
         http_response_status_code=\"{status}\"}}"
    )
}

async fn requests(backend: Backend) {
    let (server, url) = measured(Installation::new(PROGRAM, backend).await).await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    for _ in 0..3 {
        assert_eq!(server.verify(&tokens.access).await, "200");
    }
    assert_eq!(server.verify("cp_test_nonsense").await, "401 INVALID_TOKEN");
    let before = scrape(&url).await;
    for (method, route, status, times) in [
        ("POST", "/api/auth/register", 201, 1.0),
        ("POST", "/api/auth/login", 200, 1.0),
        ("GET", "/api/auth/verify", 200, 3.0),
        ("GET", "/api/auth/verify", 401, 1.0),
    ] {
        assert_eq!(before.get(&answered(method, route, status)), Some(&times), "{before:#?}");
    }

    // Whatever a client makes up adds nothing that the next one does not share.
    for number in 0..20 {
        server.send(&format!("MADEUP{number}"), &format!("/nowhere/{number}"), "", None).await;
        server.get(&format!("/api/payment-orders/{number}?limit={number}"), &tokens.access).await;
    }
    let after = scrape(&url).await;
    assert_eq!(after[&answered("_OTHER", "", 404)], 20.0);
    let new: Vec<_> = after.keys().filter(|series| !before.contains_key(*series)).collect();
    let series_of_one = after.keys().filter(|series| series.contains("\"_OTHER\"")).count();
    assert_eq!(new.len(), 2 * series_of_one, "two answers are new: {new:#?}");
    assert!(!after.keys().any(|series| series.contains("MADEUP") || series.contains("nowhere")));
}

async fn cores(backend: Backend) {
    let receiver = TestReceiver::start().await;
    let installation =
        Installation::new(PROGRAM, backend).await.with("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "true");
    let (server, url) = measured(installation).await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let told = scrape(&url).await;
    assert_eq!(told["cryptopay_password_hashes_total"], 2.0);
    for idle in ["cryptopay_password_hashes_running", "cryptopay_password_hashes_waiting"] {
        assert_eq!(told[idle], 0.0);
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("cryptopay_build_info{{version=\"{version}\",environment=\"sandbox\"}}");
    assert_eq!(told.get(&build), Some(&1.0), "{told:#?}");

    let endpoint = json!({"url": receiver.url("/"), "events": ["*"]});
    let made = server.post("/api/webhooks", &tokens.access, &endpoint).await;
    assert_eq!(made.verdict(), "201");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    for (behaviour, outcome) in [(Behaviour::Answer(200), "succeeded"), (Behaviour::Answer(500), "failed")] {
        receiver.behave(behaviour);
        let sent = server.post(&format!("/api/webhooks/{id}/test"), &tokens.access, &json!({})).await;
        assert_eq!(sent.verdict(), "202");
        let series = format!("cryptopay_webhook_attempts_total{{outcome=\"{outcome}\"}}");
        eventually("the attempt is told of", async || scrape(&url).await[&series] >= 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_no_route_is_counted_too() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let (server, url) = measured(installation.with("CRYPTOPAY_CONNECTIONS_PER_CLIENT", "4")).await;
    let unreadable = "cryptopay_unreadable_requests_total{http_response_status_code=\"400\"}";
    assert!(!scrape(&url).await.contains_key(unreadable));
    let mut garbage = TcpStream::connect(server.address()).unwrap();
    garbage.write_all(b"garbage\r\n\r\n").unwrap();
    let mut answer = String::new();
    garbage.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(scrape(&url).await[unreadable], 1.0);

    let open = async || scrape(&url).await["cryptopay_open_connections"];
    let refused = async || scrape(&url).await["cryptopay_refused_connections_total"];
    assert_eq!(refused().await, 0.0);
    // The client's that has waited until the server was ready.
    eventually("one is open", async || open().await == 1.0).await;
    let held: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    eventually("all are open", async || open().await == 4.0).await;
    let one_more = TcpStream::connect(server.address()).unwrap();
    eventually("one more is refused", async || refused().await == 1.0).await;
    drop((held, one_more));
    eventually("they are closed", async || open().await == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_an_address_of_their_own() {
    let (server, url) = measured(Installation::new(PROGRAM, Backend::Sqlite).await).await;
    assert_eq!(server.get("/metrics", "").await.verdict(), "404 NOT_FOUND");
    let base = url.strip_suffix("/metrics").expect("the path");
    assert_eq!(ask("GET", &format!("{base}/metrics/")).await.status, 200);
    for (method, path, verdict) in [
        ("POST", "/metrics", "405 METHOD_NOT_ALLOWED"),
        ("GET", "/", "404 NOT_FOUND"),
        ("GET", "/healthz", "404 NOT_FOUND"),
        ("GET", "/api/auth/verify", "404 NOT_FOUND"),
    ] {
        assert_eq!(ask(method, &format!("{base}{path}")).await.verdict(), verdict, "{method} {path}");
    }
    let told = ask("GET", &url).await;
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(told.header("content-type"), Some(open_metrics));
    assert!(told.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_there_are_none() {
    let server = Installation::new(PROGRAM, Backend::Sqlite).await.serve().await;
    assert!(!server.banner().contains("metrics"), "{}", server.banner());
    assert_eq!(server.get("/metrics", "").await.verdict(), "404 NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_had_is_named() {
    let (_server, url) = measured(Installation::new(PROGRAM, Backend::Sqlite).await).await;
    let taken = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).unwrap();
    let other = Installation::new(PROGRAM, Backend::Sqlite).await.with("CRYPTOPAY_METRICS_LISTEN", taken);
    let refused = other.run(&["serve"]).await;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("set CRYPTOPAY_METRICS_LISTEN to a free address"), "{}", refused.stderr);
    let examined = other.run(&["doctor"]).await;
    let line = format!("FAIL  metrics address: {taken} is in use");
    assert!(examined.stdout.contains(&line), "{}", examined.stdout);
    let same = other.with("CRYPTOPAY_LISTEN", taken).run(&["serve"]).await;
    assert!(same.stderr.contains("must not be CRYPTOPAY_LISTEN"), "{}", same.stderr);
}
