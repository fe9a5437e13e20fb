//! Posts webhooks, and only to where they may go.

mod dial;
mod excerpt;
mod failure;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect, retry};
use tokio::time::{Instant, timeout_at};

use crate::policy::Schemes;
use crate::resolver::Resolver;
use crate::target::Target;
use dial::{Connection, NoteDials};
use failure::Failure;

const USER_AGENT: &str = "CryptoPay-Webhooks/1";
const JSON: &str = "application/json";

/// Less than the five seconds after which Node's servers close an idle connection: a post on a connection
/// that is being closed at that moment would be lost.
const IDLE: Duration = Duration::from_secs(4);

/// As many idle connections as are kept to one host.
const IDLE_CONNECTIONS: usize = 64;

/// As many headers as an answer may have; their bytes are bounded by the client below, at some 400 KiB.
const HEADERS: usize = 100;

/// Posts to targets, over connections that are kept for the next post.
///
/// An address is dialled only if the policy of the resolver admits it at that moment, and it is that very
/// address which is dialled: between the check and the connection nobody asks for the name again. No
/// redirect is followed, no proxy of the environment is asked, no answer is decompressed.
///
/// Cheap to clone; all clones share their connections. They belong to the Tokio runtime that makes the posts.
#[derive(Clone, Debug)]
pub struct Transport {
    client: Client,
    resolver: Resolver,
    timeouts: Timeouts,
}

/// As long as a post may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the beginning to the head of the answer.
    pub total: Duration,
    /// Of that, to resolve the name, connect, and agree on TLS.
    pub connect: Duration,
    /// For the body of the answer, of which only the beginning is kept for the log, within the total.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { total: Duration::from_secs(10), connect: Duration::from_secs(5), body: Duration::from_secs(2) }
    }
}

/// How a post ended. Either a status came, or an error says why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The status of the answer, whatever became of its body.
    pub status_code: Option<u16>,
    /// Why there was no answer: a short and stable sentence for the merchant.
    pub error: Option<String>,
    /// The first 1024 bytes of the answer's body, made text: what is not UTF-8, and U+0000, became U+FFFD.
    pub response: Option<String>,
    /// How long it all took.
    pub duration: Duration,
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a client for webhooks: {0}")]
pub struct TransportError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Transport {
    /// A transport that dials what `resolver` admits.
    ///
    /// # Errors
    /// [`TransportError`], which would be a fault of the build.
    pub fn new(resolver: Resolver, timeouts: Timeouts) -> Result<Self, TransportError> {
        Self::trusting(tls::authorities_of_the_web(), resolver, timeouts)
    }

    fn trusting(
        authorities: rustls::RootCertStore,
        resolver: Resolver,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let tls = tls::configuration(authorities).map_err(|error| TransportError(error.into()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Dialling(resolver.clone())))
            .https_only(resolver.policy().schemes == Schemes::HttpsOnly)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .http1_max_headers(HEADERS)
            .user_agent(USER_AGENT)
            .connector_layer(NoteDials)
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()
            .map_err(|error| TransportError(error.into()))?;
        Ok(Self { client, resolver, timeouts })
    }

    /// Who resolves the names of targets, and what may be dialled.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Posts a body of JSON with these headers, and waits for the answer. Never waits longer than the total
    /// of the [`Timeouts`]. Dropping the future closes the connection.
    pub async fn post(&self, target: &Target, headers: &[(&str, String)], body: Bytes) -> Exchange {
        let started = Instant::now();
        let deadline = started + self.timeouts.total;
        let answer = timeout_at(deadline, self.send(target, headers, body)).await;
        let answer = answer.unwrap_or(Err(Failure::TimedOut(self.timeouts.total)));
        let (status_code, error, response) = match answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let until = deadline.min(Instant::now() + self.timeouts.body);
                (Some(status), None, Some(excerpt::read(answer, until).await))
            }
            Err(failure) => (None, Some(failure.to_string()), None),
        };
        Exchange { status_code, error, response, duration: started.elapsed() }
    }

    async fn send(
        &self,
        target: &Target,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Response, Failure> {
        // The client never asks its resolver for a literal address.
        if let Some(address) = target.literal_address().filter(|it| !self.resolver.policy().admits(*it)) {
            return Err(Failure::NotPublic(address));
        }
        let headers = header_map(headers)?;
        loop {
            let request = self.client.post(target.url().clone()).headers(headers.clone()).body(body.clone());
            let (answer, connection) = dial::watched(request.send()).await;
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => Failure::of(&error, self.timeouts),
            };
            // A server may close a kept connection at any time, and that says nothing of the endpoint:
            // RFC 9112, section 9.3.1. Receivers tell a repeated webhook by its id.
            if (failure, connection) != (Failure::Closed, Connection::Kept) {
                return Err(failure);
            }
        }
    }
}

/// The headers of every post that are neither a signature nor a matter of its connection.
#[must_use]
pub fn fixed_headers() -> [(&'static str, String); 2] {
    [("Content-Type", JSON.to_owned()), ("User-Agent", USER_AGENT.to_owned())]
}

fn header_map(headers: &[(&str, String)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    map.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).map_err(|_| Failure::Unsendable)?;
        map.insert(name, HeaderValue::try_from(value).map_err(|_| Failure::Unsendable)?);
    }
    Ok(map)
}

/// The resolver as the client asks it, once for each connection.
struct Dialling(Resolver);

impl Resolve for Dialling {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            // Port 0 stands for the URL's.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
