//! Rate limits: their options, and the limiter that is made of them.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use cryptopay_http::{RateLimit, RateLimiter, RateLimits, RedisServer};
use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::secret;

/// Each limit is `<requests>/<seconds>`: so many may come at once, and one more each time a fair share of the seconds
/// has passed.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Rate limits, each <requests>/<seconds>")]
pub(crate) struct RateLimitOptions {
    /// `on`, or `off` for load tests, which switches the login throttle off, too; `off` is refused in production.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMITS", default_value = "on")]
    pub(crate) rate_limits: Switch,

    /// Requests from one client address (an IPv4 address or an IPv6 /64), token refreshes aside.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_ADDRESS", default_value_t = RateLimits::default().address)]
    rate_limit_address: RateLimit,

    /// Requests with one session or API key.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_CREDENTIAL", default_value_t = RateLimits::default().credential)]
    rate_limit_credential: RateLimit,

    /// Logins from one client address.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_LOGIN", default_value_t = RateLimits::default().login)]
    rate_limit_login: RateLimit,

    /// Registrations from one client address.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_REGISTER", default_value_t = RateLimits::default().register)]
    rate_limit_register: RateLimit,

    /// Changes of the password with one session.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_PASSWORD", default_value_t = RateLimits::default().password)]
    rate_limit_password: RateLimit,

    /// Token refreshes from one client address.
    #[arg(long, global = true, env = "CRYPTOPAY_RATE_LIMIT_REFRESH", default_value_t = RateLimits::default().refresh)]
    rate_limit_refresh: RateLimit,

    /// Redis or Valkey that all replicas count in, `redis://[user:password@]host[:port][/database]`; each counts by
    /// itself when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_REDIS_URL", hide_env_values = true)]
    redis_url: Option<SecretString>,

    /// A file that holds the Redis URL.
    #[arg(long, global = true, env = "CRYPTOPAY_REDIS_URL_FILE", conflicts_with = "redis_url")]
    redis_url_file: Option<PathBuf>,
}

/// Whether something is done.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
}

/// The server that the options name, if they name one.
pub(crate) fn redis(options: &RateLimitOptions) -> anyhow::Result<Option<RedisServer>> {
    const VARIABLE: &str = "CRYPTOPAY_REDIS_URL";
    let url = secret(VARIABLE, &options.redis_url, &options.redis_url_file)?;
    let server = url.map(|url| RedisServer::parse(url.expose_secret()));
    server.transpose().with_context(|| format!("{VARIABLE} cannot be used"))
}

/// The limiter, unless nothing is to be limited.
pub(crate) fn limiter(options: &RateLimitOptions, redis: Option<RedisServer>) -> Option<RateLimiter> {
    if options.rate_limits == Switch::Off {
        tracing::warn!("nothing is limited: CRYPTOPAY_RATE_LIMITS is off");
        return None;
    }
    let limiter = RateLimiter::new(RateLimits {
        address: options.rate_limit_address,
        credential: options.rate_limit_credential,
        login: options.rate_limit_login,
        register: options.rate_limit_register,
        password: options.rate_limit_password,
        refresh: options.rate_limit_refresh,
    });
    Some(match redis {
        Some(server) => {
            tracing::info!(%server, "replicas that use this Redis share their rate limits");
            limiter.shared_through(server)
        }
        None => limiter,
    })
}
