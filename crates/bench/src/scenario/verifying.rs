//! A server, and one `verify` that is asked of it again and again.

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::http_client::Connection;
use crate::load::{Repeating, sustain};
use crate::merchant::{create_api_key, login, register, verify_request};
use crate::sample::Sample;
use crate::server::{Server, readiness};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);

/// With settings of its own.
pub(super) struct Verifying {
    server: Server,
    request: Vec<u8>,
    _directory: tempfile::TempDir,
}

impl Verifying {
    pub(super) async fn start(bench: &Bench, settings: &[(&str, &str)]) -> Result<Self> {
        let directory = bench.fresh_directory()?;
        let path = directory.path();
        let server = Server::start_with(&bench.program, path, None, settings, &readiness()).await?;
        let mut connection = Connection::open(server.address).await?;
        register(&mut connection, "merchant").await?;
        let access = login(&mut connection, "merchant").await?.access;
        let request = verify_request(&create_api_key(&mut connection, &access, &["read"]).await?);
        Ok(Self { server, request, _directory: directory })
    }

    /// What requests cost for a while.
    pub(super) async fn load(&self, bench: &Bench) -> Result<Sample> {
        let connections = self.server.connect(CONNECTIONS).await?;
        let client = |connection| Repeating { connection, request: self.request.clone() };
        let clients = connections.into_iter().map(client).collect();
        Ok(sustain(clients, &self.server.tree(), WARM_UP, bench.span() / 2).await?.0)
    }
}
