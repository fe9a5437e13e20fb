//! What can go wrong on the way to a page, and how it is told.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use askama::Template;
use cryptopay_auth::Failure;

use crate::frame::Frame;
use crate::next::Next;
use crate::page;

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No such page, or no such object of this merchant.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed(Vec<Method>),
    /// Too many requests.
    RateLimited { retry_after: Duration },
    /// The form is too long.
    TooLarge,
    /// What was sent is no form.
    NotAForm,
    /// The form broke off.
    BadRequest,
    /// The form was sent by a page of somebody else's.
    OtherOrigin,
    /// The form was not made for this login: it is old, or somebody else's.
    StaleForm(Next),
    /// It changed meanwhile, so that what was asked for cannot be done.
    Conflict(&'static str),
    /// The service cannot answer now.
    Unavailable { retry_after: Duration },
    /// Something is broken, and was logged.
    Fault,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: &'a Frame,
    title: &'static str,
    text: String,
    back: &'a str,
}

impl Problem {
    /// The page that tells it.
    pub(crate) fn answer(&self, frame: &Frame) -> HttpResponse {
        let (status, title, text) = self.words();
        let back = if let Self::StaleForm(page) = self { page.as_str() } else { crate::HOME };
        let frame = &Frame { notice: None, ..frame.clone() };
        let page = page::page_with(status, &ProblemPage { frame, title, text, back });
        let mut response = page.unwrap_or_else(|_| HttpResponse::InternalServerError().finish());
        let headers = response.headers_mut();
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after } => {
                headers.insert(header::RETRY_AFTER, seconds(*retry_after).into());
            }
            Self::MethodNotAllowed(methods) => {
                let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
                if let Ok(allow) = methods.join(", ").parse() {
                    headers.insert(header::ALLOW, allow);
                }
            }
            _ => {}
        }
        response
    }

    fn words(&self) -> (StatusCode, &'static str, String) {
        let (status, title, text) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is no such page, or what it showed is no longer there.",
            ),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Not here",
                "This page cannot be used like that. Open it again, and use the buttons on it.",
            ),
            Self::RateLimited { retry_after } => {
                let wait = seconds(*retry_after);
                let text = format!("That was too often in a short time. Try again in {wait} s.");
                return (StatusCode::TOO_MANY_REQUESTS, "Too many requests", text);
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "Too long", "What was sent is longer than any form here.")
            }
            Self::NotAForm | Self::BadRequest => {
                let status = if *self == Self::NotAForm {
                    StatusCode::UNSUPPORTED_MEDIA_TYPE
                } else {
                    StatusCode::BAD_REQUEST
                };
                (status, "Not understood", "What arrived is no form of this page. Open it again.")
            }
            Self::OtherOrigin => (
                StatusCode::FORBIDDEN,
                "Not from this page",
                "This form did not come from this dashboard, so nothing was done. If you sent it from here, open \
                 the dashboard by the address that its operator calls public (CRYPTOPAY_PUBLIC_URL), and try again.",
            ),
            Self::StaleForm(_) => (
                StatusCode::FORBIDDEN,
                "The page was out of date",
                "It was shown before you logged in, or under another login, so nothing was done. Open it again. If \
                 that does not help, let your browser keep cookies of this site.",
            ),
            Self::Conflict(text) => (StatusCode::CONFLICT, "Not any more", *text),
            Self::Unavailable { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Busy",
                "The service cannot answer at the moment. Nothing was changed. Try again in a moment.",
            ),
            Self::Fault => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something is broken",
                "It is not your fault, and it was written down. Try again later.",
            ),
        };
        (status, title, text.to_owned())
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

impl<R: Into<Self>> From<Failure<R>> for Problem {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Rejected(rejection) => rejection.into(),
            Failure::Unavailable { retry_after } => Self::Unavailable { retry_after },
            Failure::Fault => Self::Fault,
        }
    }
}

impl From<std::convert::Infallible> for Problem {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
