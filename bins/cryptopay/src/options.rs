//! The options and their environment variables: `cryptopay serve --help` is the reference.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use cryptopay_domain::Environment;
use ipnet::IpNet;
use secrecy::SecretString;

use crate::rate_limits::RateLimitOptions;

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options")]
pub(crate) struct Options {
    /// `sandbox` or `production`. Credentials of one are worth nothing in the other.
    #[arg(long, global = true, env = "CRYPTOPAY_ENVIRONMENT", default_value = "sandbox")]
    pub(crate) environment: Environment,

    /// The address to listen on.
    #[arg(long, global = true, env = "CRYPTOPAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// The address at which Prometheus reads `/metrics`, as does whoever else gets there; nowhere when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_METRICS_LISTEN")]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// Where keys and the embedded database are kept.
    #[arg(long, global = true, env = "CRYPTOPAY_DATA_DIR", default_value = "./data")]
    pub(crate) data_dir: PathBuf,

    /// The URL under which the service is reached: the issuer of its tokens, the same on every replica.
    /// Required in production; http://localhost:8080 in the sandbox.
    #[arg(long, global = true, env = "CRYPTOPAY_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,

    /// `sqlite://<path>` or `postgres://…`; `cryptopay.db` in the data directory when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretString>,

    /// A file that holds the database URL.
    #[arg(long, global = true, env = "CRYPTOPAY_DATABASE_URL_FILE", conflicts_with = "database_url")]
    pub(crate) database_url_file: Option<PathBuf>,

    /// Connections to PostgreSQL.
    #[arg(long, global = true, env = "CRYPTOPAY_DATABASE_CONNECTIONS", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) database_connections: u16,

    /// Signing keys as PASERK `k4.secret.…`, comma-separated: the first is active, the others retiring. A key
    /// file is made in the data directory when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_SIGNING_KEYS", hide_env_values = true)]
    pub(crate) signing_keys: Option<SecretString>,

    /// A file that holds the signing keys in the same form.
    #[arg(long, global = true, env = "CRYPTOPAY_SIGNING_KEYS_FILE", conflicts_with = "signing_keys")]
    pub(crate) signing_keys_file: Option<PathBuf>,

    /// Encryption keys as PASERK `k4.local.…`, comma-separated: the first seals webhook secrets and the like, the
    /// others open what they sealed. A key file is made in the data directory when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_ENCRYPTION_KEYS", hide_env_values = true)]
    pub(crate) encryption_keys: Option<SecretString>,

    /// A file that holds the encryption keys in the same form.
    #[arg(long, global = true, env = "CRYPTOPAY_ENCRYPTION_KEYS_FILE", conflicts_with = "encryption_keys")]
    pub(crate) encryption_keys_file: Option<PathBuf>,

