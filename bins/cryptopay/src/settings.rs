//! Options made into settings: parsed, checked together, and refused with all that is wrong at once.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cryptopay_auth::hasher::HasherConfig;
use cryptopay_auth::{AuthConfig, Change, DatabaseUrl, KeySources, LoginThrottle, StoreConfig};
use cryptopay_domain::Environment;
use cryptopay_domain::session::RefreshPolicy;
use cryptopay_http::{RedisServer, Tls};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::key_settings;
use crate::options::Options;
use crate::rate_limits::{self, Switch};
use crate::tls;

/// Everything the parts are made of.
pub(crate) struct Settings {
    pub(crate) auth: AuthConfig,
    pub(crate) database: DatabaseUrl,
    pub(crate) store: StoreConfig,
    pub(crate) keys: KeySources,
    pub(crate) tls: Option<Tls>,
    pub(crate) redis: Option<RedisServer>,
}

impl Settings {
    /// Checks the options.
    pub(crate) fn from_options(options: &Options) -> anyhow::Result<Self> {
        let mut wrong = unsafe_in_production(options);
        if options.access_ttl > options.refresh_ttl {
            wrong.push(format!(
                "access tokens would outlive refresh tokens: CRYPTOPAY_ACCESS_TTL ({}) must not exceed \
                 CRYPTOPAY_REFRESH_TTL ({})",
                options.access_ttl, options.refresh_ttl
            ));
        }
        if options.metrics_listen == Some(options.listen) && options.listen.port() != 0 {
            wrong.push(format!(
                "metrics have an address of their own: CRYPTOPAY_METRICS_LISTEN must not be CRYPTOPAY_LISTEN ({})",
                options.listen
            ));
        }
        wrong.extend(options.cors_origins.iter().filter_map(|origin| wrong_origin(origin)));
        let issuer = options.public_url.clone().unwrap_or_else(|| "http://localhost:8080".to_owned());
        wrong.extend(wrong_public_url(&issuer));
        let database = keep(database(options), &mut wrong);
        let signing = keep(key_settings::signing(options), &mut wrong);
        let encryption = keep(key_settings::encryption(options), &mut wrong);
        let tls = keep(tls::load(options), &mut wrong);
        let redis = keep(rate_limits::redis(&options.limits), &mut wrong);
        match (database, signing, encryption, tls, redis) {
            (Some(database), Some(signing), Some(encryption), Some(tls), Some(redis)) if wrong.is_empty() => {
                Ok(Self {
                    auth: auth_config(options, issuer),
                    database,
                    store: StoreConfig {
                        connections: usize::from(options.database_connections),
                        ..StoreConfig::default()
                    },
                    keys: KeySources { signing, encryption },
                    tls,
                    redis,
                })
            }
            _ => bail!("the configuration cannot be used:\n  - {}", wrong.join("\n  - ")),
        }
    }
}

fn keep<T>(result: anyhow::Result<T>, wrong: &mut Vec<String>) -> Option<T> {
    result.inspect_err(|error| wrong.push(format!("{error:#}"))).ok()
}

fn auth_config(options: &Options, issuer: String) -> AuthConfig {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // More than can run would make none of them faster, and take each its memory.
    let permits = options.hash_threads.map_or(cores, |threads| usize::from(threads).min(cores));
    let change = |accepted: bool| if accepted { Change::Accepted } else { Change::Refused };
    AuthConfig {
        access_ttl: Duration::from_secs(options.access_ttl),
        refresh: RefreshPolicy {
            ttl: Duration::from_secs(options.refresh_ttl),
            grace: Duration::from_secs(options.refresh_grace),
        },
        hasher: HasherConfig {
            permits,
            queue: usize::from(options.hash_queue),
            deadline: Duration::from_secs(options.hash_deadline),
            waiting_per_network: options.hash_queue_per_address.map_or(2 * permits, usize::from),
            ..HasherConfig::default()
        },
        login_throttle: match options.limits.rate_limits {
            Switch::On => LoginThrottle::On,
            Switch::Off => LoginThrottle::Off,
        },
        audit_kept: Duration::from_secs(options.audit_days * 86_400),
        issuer_change: change(options.accept_issuer_change),
        signing_key_change: change(options.accept_signing_key_change),
        encryption_key_change: change(options.accept_encryption_key_change),
        ..AuthConfig::new(options.environment, issuer)
    }
}

