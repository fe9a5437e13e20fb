//! What the HTTP face must be told.

use std::time::Duration;

use ipnet::IpNet;

use crate::metrics::Metrics;
use crate::mount::Mount;
use crate::rate_limit::RateLimiter;
use crate::request_id::RequestIds;

/// The settings of the HTTP face. Clones share the counter of request ids and those of the rate limiter.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The origins whose pages may call from a browser, such as `https://shop.example.com`; none by default.
    pub cors_origins: Vec<String>,
    /// The proxies whose `X-Forwarded-For` or `Forwarded` is believed; none by default.
    pub trusted_proxies: Vec<IpNet>,
    /// How long browsers shall insist on HTTPS once they have seen it (RFC 6797); not told when absent.
    pub strict_transport_security: Option<Duration>,
    /// What counts requests and refuses those over a limit; nothing is limited when absent.
    pub rate_limiter: Option<RateLimiter>,
    /// What is served beside the API; nothing when absent.
    pub beside: Option<Mount>,
    /// Where answers are counted and timed; nowhere when absent.
    pub metrics: Option<Metrics>,
    /// Where request ids come from.
    pub request_ids: RequestIds,
}

impl HttpConfig {
    /// No CORS, no proxies, no rate limits, no metrics; `instance` is a random number, another one in each process.
    #[must_use]
    pub fn new(instance: u64) -> Self {
        Self {
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            strict_transport_security: None,
            rate_limiter: None,
            beside: None,
            metrics: None,
            request_ids: RequestIds::new(instance),
        }
    }
}