    /// Seconds that an access token lives.
    #[arg(long, global = true, env = "CRYPTOPAY_ACCESS_TTL", default_value_t = 86_400,
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) access_ttl: u64,

    /// Seconds that a refresh token lives.
    #[arg(long, global = true, env = "CRYPTOPAY_REFRESH_TTL", default_value_t = 2_592_000,
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) refresh_ttl: u64,

    /// Seconds that a spent refresh token is still answered after its successor was first used.
    #[arg(long, global = true, env = "CRYPTOPAY_REFRESH_GRACE", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(0..=600))]
    pub(crate) refresh_grace: u64,

    /// Password hashes that run at once, 128 MiB each; one for each core when absent, and never more.
    #[arg(long, global = true, env = "CRYPTOPAY_HASH_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) hash_threads: Option<u16>,

    /// Password hashes that may wait; beyond them, 503 OVERLOADED.
    #[arg(long, global = true, env = "CRYPTOPAY_HASH_QUEUE", default_value_t = 128)]
    pub(crate) hash_queue: u16,

    /// Password hashes that may wait from one client address; twice the threads when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_HASH_QUEUE_PER_ADDRESS")]
    pub(crate) hash_queue_per_address: Option<u16>,

    /// Seconds that a password hash may wait.
    #[arg(long, global = true, env = "CRYPTOPAY_HASH_DEADLINE", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) hash_deadline: u64,

    /// Days that audit events are kept.
    #[arg(long, global = true, env = "CRYPTOPAY_AUDIT_DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u64).range(1..=36_500))]
    pub(crate) audit_days: u64,

    /// Proxies whose X-Forwarded-For or Forwarded is believed: addresses or networks in CIDR, comma-separated.
    #[arg(long, global = true, env = "CRYPTOPAY_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub(crate) trusted_proxies: Vec<IpNet>,

    /// Origins whose pages may call the API from a browser, comma-separated.
    #[arg(long, global = true, env = "CRYPTOPAY_CORS_ORIGINS", value_delimiter = ',',
          value_parser = trimmed::<String>)]
    pub(crate) cors_origins: Vec<String>,

    /// A PEM file with the server's certificate and those between it and its authority. It is read again when it
    /// changes. Plain HTTP when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_TLS_CERTIFICATE_FILE")]
    pub(crate) tls_certificate_file: Option<PathBuf>,

    /// The PEM file with the certificate's private key.
    #[arg(long, global = true, env = "CRYPTOPAY_TLS_KEY_FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,

    /// Connections that may be open in all; each takes a file, so `ulimit -n` has to be well above.
    #[arg(long, global = true, env = "CRYPTOPAY_CONNECTIONS", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,

    /// Connections that one client (an IPv4 address or an IPv6 /64) may hold open. Trusted proxies may hold any
    /// number.
    #[arg(long, global = true, env = "CRYPTOPAY_CONNECTIONS_PER_CLIENT", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections_per_client: u32,

    /// A proxy in front ends TLS: allows plain HTTP beyond loopback in production.
    #[arg(long, global = true, env = "CRYPTOPAY_BEHIND_PROXY")]
    pub(crate) behind_proxy: bool,

    /// Let webhooks go to private addresses, such as a receiver on this machine: for development, refused in
    /// production.
    #[arg(long, global = true, env = "CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE")]
    pub(crate) webhook_allow_private: bool,

    /// Issue tokens under another public URL than before. Tokens issued so far stop working.
    #[arg(long, global = true)]
    pub(crate) accept_issuer_change: bool,

    /// Sign with a key that the other replicas do not know.
    #[arg(long, global = true)]
    pub(crate) accept_signing_key_change: bool,

    /// Give up the secrets that were sealed with an encryption key that is lost.
    #[arg(long, global = true)]
    pub(crate) accept_encryption_key_change: bool,

    /// Threads that serve requests; one for each core when absent.
    #[arg(long, global = true, env = "CRYPTOPAY_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// What to log, as tracing directives such as `debug` or `cryptopay_auth=trace`. Requests that are no HTTP
    /// are left out by default: anyone could fill the log with them.
    #[arg(
        long,
        global = true,
        env = "CRYPTOPAY_LOG",
        default_value = "info,actix_http=off,actix_server=warn"
    )]
    pub(crate) log: String,

    /// How to log: for people, as JSON, or whichever suits where it goes.
    #[arg(long, global = true, env = "CRYPTOPAY_LOG_FORMAT", default_value = "auto")]
    pub(crate) log_format: LogFormat,

    // Last, since its heading would go on for what follows.
    #[command(flatten)]
    pub(crate) limits: RateLimitOptions,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A network as `10.0.0.0/8`, or a single address as `127.0.0.1`.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| "neither an address, such as 127.0.0.1, nor a network, such as 10.0.0.0/8".to_owned())
}

/// An item of a list, with or without blanks after the commas.
fn trimmed<T: FromStr>(text: &str) -> Result<T, T::Err> {
    text.trim().parse()
}
