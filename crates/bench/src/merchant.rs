//! A merchant, set up over HTTP like any other.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;

use crate::http_client::{Connection, get, post};
use crate::load::{Client, Next};

/// The password of every merchant here.
pub(crate) const PASSWORD: &str = "violet-Tractor-91-moss";
/// Where credentials are verified.
pub(crate) const VERIFY: &str = "/api/auth/verify/";

/// A pair of tokens.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// A `GET` that verifies a credential.
pub(crate) fn verify_request(bearer: &str) -> Vec<u8> {
    get(VERIFY, bearer)
}

/// Registers a merchant.
pub(crate) async fn register(connection: &mut Connection, username: &str) -> Result<()> {
    let body = json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
        "shop_name": "Benchmark",
    });
    connection.succeed(&post("/api/auth/register/", None, &body)).await?;
    Ok(())
}

/// Logs a merchant in.
pub(crate) async fn login(connection: &mut Connection, username: &str) -> Result<Tokens> {
    connection.succeed(&login_request(username)).await?.json()
}

/// A login.
pub(crate) fn login_request(username: &str) -> Vec<u8> {
    post("/api/auth/login/", None, &json!({"username": username, "password": PASSWORD}))
}

/// Buys the next pair of tokens.
pub(crate) async fn refresh(connection: &mut Connection, refresh: &str) -> Result<Tokens> {
    let request = post("/api/auth/token/refresh/", None, &json!({"refresh": refresh}));
    connection.succeed(&request).await?.json()
}

/// Makes an API key with these permissions.
pub(crate) async fn create_api_key(
    connection: &mut Connection,
    access: &str,
    permissions: &[&str],
) -> Result<String> {
    #[derive(Deserialize)]
    struct Created {
        key: String,
    }
    let body = json!({"name": "Benchmark", "permissions": permissions, "expires_at": null});
    let request = post("/api/auth/api-keys/", Some(access), &body);
    Ok(connection.succeed(&request).await?.json::<Created>()?.key)
}

/// An order as shops make them, with something to tell and something to find again.
pub(crate) fn order_request(bearer: &str) -> Vec<u8> {
    let body = json!({
        "amount": "49.90",
        "currency": "USD",
        "description": "Two tickets, row 7 – thank you for your order!",
        "metadata": {"cart": "c-20241125-000117", "customer": "jörg@example.com", "channel": "web", "1": "gift"},
    });
    post("/api/payment-orders/", Some(bearer), &body)
}

/// Makes a webhook endpoint for new orders; gives its secret.
pub(crate) async fn create_endpoint(connection: &mut Connection, bearer: &str, url: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Created {
        secret: String,
    }
    let body = json!({"url": url, "events": ["payment_order.created"]});
    let request = post("/api/webhooks/", Some(bearer), &body);
    Ok(connection.succeed(&request).await?.json::<Created>()?.secret)
}

/// Makes orders one after the other.
#[derive(Debug)]
pub(crate) struct OrderClient {
    connection: Connection,
    request: Vec<u8>,
    /// Orders it still wants; none means for ever.
    left: Option<usize>,
    /// Orders it has made.
    pub(crate) made: usize,
}

impl OrderClient {
    /// One client for each connection.
    pub(crate) fn crowd(connections: Vec<Connection>, bearer: &str, orders_each: Option<usize>) -> Vec<Self> {
        let request = order_request(bearer);
        let client = |connection| Self { connection, request: request.clone(), left: orders_each, made: 0 };
        connections.into_iter().map(client).collect()
    }
}

impl Client for OrderClient {
    async fn step(&mut self) -> Result<Next> {
        self.connection.succeed(&self.request).await?;
        self.made += 1;
        let Some(left) = &mut self.left else { return Ok(Next::More) };
        *left -= 1;
        Ok(if *left == 0 { Next::Done } else { Next::More })
    }
}

/// Logs in again and again from an address of its own, since the server lets only a few logins of one address
/// wait. Being refused for the hasher's full queue is a fair answer.
#[derive(Debug)]
pub(crate) struct LoginClient {
    connection: Connection,
    request: Vec<u8>,
    /// Logins it still wants; none means for ever.
    left: Option<usize>,
    /// Logins that succeeded.
    pub(crate) succeeded: u64,
    /// Logins that were refused with 503.
    pub(crate) refused: u64,
}

impl LoginClient {
    /// So many clients at one server, each with an address of its own.
    pub(crate) async fn crowd(
        count: u8,
        to: SocketAddr,
        username: &str,
        logins_each: Option<usize>,
    ) -> Result<Vec<Self>> {
        let mut clients = Vec::new();
        for number in 0..count {
            let from = Ipv4Addr::new(127, 0, 1, number + 1);
            clients.push(Self {
                connection: Connection::open_from(from, to).await?,
                request: login_request(username),
                left: logins_each,
                succeeded: 0,
                refused: 0,
            });
        }
        Ok(clients)
    }
}

impl Client for LoginClient {
    async fn step(&mut self) -> Result<Next> {
        let reply = self.connection.exchange(&self.request).await?;
        if reply.status == 503 {
            self.refused += 1;
        } else {
            reply.success()?;
            self.succeeded += 1;
        }
        let Some(left) = &mut self.left else { return Ok(Next::More) };
        *left -= 1;
        Ok(if *left == 0 { Next::Done } else { Next::More })
    }
}
