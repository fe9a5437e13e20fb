//! `GET /api/auth/verify/` with credentials the server has seen before, against the ceiling.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, progress};
use crate::comparison::Comparison;
use crate::http_client::Connection;
use crate::load::{Repeating, sustain};
use crate::merchant::{create_api_key, login, refresh, register, verify_request};
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{AnswerShape, Server, readiness};

/// Connections, each with a credential of its own.
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);

/// What is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    AccessToken,
    ApiKey,
}

pub(crate) async fn measure(bench: &Bench, credential: Credential) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    let requests = requests(&mut connection, credential).await?;
    let reply = connection.succeed(&requests[0]).await?;
    let shape =
        AnswerShape { headers: reply.headers(), head_bytes: reply.head.len(), body_bytes: reply.body.len() };
    let ceiling = Server::start_ceiling(directory.path(), shape, &requests[0]).await?;

    let mut comparison = Comparison::default();
    for pair in 0..bench.pairs() {
        comparison.ours.push(load(&server, &requests, bench.span()).await?);
        comparison.theirs.push(load(&ceiling, &requests, bench.span()).await?);
        progress(format_args!(
            "pair {}: {}; ceiling {}",
            pair + 1,
            Comparison::describe(&comparison.ours[pair..]),
            Comparison::describe(&comparison.theirs[pair..]),
        ));
    }
    let (ratio, decided_by) = comparison.ratio();
    let (name, bar) = match credential {
        Credential::AccessToken => ("access token", 0.75),
        Credential::ApiKey => ("API key", 0.70),
    };
    Ok(vec![Row {
        what: format!("`GET /api/auth/verify/`, {name}, {CONNECTIONS} connections"),
        measured: Comparison::describe(&comparison.ours),
        beside: format!("ceiling: {}", Comparison::describe(&comparison.theirs)),
        verdict: format!("{ratio:.2} of the ceiling"),
        bar: format!("≥ {bar:.2}"),
        decided_by: decided_by.to_string(),
        passed: Some(ratio >= bar),
    }])
}

/// A request for each connection.
async fn requests(connection: &mut Connection, credential: Credential) -> Result<Vec<Vec<u8>>> {
    register(connection, "merchant").await?;
    let mut tokens = login(connection, "merchant").await?;
    let mut requests = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        match credential {
            Credential::AccessToken => {
                requests.push(verify_request(&tokens.access));
                tokens = refresh(connection, &tokens.refresh).await?;
            }
            Credential::ApiKey => {
                requests.push(verify_request(&create_api_key(connection, &tokens.access, &["read"]).await?));
            }
        }
    }
    Ok(requests)
}

async fn load(server: &Server, requests: &[Vec<u8>], span: Duration) -> Result<Sample> {
    let connections = server.connect(requests.len()).await?;
    let clients = connections
        .into_iter()
        .zip(requests)
        .map(|(connection, request)| Repeating { connection, request: request.clone() })
        .collect();
    Ok(sustain(clients, &server.tree(), WARM_UP, span).await?.0)
}
