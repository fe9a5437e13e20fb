//! Names as the system's name servers and its hosts file have them.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;

use crate::resolver::{Looking, Lookup};

/// Asks the name servers of `/etc/resolv.conf`, after the hosts file, as they are at its making.
///
/// Not by the system's `getaddrinfo`, which holds a thread for as long as a name server likes: a few hundred
/// endpoints whose names never answer would leave none for anybody else, the database included. Here a
/// question that nobody waits for any more is forgotten at once.
pub(crate) struct SystemLookup {
    resolver: TokioResolver,
}

/// For each of two tries, so that both fit into a dial's time.
const TRY_PATIENCE: Duration = Duration::from_secs(2);
/// As long as an address is believed at most, whatever its time to live: a merchant who moves does not wait
/// for long.
const LONGEST_BELIEF: Duration = Duration::from_secs(60);
/// As long as it is believed that a name has none.
const LONGEST_DISBELIEF: Duration = Duration::from_secs(5);
/// Questions under way at once to one name server.
const QUESTIONS_AT_ONCE: usize = 4096;

impl SystemLookup {
    pub(crate) fn new() -> io::Result<Self> {
        let (configuration, mut options) = configuration()?;
        options.timeout = TRY_PATIENCE;
        options.attempts = 1;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.max_active_requests = QUESTIONS_AT_ONCE;
        options.positive_max_ttl = Some(LONGEST_BELIEF);
        options.negative_max_ttl = Some(LONGEST_DISBELIEF);
        let builder = TokioResolver::builder_with_config(configuration, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build().map_err(io::Error::other)?;
        Ok(Self { resolver })
    }
}

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
        Box::pin(async move {
            let found = self.resolver.lookup_ip(question(name)).await.map_err(io::Error::other)?;
            Ok(found.iter().collect::<Vec<IpAddr>>())
        })
    }
}

/// A name with a dot is a whole one: completing it from the system's search list would ask private networks
/// for names that a merchant made up.
fn question(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') { format!("{name}.") } else { name.to_owned() }
}

fn configuration() -> io::Result<(ResolverConfig, ResolverOpts)> {
    match read_system_conf() {
        // Without the file, the name server is on this machine: resolv.conf(5).
        Err(NetError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let local = NameServerConfig::udp_and_tcp(std::net::Ipv4Addr::LOCALHOST.into());
            Ok((ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default()))
        }
        read => read.map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machines_name_needs_no_name_server() {
        let addresses = SystemLookup::new().unwrap().lookup("localhost").await.unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }

    #[tokio::test]
    async fn what_is_no_name_is_an_error() {
        let lookup = SystemLookup::new().unwrap();
        for name in ["", "a..b", &"a".repeat(64)] {
            assert!(lookup.lookup(name).await.is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_with_a_dot_is_never_completed() {
        assert_eq!(question("db.prod"), "db.prod.");
        assert_eq!(question("shop.example.com."), "shop.example.com.");
        assert_eq!(question("receiver"), "receiver");
    }
}
