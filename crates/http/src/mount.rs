//! What another adapter that is served beside the API shares with it: the server and its envelope (request ids,
//! security headers, access log), the counting of requests, and the reading of bodies.
//!
//! Its routes are its own, and so are its credentials and its errors: nothing here knows what a page is.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::web::ServiceConfig;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use cryptopay_auth::{Credential, Principal, RequestContext};
use zeroize::Zeroizing;

pub use crate::rate_limit::Budget;

use crate::body;
use crate::error::ApiError;
use crate::extract;
use crate::rate_limit::{Counted, RouteLimits, WorkerLimiter};
use crate::request_facts::RequestFacts;
use crate::unread_body;

/// The routes of another adapter. They are registered once in each worker thread.
#[derive(Clone)]
pub struct Mount(Arc<Register>);

type Register = dyn Fn(&mut ServiceConfig, &Counter) + Send + Sync;

impl Mount {
    /// Of an adapter that registers its routes so.
    pub fn new(register: impl Fn(&mut ServiceConfig, &Counter) + Send + Sync + 'static) -> Self {
        Self(Arc::new(register))
    }

    pub(crate) fn register(&self, service: &mut ServiceConfig, counter: &Counter) {
        (self.0)(service, counter);
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mount")
    }
}

/// Counts requests in one worker thread, in the same buckets as those of the API.
pub struct Counter(Option<Rc<WorkerLimiter>>);

/// The limits of one route.
#[derive(Clone)]
pub struct Limits(RouteLimits);

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// When trying again makes sense.
    pub retry_after: Duration,
}

impl Counter {
    pub(crate) const fn new(limiter: Option<Rc<WorkerLimiter>>) -> Self {
        Self(limiter)
    }

    /// The limits of a route with this budget.
    #[must_use]
    pub fn limits(&self, budget: Budget) -> Limits {
        Limits(RouteLimits::new(self.0.clone(), budget, true))
    }
}

impl Limits {
    /// Counts a request against its client, before anything else of it is looked at.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub async fn count_client(&self, request: &ServiceRequest) -> Result<(), RateLimited> {
        self.0.count(request, Counted::Client).await.map_err(|error| limited(&error))
    }

    /// Counts a request against its credential, once that is known to be valid.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub async fn count_credential(
        &self,
        request: &ServiceRequest,
        credential: &Credential,
    ) -> Result<(), RateLimited> {
        self.0.count(request, Counted::Credential(credential)).await.map_err(|error| limited(&error))
    }
}

fn limited(error: &ApiError) -> RateLimited {
    let retry_after = match error {
        ApiError::RateLimited { retry_after } => *retry_after,
        // Counting refuses for no other reason.
        _ => Duration::from_secs(1),
    };
    RateLimited { retry_after }
}

/// Tells the access log and the metrics which route a request has met: its pattern, never anything of the request.
pub fn note_route(request: &HttpRequest, route: &'static str) {
    if let Some(facts) = request.extensions_mut().get_mut::<RequestFacts>() {
        facts.route = route;
    }
}

/// Tells the access log who sent a request.
pub fn note_principal(request: &HttpRequest, principal: &Arc<Principal>) {
    if let Some(facts) = request.extensions_mut().get_mut::<RequestFacts>() {
        facts.principal = Some(Arc::clone(principal));
    }
}

/// Where a request comes from.
#[must_use]
pub fn context(request: &HttpRequest) -> RequestContext {
    extract::context(request)
}

/// A body that is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRefusal {
    /// It is longer than [`MAX_BODY`](crate::MAX_BODY).
    TooLarge,
    /// It broke off, or was on its way for too long.
    BrokenOff,
}

/// Reads the body of a request, whatever its type. It is cleared after use, since it may hold passwords.
///
/// # Errors
/// [`BodyRefusal`].
pub async fn read_body(request: &mut ServiceRequest) -> Result<Zeroizing<Vec<u8>>, BodyRefusal> {
    let mut payload = request.take_payload();
    let body = body::read_bytes(request.headers(), &mut payload).await;
    request.set_payload(payload);
    body.map_err(|error| match error {
        ApiError::PayloadTooLarge => BodyRefusal::TooLarge,
        _ => BodyRefusal::BrokenOff,
    })
}

/// Answers a request. What is left of its body is drained while that is little; otherwise the connection closes
/// after the answer.
pub async fn respond(mut request: ServiceRequest, response: HttpResponse) -> ServiceResponse {
    let left = unread_body::drain(&mut request).await;
    unread_body::hold(request.into_response(response), left)
}
