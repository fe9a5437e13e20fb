//! The limits of one route, in one worker thread.

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpMessage as _, dev::ServiceRequest};
use cryptopay_auth::Credential;
use cryptopay_domain::ClientNetwork;

use super::bucket::{Bucket, Subject};
use super::few::Few;
use super::fields::{RateLimitFields, policies};
use super::limit::RateLimits;
use super::policy::{Budget, Policy};
use super::standing::{Exhausted, Standing};
use super::worker::WorkerLimiter;
use crate::error::ApiError;
use crate::request_facts::RequestFacts;

/// What requests to a route are counted against, and by whom.
#[derive(Clone)]
pub(crate) struct RouteLimits {
    /// Absent where nothing is limited.
    worker: Option<Rc<WorkerLimiter>>,
    by_address: &'static [Policy],
    by_credential: &'static [Policy],
    policies: HeaderValue,
}

/// Whose buckets a request is counted against.
#[derive(Clone, Copy)]
pub(crate) enum Counted<'a> {
    /// The client's, before anything else of it is looked at.
    Client,
    /// The credential's, once that is known to be valid.
    Credential(&'a Credential),
    /// Both, in that order: of a credential that is remembered.
    Both(&'a Credential),
}

impl RouteLimits {
    /// Of a route with this budget, that takes a credential or does not.
    pub(crate) fn new(worker: Option<Rc<WorkerLimiter>>, budget: Budget, is_protected: bool) -> Self {
        let by_address = budget.by_address();
        let by_credential = if is_protected { budget.by_credential() } else { &[] };
        let defaults = RateLimits::default();
        let limits = worker.as_ref().map_or(&defaults, |worker| worker.limits());
        let policies = policies(by_address.iter().chain(by_credential), limits);
        let worker = worker.filter(|_| !by_address.is_empty());
        Self { worker, by_address, by_credential, policies }
    }

    /// Counts a request where that needs nobody else; otherwise [`RouteLimits::count`] has to be awaited.
    pub(crate) fn count_at_once(
        &self,
        request: &ServiceRequest,
        counted: Counted<'_>,
    ) -> Option<Result<(), ApiError>> {
        let Some(worker) = &self.worker else { return Some(Ok(())) };
        let buckets = self.buckets(request, counted);
        let mut standings = Few::new();
        let verdict = worker.decide_at_once(&buckets, &mut standings)?;
        self.note(request, standings);
        Some(verdict.map_err(refusal))
    }

    /// Counts a request.
    pub(crate) async fn count(&self, request: &ServiceRequest, counted: Counted<'_>) -> Result<(), ApiError> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let buckets = self.buckets(request, counted);
        let mut standings = Few::new();
        let verdict = worker.decide(&buckets, &mut standings).await;
        self.note(request, standings);
        verdict.map_err(refusal)
    }

    /// Makes the answer tell what it would tell if a limit were used up.
    pub(crate) fn pretend(&self, request: &ServiceRequest, retry_after: Duration) {
        let Some(first) = self.by_address.first() else { return };
        change(request, |fields| *fields = None);
        let mut standings = Few::new();
        standings.push(Standing::exhausted(*first, retry_after));
        self.note(request, standings);
    }

    fn buckets(&self, request: &ServiceRequest, counted: Counted<'_>) -> Few<Bucket> {
        let mut buckets = Few::new();
        if let Counted::Client | Counted::Both(_) = counted {
            let subject = Subject::Client(network(request));
            self.by_address.iter().for_each(|policy| buckets.push(Bucket { policy: *policy, subject }));
        }
        if let Counted::Credential(credential) | Counted::Both(credential) = counted {
            let subject = Subject::of(credential);
            self.by_credential.iter().for_each(|policy| buckets.push(Bucket { policy: *policy, subject }));
        }
        buckets
    }

    fn note(&self, request: &ServiceRequest, standings: Few<Standing>) {
        if standings.is_empty() {
            return;
        }
        change(request, |fields| match fields {
            Some(fields) => standings.iter().for_each(|standing| fields.standings.push(*standing)),
            None => *fields = Some(RateLimitFields { policies: self.policies.clone(), standings }),
        });
    }
}

fn refusal(exhausted: Exhausted) -> ApiError {
    ApiError::RateLimited { retry_after: exhausted.retry_after }
}

/// Where a request comes from, as far as it can be believed.
fn network(request: &ServiceRequest) -> ClientNetwork {
    let extensions = request.extensions();
    let client = extensions.get::<RequestFacts>().map(|facts| facts.client);
    // The envelope has noted it; were it absent, all would be counted as one.
    client.unwrap_or_else(|| std::net::IpAddr::from([0, 0, 0, 0]).into()).network()
}

fn change(request: &ServiceRequest, change: impl FnOnce(&mut Option<RateLimitFields>)) {
    if let Some(facts) = request.extensions_mut().get_mut::<RequestFacts>() {
        change(&mut facts.rate_limit);
    }
}