fn unsafe_in_production(options: &Options) -> Vec<String> {
    let mut wrong = Vec::new();
    if options.environment != Environment::Production {
        return wrong;
    }
    match &options.public_url {
        None => {
            wrong.push("production needs CRYPTOPAY_PUBLIC_URL, such as https://api.example.com".to_owned());
        }
        Some(url) if !url.starts_with("https://") => {
            wrong.push(format!(
                "in production CRYPTOPAY_PUBLIC_URL must begin with https://; '{url}' does not"
            ));
        }
        Some(_) => {}
    }
    let has_tls = options.tls_certificate_file.is_some();
    if !options.listen.ip().is_loopback() && !options.behind_proxy && !has_tls {
        wrong.push(format!(
            "{} is plain HTTP beyond this machine: give a certificate (CRYPTOPAY_TLS_CERTIFICATE_FILE and \
             CRYPTOPAY_TLS_KEY_FILE), say --behind-proxy when a proxy in front ends TLS, or listen on 127.0.0.1",
            options.listen
        ));
    }
    if let Some(address) = options.metrics_listen.filter(|address| !is_inside(address.ip()))
        && !options.behind_proxy
    {
        wrong.push(format!(
            "{address} would show metrics to everybody: let CRYPTOPAY_METRICS_LISTEN be an address of loopback or of a \
             private network, or say --behind-proxy when nobody else gets to the port"
        ));
    }
    for network in options.trusted_proxies.iter().filter(|network| network.prefix_len() == 0) {
        wrong.push(format!(
            "CRYPTOPAY_TRUSTED_PROXIES holds {network}, which is everybody: any client could claim any address; name \
             your proxies"
        ));
    }
    if options.limits.rate_limits == Switch::Off {
        wrong.push("production limits requests: CRYPTOPAY_RATE_LIMITS=off is for load tests".to_owned());
    }
    if options.webhook_allow_private {
        wrong.push(
            "production sends no webhooks to private addresses: CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE is for development"
                .to_owned(),
        );
    }
    wrong
}

/// Whether an address is this machine's own or one of a private network (RFC 1918, RFC 4193).
const fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

fn wrong_public_url(text: &str) -> Option<String> {
    let parsed = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let plain = parsed.is_some_and(|url| {
        url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    (!plain || text.ends_with('/')).then(|| {
        format!("CRYPTOPAY_PUBLIC_URL must be like https://api.example.com, without a slash at its end; '{text}' is not")
    })
}

fn wrong_origin(origin: &str) -> Option<String> {
    let parsed = url::Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let canonical = parsed.is_some_and(|url| url.origin().ascii_serialization() == origin);
    (!canonical).then(|| {
        format!("CRYPTOPAY_CORS_ORIGINS holds '{origin}', which is no origin; write one like https://shop.example.com")
    })
}

fn database(options: &Options) -> anyhow::Result<DatabaseUrl> {
    match secret("CRYPTOPAY_DATABASE_URL", &options.database_url, &options.database_url_file)? {
        Some(url) => DatabaseUrl::parse(url.expose_secret()).context("CRYPTOPAY_DATABASE_URL cannot be used"),
        None => Ok(DatabaseUrl::Sqlite(options.data_dir.join("cryptopay.db"))),
    }
}

/// A setting that is given by itself or as the content of a file.
pub(crate) fn secret(
    variable: &str,
    value: &Option<SecretString>,
    file: &Option<PathBuf>,
) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = file else { return Ok(value.clone()) };
    let text = fs::read_to_string(path)
        .with_context(|| format!("{variable}_FILE names {}, which cannot be read", path.display()))?;
    let text = Zeroizing::new(text);
    Ok(Some(SecretString::from(text.trim())))
}
