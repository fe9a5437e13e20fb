//! Answers: a rendered page, or the way to another one.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, HttpResponse};
use askama::Template;
use futures_util::future::LocalBoxFuture;

use crate::problem::Problem;
use crate::routes::HOME;

/// What a handler comes to.
pub(crate) type Answer = Result<HttpResponse, Problem>;
/// A handler at work.
pub(crate) type Answering = LocalBoxFuture<'static, Answer>;

/// What a page may load and do: its own files, itself anew, and sending forms here. No other page may show it in a frame.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// Forms have to say where they come from, and nobody else needs to know.
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A page.
pub(crate) fn page(template: &impl Template) -> Answer {
    page_with(StatusCode::OK, template)
}

/// A page with what is wrong on it: the form again (RFC 9110 §15.5.21).
pub(crate) fn page_again(template: &impl Template) -> Answer {
    page_with(StatusCode::UNPROCESSABLE_ENTITY, template)
}

/// A page with a status of its own. Nothing of it is stored anywhere, so that nothing shows after the log-out.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Problem::Fault
    })?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, SAME_ORIGIN))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((OPENER_POLICY, SAME_ORIGIN))
        .insert_header((RESOURCE_POLICY, SAME_ORIGIN))
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// The way to another page, to be seen and not done again (303).
pub(crate) fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// The way from `/` to the first page.
pub(crate) async fn lead_home(request: ServiceRequest) -> Result<ServiceResponse, Error> {
    Ok(cryptopay_http::mount::respond(request, see(HOME)).await)
}

/// The identifiers in a request's path.
pub(crate) fn parameters(request: &ServiceRequest) -> Vec<(String, String)> {
    request.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
