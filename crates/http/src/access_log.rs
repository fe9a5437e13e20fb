//! One event for each answer. Never a raw path, a query, a body or a header that could carry a secret.

use std::fmt;
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::HttpRequest;
use cryptopay_auth::{Credential, Principal};
use cryptopay_domain::ClientAddress;

use crate::request_facts::RequestFacts;
use crate::request_id::OwnId;

/// Where the events go: what to filter on.
pub const ACCESS_LOG_TARGET: &str = "cryptopay::access";

/// Records that `request` was answered with `status` after `latency`.
pub(crate) fn record(request: &HttpRequest, client: ClientAddress, status: u16, latency: Duration) {
    if !tracing::enabled!(target: ACCESS_LOG_TARGET, tracing::Level::INFO) {
        return;
    }
    let extensions = request.extensions();
    let Some(facts) = extensions.get::<RequestFacts>() else { return };
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    // Display rather than the quoting Debug of strings, and no field twice: each costs every request.
    tracing::info!(
        target: ACCESS_LOG_TARGET,
        method = %request.method(),
        route = %if facts.route.is_empty() { "-" } else { facts.route },
        status,
        micros,
        client = %client,
        credential = %Label(facts.principal.as_deref()),
        id = %facts.id.own,
        request_id = facts.id.callers().map(tracing::field::display),
    );
}

/// Records that a request which could not be read was refused with `status`.
pub(crate) fn record_unreadable(status: u16, id: OwnId) {
    tracing::info!(target: ACCESS_LOG_TARGET, method = "-", route = "-", status, id = %id);
}

/// The credential's label, written without an allocation.
struct Label<'a>(Option<&'a Principal>);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|principal| &principal.credential) {
            None => f.write_str("-"),
            Some(Credential::AccessToken { session, .. }) => write!(f, "access_token:{session}"),
            Some(Credential::ApiKey { id, .. }) => write!(f, "api_key:{id}"),
        }
    }
}
