//! The Redis or Valkey that several replicas count in.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisResult, Script};

/// How long a decision may take there, a new connection included.
pub(crate) const DEADLINE: Duration = Duration::from_millis(250);

/// A server and how to log in there. Nothing shows the password.
#[derive(Clone)]
pub struct RedisServer {
    client: Client,
}

/// Text that names no server; it is not quoted, since it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no URL of a Redis or Valkey server; write redis://[user:password@]host[:port][/database] or \
     redis+unix:///path/of/socket; there is no rediss://, so keep it on this machine or a private network"
)]
pub struct RedisUrlError;

/// The server cannot be used; the text says in which way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RedisAway(String);

impl RedisServer {
    /// The server that a URL names. Nothing is connected yet.
    ///
    /// # Errors
    /// When it names none.
    pub fn parse(url: &str) -> Result<Self, RedisUrlError> {
        let info = url.trim().into_connection_info().map_err(|_| RedisUrlError)?;
        Client::open(info).map(|client| Self { client }).map_err(|_| RedisUrlError)
    }

    /// Asks whether requests could be counted there.
    ///
    /// # Errors
    /// What it said, or that it said nothing in time.
    pub async fn check(&self) -> Result<(), RedisAway> {
        in_time(DEADLINE, async { try_out(&mut self.connect().await?).await }).await
    }

    /// A connection that many requests can be on the way on at once.
    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // One deadline for all of a decision, which is the caller's.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// How requests are counted there.
pub(crate) fn script() -> Script {
    Script::new(include_str!("gcra.lua"))
}

/// Counts a request of nobody's: reading, writing, the time and scripts are all needed for that.
pub(crate) async fn try_out(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let script = script();
    let mut call = script.prepare_invoke();
    call.key("cryptopay:rate-limit:try").arg(0).arg(1000).arg(1000);
    call.invoke_async::<Vec<i64>>(connection).await.map(drop)
}

/// What comes before the deadline.
pub(crate) async fn in_time<T>(
    deadline: Duration,
    asked: impl Future<Output = RedisResult<T>>,
) -> Result<T, RedisAway> {
    match tokio::time::timeout(deadline, asked).await {
        Ok(answer) => answer.map_err(|error| RedisAway(error.to_string())),
        Err(_) => Err(RedisAway(format!("no answer within {} ms", deadline.as_millis()))),
    }
}

impl fmt::Display for RedisServer {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.get_connection_info().addr().fmt(f)
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisServer({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_its_password() {
        let server = RedisServer::parse("redis://shop:hunter2@192.0.2.1:6380/3\n").unwrap();
        assert_eq!(server.to_string(), "192.0.2.1:6380");
        assert!(!format!("{server:?}").contains("hunter2"));
        assert_eq!(
            RedisServer::parse("redis+unix:///run/redis.sock").unwrap().to_string(),
            "/run/redis.sock"
        );
    }

    #[test]
    fn what_names_no_server_is_not_quoted() {
        for url in [
            "",
            "hunter2",
            "http://hunter2@localhost",
            "rediss://u:hunter2@host",
            "redis://",
            "postgres://u:hunter2@h/d",
        ] {
            let error = RedisServer::parse(url).map(|_| ()).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("redis://"), "{url}: {error}");
        }
    }
}
