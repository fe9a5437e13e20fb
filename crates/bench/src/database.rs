//! The databases that a server is measured on.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, NoTls};

use crate::machine::{SERVER_CORE, pin_process};
use crate::process_tree::ProcessTree;
use crate::server::Server;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// An empty database.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// SQLite, in the data directory of the server that it will belong to.
    Embedded,
    /// One of a PostgreSQL cluster.
    OfCluster {
        /// Where it is.
        url: String,
        /// The process of the cluster, moved to the server's core: what it starts for new connections follows it.
        postmaster: u32,
    },
}

impl Database {
    /// Makes one whose name ends in `name`, so that scenarios do not meet in the cluster.
    pub(crate) async fn create(backend: Backend, name: &str) -> Result<Self> {
        if backend == Backend::Sqlite {
            return Ok(Self::Embedded);
        }
        let cluster = std::env::var("CRYPTOPAY_TEST_POSTGRES")
            .context("CRYPTOPAY_TEST_POSTGRES names no cluster; `just bench` starts one")?;
        let (server, _) = cluster.rsplit_once('/').context("the cluster's URL names no database")?;
        let name = format!("bench_{}_{name}", std::process::id());
        connect(&cluster).await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self::OfCluster { url: format!("{server}/{name}"), postmaster: pinned_postmaster(&cluster)? })
    }

    /// Its URL, unless it is the one a server makes by itself.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Embedded => None,
            Self::OfCluster { url, .. } => Some(url),
        }
    }

    /// The processes whose time a server takes that works on it.
    pub(crate) fn tree(&self, server: &Server) -> ProcessTree {
        match self {
            Self::Embedded => server.tree(),
            Self::OfCluster { postmaster, .. } => server.tree().with(*postmaster),
        }
    }
}

/// Opens a connection to PostgreSQL that lasts as long as its client.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("PostgreSQL cannot be reached")?;
    tokio::spawn(connection);
    Ok(client)
}

fn pinned_postmaster(cluster: &str) -> Result<u32> {
    let config: tokio_postgres::Config = cluster.parse()?;
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let Some(Host::Unix(directory)) = config.get_hosts().first() else {
        anyhow::bail!("the cluster must be reached over a Unix socket: its processor time counts");
    };
    let postmaster = socket_owner(directory, port)?;
    pin_process(postmaster, SERVER_CORE)?;
    Ok(postmaster)
}

/// The first line of the lock file beside a socket of PostgreSQL is the number of the process that listens.
fn socket_owner(directory: &Path, port: u16) -> Result<u32> {
    let lock = directory.join(format!(".s.PGSQL.{port}.lock"));
    let text = fs::read_to_string(&lock).with_context(|| format!("{} cannot be read", lock.display()))?;
    text.lines().next().and_then(|pid| pid.trim().parse().ok()).context("no process is named there")
}
