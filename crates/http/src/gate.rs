//! The middleware of each route: resolves authority before anything else of the request is looked at, then
//! reads the body. Handlers run behind it and never check a credential themselves.
//!
//! The order of refusals is the contract's: 429 by address, 401, 503, 429 by credential, 403, 413, 415, `INVALID_JSON`, `VALIDATION_ERROR`. What
//! `X-Sandbox-Error` asks for comes behind the credential and before all the rest.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage, ResponseError};
use cryptopay_auth::{Auth, Failure, Principal};
use cryptopay_domain::{KeyVerdict, Permission};
use futures_util::future::LocalBoxFuture;
use tracing::Instrument;

use crate::authority::{self, Authority};
use crate::body::{self, BodyBytes};
use crate::error::ApiError;
use crate::fields::{FieldProblems, NoFields};
use crate::query::Query;
use crate::rate_limit::{Counted, RouteLimits, WorkerLimiter};
use crate::request_facts::RequestFacts;
use crate::route::{BodyRule, RouteRow};
use crate::{sandbox_error, unread_body};

/// Guards one route of the table.
pub(crate) struct Gate {
    auth: Auth,
    limits: RouteLimits,
    row: &'static RouteRow,
}

/// [`Gate`] in front of a handler.
pub(crate) struct Gated<S> {
    handler: Rc<S>,
    auth: Auth,
    limits: RouteLimits,
    row: &'static RouteRow,
}

impl Gate {
    /// The gate of the route `row`, which limits nothing without a limiter.
    pub(crate) fn new(auth: Auth, limiter: Option<Rc<WorkerLimiter>>, row: &'static RouteRow) -> Self {
        let limits = RouteLimits::new(limiter, row.budget, row.authority.is_protected());
        Self { auth, limits, row }
    }
}

impl<S> Transform<S, ServiceRequest> for Gate
where
    S: Service<
            ServiceRequest,
            Response = ServiceResponse,
            Error = Error,
            Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>,
        > + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Gated<S>;
    type Future = Ready<Result<Gated<S>, ()>>;

    fn new_transform(&self, handler: S) -> Self::Future {
        let (auth, limits) = (self.auth.clone(), self.limits.clone());
        ready(Ok(Gated { handler: Rc::new(handler), auth, limits, row: self.row }))
    }
}

impl<S> Service<ServiceRequest> for Gated<S>
where
    S: Service<
            ServiceRequest,
            Response = ServiceResponse,
            Error = Error,
            Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>,
        > + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    forward_ready!(handler);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        if let Some(judged) = self.judge_from_memory(&mut request) {
            return self.answer_from_memory(request, judged);
        }
        let (handler, auth, limits) = (Rc::clone(&self.handler), self.auth.clone(), self.limits.clone());
        let row = self.row;
        let span = span_of(row, &request);
        let answering = async move {
            match admit(&auth, &limits, row, &mut request).await {
                Ok(left) => Ok(unread_body::hold(handler.call(request).await?, left)),
                Err(error) => Ok(unread_body::refuse(request, error).await),
            }
        };
        Box::pin(answering.instrument(span))
    }
}

impl<S> Gated<S> {
    /// The hot path: a remembered credential on a route that answers from memory, and no body. Nothing is
    /// logged there, so it goes without a span.
    fn judge_from_memory(&self, request: &mut ServiceRequest) -> Option<Judged> {
        let is_cold = self.row.authority != Authority::AnyCredential
            || sandbox_error::is_asked(self.auth.environment(), request.headers())
            || has_payload(request);
        if is_cold {
            return None;
        }
        let bearer = authority::bearer(request.headers()).ok()?;
        let principal = self.auth.authenticate_cached(bearer)?;
        let query = Query::read(request.query_string());
        let verdict = self.row.authority.judge(&principal, query.asked_permission());
        note(request, |facts| {
            facts.route = self.row.path;
            facts.principal = Some(Arc::clone(&principal));
        });
        Some(Judged { principal, verdict, problems: query.problems(self.row.query) })
    }
}

impl<S> Gated<S>
where
    S: Service<
            ServiceRequest,
            Response = ServiceResponse,
            Error = Error,
            Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>,
        > + 'static,
{
    /// The answer where what was judged is what is left to be told once the limits have been. Nothing is awaited
    /// unless several replicas count together.
    fn answer_from_memory(
        &self,
        request: ServiceRequest,
        judged: Judged,
    ) -> LocalBoxFuture<'static, Result<ServiceResponse, Error>> {
        let answer = |auth: &Auth, handler: &S, request: ServiceRequest, judged: Judged| {
            note_use(auth, &judged.principal, &judged.verdict);
            match judged.verdict.and_then(|_| refuse_any(judged.problems)) {
                Ok(()) => handler.call(request),
                Err(error) => Box::pin(ready(Ok(request.into_response(error.error_response())))),
            }
        };
        let counted = self.limits.count_at_once(&request, Counted::Both(&judged.principal.credential));
        if let Some(counted) = counted {
            return answer(&self.auth, &self.handler, request, judged.limited(counted));
        }
        let (handler, auth, limits) = (Rc::clone(&self.handler), self.auth.clone(), self.limits.clone());
        Box::pin(async move {
            let counted = limits.count(&request, Counted::Both(&judged.principal.credential)).await;
            answer(&auth, &handler, request, judged.limited(counted)).await
        })
    }
}

/// What is to be told of a request from memory.
struct Judged {
    principal: Arc<Principal>,
    /// The permission that it is let in by, if the route demands one.
    verdict: Result<Option<Permission>, ApiError>,
    problems: FieldProblems,
}

impl Judged {
    /// The same where the limits come first.
    fn limited(self, counted: Result<(), ApiError>) -> Self {
        Self { verdict: counted.and(self.verdict), ..self }
    }
}

