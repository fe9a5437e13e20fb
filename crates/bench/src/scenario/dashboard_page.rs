//! The dashboard's pages, as a merchant who has been here for a while opens them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bench::{Bench, progress};
use crate::http_client::{Connection, Reply};
use crate::load::at_rate;
use crate::merchant::{
    PASSWORD, create_api_key, create_endpoint, login, order_request, register, verify_request,
};
use crate::report::Row;
use crate::server::{Server, readiness};
use crate::statistics::{median_duration, percentile};

const PER_SECOND: u32 = 50;
const CONNECTIONS: usize = 4;
/// What nobody waits for.
const BAR: Duration = Duration::from_millis(5);

/// What the merchant has.
const KEYS: usize = 20;
const ENDPOINTS: usize = 5;
const ORDERS: usize = 100;

const LOGIN: &str = "/dashboard/login";
/// The pages, and who opens them.
const PAGES: [(&str, &str); 4] = [
    ("the login, for a stranger", LOGIN),
    ("the overview", "/dashboard"),
    ("the API keys", "/dashboard/settings/api-keys"),
    ("the payment orders", "/dashboard/payment-orders"),
];

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    settle(&mut connection).await?;
    let cookie = log_in(&mut connection).await?;
    let mut rows = Vec::new();
    for (name, path) in PAGES {
        let request = open(path, if path == LOGIN { "" } else { &cookie });
        let bytes = connection.succeed(&request).await?.body.len();
        let mut runs = Vec::new();
        for _ in 0..bench.pairs() {
            let connections = server.connect(CONNECTIONS).await?;
            let mut latencies = at_rate(connections, &request, PER_SECOND, bench.span()).await?;
            runs.push(percentile(&mut latencies, 99));
        }
        let p99 = median_duration(runs);
        progress(format_args!("{path}: p99 {p99:.2?}, {bytes} bytes"));
        rows.push(Row {
            what: format!("page of the dashboard at {PER_SECOND}/s: {name}, median of p99s"),
            measured: format!("{p99:.2?}"),
            beside: format!("{:.1} KiB of HTML", bytes as f64 / 1024.0),
            verdict: format!("{p99:.2?}"),
            bar: format!("≤ {BAR:.2?}"),
            decided_by: "latency".to_owned(),
            passed: Some(p99 <= BAR),
        });
    }
    Ok(rows)
}

/// Gives a merchant keys that were used, endpoints, and orders that they are told of.
async fn settle(connection: &mut Connection) -> Result<()> {
    register(connection, "merchant").await?;
    let access = login(connection, "merchant").await?.access;
    for _ in 0..KEYS {
        let key = create_api_key(connection, &access, &["read", "create_payments"]).await?;
        connection.succeed(&verify_request(&key)).await?;
    }
    for number in 0..ENDPOINTS {
        create_endpoint(connection, &access, &format!("http://127.0.0.1:9/{number}")).await?;
    }
    let order = order_request(&access);
    for _ in 0..ORDERS {
        connection.succeed(&order).await?;
    }
    Ok(())
}

/// Logs in as a browser does, and gives the cookie that the pages are opened with.
async fn log_in(connection: &mut Connection) -> Result<String> {
    let shown = connection.succeed(&open(LOGIN, "")).await?;
    let visitor = cookie_of(shown, "visitor").context("the login sets a cookie")?;
    let page = String::from_utf8_lossy(shown.body).into_owned();
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.context("the login has a token")?;
    // Nothing in these has to be encoded.
    let form = format!("csrf={token}&username=merchant&password={PASSWORD}");
    let request = format!(
        "POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nCookie: {visitor}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = connection.exchange(request.as_bytes()).await?;
    ensure!(answer.status == 303, "the login answered {}", answer.status);
    cookie_of(answer, "session").context("a login is kept in a cookie")
}

fn open(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n").into_bytes()
}

/// The cookie that an answer sets, of those whose names end so.
fn cookie_of(reply: Reply<'_>, name_end: &str) -> Option<String> {
    let head = std::str::from_utf8(reply.head).ok()?;
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let cookies = headers.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let mut pairs = cookies.filter_map(|(_, cookie)| cookie.split(';').next());
    pairs
        .find(|pair| pair.split_once('=').is_some_and(|(name, _)| name.ends_with(name_end)))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_the_end_of_its_name() {
        let head = b"HTTP/1.1 303 See Other\r\nset-cookie: x-visitor=; Max-Age=0\r\nSet-Cookie: x-session=a=b; Path=/\r\n\r\n";
        let reply = Reply { status: 303, head, body: b"" };
        assert_eq!(cookie_of(reply, "session").as_deref(), Some("x-session=a=b"));
        assert_eq!(cookie_of(reply, "notice"), None);
    }
}
