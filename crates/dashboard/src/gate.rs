//! In front of every page: counts the request, reads the form, finds the session, and makes sure that a form is ours,
//! before a handler runs.
//!
//! The order of refusals: 404, 405, 429 by address, 413, 403 of another origin, the way to the login, 429 by session,
//! 403 of a form that is not ours, the password again.

use std::rc::Rc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use cryptopay_auth::{BrowserSession, Failure};
use cryptopay_domain::browser_session::Confidence;
use cryptopay_http::mount::{self, BodyRefusal, Budget, Counter, Limits, RateLimited};
use futures_util::future::LocalBoxFuture;

use crate::cookies::Jar;
use crate::csrf::FormToken;
use crate::form::Form;
use crate::frame::Frame;
use crate::login;
use crate::next::Next;
use crate::notice::Notice;
use crate::origin;
use crate::page;
use crate::problem::Problem;
use crate::routes::{Handler, Row};
use crate::site::Site;
use crate::visit::{Held, MerchantVisit, Visit};

/// What stands in front of one page.
pub(crate) struct Gate {
    row: Row,
    limits: Limits,
    /// What typing the password again is counted against.
    password_again: Limits,
}

impl Gate {
    pub(crate) fn new(row: Row, counter: &Counter) -> Self {
        Self { limits: counter.limits(row.budget), password_again: counter.limits(Budget::Login), row }
    }
}

/// Answers a request to a path with these gates, one for each method; without any, the path means nothing.
pub(crate) fn answer(
    site: Site,
    gates: Rc<[Gate]>,
    mut request: ServiceRequest,
) -> LocalBoxFuture<'static, Result<ServiceResponse, Error>> {
    Box::pin(async move {
        let jar = Jar::of(&site, request.request());
        let mut frame = Frame::new(&site);
        let answered = match choose(&gates, request.method()) {
            Ok(gate) => enter(&site, gate, &jar, &mut frame, &mut request).await,
            Err(problem) => Err(problem),
        };
        let response = answered.unwrap_or_else(|problem| problem.answer(&frame));
        Ok(mount::respond(request, response).await)
    })
}

fn choose<'a>(gates: &'a [Gate], method: &Method) -> Result<&'a Gate, Problem> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    gates.iter().find(|gate| gate.row.method == method).ok_or_else(|| match gates {
        [] => Problem::NotFound,
        gates => Problem::MethodNotAllowed(gates.iter().map(|gate| gate.row.method.clone()).collect()),
    })
}

async fn enter(
    site: &Site,
    gate: &Gate,
    jar: &Jar,
    frame: &mut Frame,
    request: &mut ServiceRequest,
) -> Result<HttpResponse, Problem> {
    mount::note_route(request.request(), gate.row.path);
    gate.limits.count_client(request).await?;
    let is_post = gate.row.method == Method::POST;
    let form = if is_post { read_form(request).await? } else { Form::default() };
    if is_post && !origin::is_ours(site, request.headers()) {
        return Err(Problem::OtherOrigin);
    }
    let held = find_session(site, jar).await?;
    if let Some(held) = &held {
        mount::note_principal(request.request(), &held.session.principal);
        frame.enter(held);
    }
    let is_open = matches!(gate.row.handler, Handler::Anyone(_));
    let held = match held {
        None if !is_open => return Ok(login::send_to_login(jar, &Next::of(request.request()))),
        held => held,
    };
    let visitor = jar.visitor_or_new()?;
    frame.form_token = match &held {
        Some(held) => FormToken::of_session(&held.token),
        None => FormToken::of_visitor(&visitor),
    };
    if let (Some(held), false) = (&held, is_open) {
        gate.limits.count_credential(request, &held.session.principal.credential).await?;
    }
    if is_post && !frame.form_token.matches(form.text("csrf")) {
        return Err(Problem::StaleForm(Next::of(request.request())));
    }
    let notice = held.as_ref().and_then(|held| Notice::read(jar, held));
    frame.notice = notice;
    let visit = Visit {
        site: Rc::clone(site),
        context: mount::context(request.request()),
        path: request.path().trim_end_matches('/').to_owned(),
        back: Next::of(request.request()),
        base: site.base(request.headers()),
        query: Form::parse(request.query_string().as_bytes()),
        parameters: page::parameters(request),
        frame: frame.clone(),
        jar: jar.clone(),
        form,
        held: held.clone(),
        visitor,
    };
    let mut response = run(gate, visit, held, request).await?;
    // On the way to another page it was not seen yet.
    if notice.is_some() && !response.status().is_redirection() {
        jar.forget_notice(&mut response);
    }
    Ok(response)
}

async fn run(
    gate: &Gate,
    visit: Visit,
    held: Option<Held>,
    request: &ServiceRequest,
) -> Result<HttpResponse, Problem> {
    let merchant = match (gate.row.handler, held) {
        (Handler::Anyone(handler), _) => return handler(visit).await,
        (Handler::Merchant(_) | Handler::Recent(_), None) => return Err(Problem::Fault),
        (Handler::Merchant(handler), Some(held)) => return handler(MerchantVisit { visit, held }).await,
        (Handler::Recent(_), Some(held)) => MerchantVisit { visit, held },
    };
    let Handler::Recent(handler) = gate.row.handler else { return Err(Problem::Fault) };
    if merchant.held.session.confidence == Confidence::Recent {
        return handler(merchant).await;
    }
    if merchant.form.text(login::PASSWORD_AGAIN).is_empty() {
        return login::ask_again(&merchant, None);
    }
    gate.password_again.count_client(request).await?;
    let merchant = match login::log_in_again(merchant).await? {
        Ok(merchant) => merchant,
        Err(refused) => return Ok(refused),
    };
    let (jar, token, frame) = (merchant.jar.clone(), merchant.held.token.clone(), merchant.frame.clone());
    // Whatever comes of it, the session before has ended.
    let mut response = handler(merchant).await.unwrap_or_else(|problem| problem.answer(&frame));
    jar.keep_session(&mut response, &token);
    Ok(response)
}

async fn find_session(site: &Site, jar: &Jar) -> Result<Option<Held>, Problem> {
    let Some(token) = jar.session() else { return Ok(None) };
    match site.auth.browser_session(token.expose()).await {
        Ok(session) => Ok(Some(Held { session, token })),
        Err(Failure::Rejected(_)) => Ok(None),
        Err(Failure::Unavailable { retry_after }) => Err(Problem::Unavailable { retry_after }),
        Err(Failure::Fault) => Err(Problem::Fault),
    }
}

async fn read_form(request: &mut ServiceRequest) -> Result<Form, Problem> {
    let body = mount::read_body(request).await.map_err(|refusal| match refusal {
        BodyRefusal::TooLarge => Problem::TooLarge,
        BodyRefusal::BrokenOff => Problem::BadRequest,
    })?;
    if !body.is_empty() && request.content_type() != "application/x-www-form-urlencoded" {
        return Err(Problem::NotAForm);
    }
    Ok(Form::parse(&body))
}

impl From<RateLimited> for Problem {
    fn from(limited: RateLimited) -> Self {
        Self::RateLimited { retry_after: limited.retry_after }
    }
}

impl Frame {
    /// Somebody is logged in.
    fn enter(&mut self, held: &Held) {
        let BrowserSession { principal, .. } = &held.session;
        self.merchant = Some(principal.username.clone());
    }
}