/// Decides whether a request reaches its handler. What is left of a body that nobody wants is returned.
async fn admit(
    auth: &Auth,
    limits: &RouteLimits,
    row: &'static RouteRow,
    request: &mut ServiceRequest,
) -> Result<Option<Payload>, ApiError> {
    note(request, |facts| facts.route = row.path);
    let remembered = if row.authority.is_protected() { remembered(auth, request) } else { None };
    let counted = match &remembered {
        Some(principal) => Counted::Both(&principal.credential),
        None => Counted::Client,
    };
    let limited = limits.count(request, counted).await;
    refuse_limited(auth, remembered.as_deref(), limited)?;
    let query = Query::read(request.query_string());
    let asked_error = sandbox_error::asked(auth.environment(), request.headers(), row);
    let principal = match (row.authority.is_protected(), remembered, &asked_error) {
        (true, Some(principal), _) => Some(principal),
        (true, None, _) => {
            let principal = authenticate(auth, request).await?;
            let limited = limits.count(request, Counted::Credential(&principal.credential)).await;
            refuse_limited(auth, Some(&principal), limited)?;
            Some(principal)
        }
        // Nobody needs a credential here, but an error is only for whoever has one.
        (false, _, Some(_)) => authenticate(auth, request).await.ok(),
        (false, _, None) => None,
    };
    if let Some(principal) = principal {
        note(request, |facts| facts.principal = Some(Arc::clone(&principal)));
        if let Some(ApiError::RateLimited { retry_after }) = asked_error {
            limits.pretend(request, retry_after);
        }
        asked_error.map_or(Ok(()), Err)?;
        let verdict = row.authority.judge(&principal, query.asked_permission());
        note_use(auth, &principal, &verdict);
        verdict?;
    }
    let problems = query.problems(row.query);
    match row.body {
        BodyRule::Ignored => {
            refuse_any(problems)?;
            return Ok(unread_body::drain(request).await);
        }
        BodyRule::Nothing => {
            let body = read_body(request).await?;
            body::parse::<NoFields>(body.as_ref(), problems)?;
        }
        BodyRule::Optional | BodyRule::Required => {
            let body = read_body(request).await?;
            if body.is_none() && row.body == BodyRule::Required {
                return Err(ApiError::InvalidJson("The body is empty. Send a JSON object.".into()));
            }
            // Told together with the problems of the body, which only the handler's type knows.
            note(request, |facts| facts.query_problems = problems);
            if let Some(body) = body {
                request.extensions_mut().insert(body);
            }
        }
    }
    Ok(None)
}

/// Takes a request into the figures of its key.
fn note_use(auth: &Auth, principal: &Principal, verdict: &Result<Option<Permission>, ApiError>) {
    auth.count_request(
        principal,
        match verdict {
            Ok(Some(permission)) => KeyVerdict::Granted(*permission),
            Ok(None) => KeyVerdict::Verified,
            Err(_) => KeyVerdict::Refused,
        },
    );
}

/// Refuses what is beyond a limit, which the figures of its key tell, if it is known.
fn refuse_limited(
    auth: &Auth,
    principal: Option<&Principal>,
    limited: Result<(), ApiError>,
) -> Result<(), ApiError> {
    if let (Some(principal), Err(_)) = (principal, &limited) {
        auth.count_request(principal, KeyVerdict::Refused);
    }
    limited
}

/// Who the credential of a request stands for, if that is remembered.
fn remembered(auth: &Auth, request: &ServiceRequest) -> Option<Arc<Principal>> {
    authority::bearer(request.headers()).ok().and_then(|bearer| auth.authenticate_cached(bearer))
}

async fn authenticate(auth: &Auth, request: &ServiceRequest) -> Result<Arc<Principal>, ApiError> {
    let bearer = authority::bearer(request.headers())?;
    if let Some(principal) = auth.authenticate_cached(bearer) {
        return Ok(principal);
    }
    auth.authenticate(bearer).await.map_err(|failure| match failure {
        Failure::Rejected(rejection) => authority::refusal(auth, rejection),
        Failure::Unavailable { retry_after } => ApiError::Overloaded { retry_after },
        Failure::Fault => ApiError::Internal,
    })
}

/// Reads the body; what it leaves unread goes back to the request.
async fn read_body(request: &mut ServiceRequest) -> Result<Option<BodyBytes>, ApiError> {
    if !has_payload(request) {
        return Ok(None);
    }
    let mut payload = request.take_payload();
    let body = body::read(request.headers(), &mut payload).await;
    request.set_payload(payload);
    body
}

fn has_payload(request: &mut ServiceRequest) -> bool {
    let payload = request.take_payload();
    let has_any = !matches!(payload, Payload::None);
    if has_any {
        request.set_payload(payload);
    }
    has_any
}

fn note(request: &ServiceRequest, change: impl FnOnce(&mut RequestFacts)) {
    if let Some(facts) = request.extensions_mut().get_mut::<RequestFacts>() {
        change(facts);
    }
}

fn refuse_any(problems: FieldProblems) -> Result<(), ApiError> {
    if problems.is_empty() { Ok(()) } else { Err(ApiError::Validation(problems)) }
}

/// What everything logged on the way to the answer belongs to.
fn span_of(row: &RouteRow, request: &ServiceRequest) -> tracing::Span {
    let extensions = request.extensions();
    let Some(facts) = extensions.get::<RequestFacts>() else { return tracing::Span::none() };
    tracing::info_span!(
        "request",
        method = %request.method(),
        route = %row.path,
        id = %facts.id.own,
        request_id = facts.id.callers().map(tracing::field::display),
    )
}
