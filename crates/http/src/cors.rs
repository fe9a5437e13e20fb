//! Cross-origin access from browsers (Fetch standard §3.2), for the origins the operator lists and no other.
//!
//! Credentials travel in `Authorization`, never in a cookie: `Access-Control-Allow-Credentials` is absent.

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// Which origins may read answers.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// Lets in exactly `origins`, such as `https://shop.example.com`.
    pub(crate) fn new(origins: &[String]) -> Self {
        let canonical = |origin: &String| origin.trim().trim_end_matches('/').to_ascii_lowercase();
        Self { origins: origins.iter().map(canonical).collect() }
    }

    /// The answer to a preflight, which asks before any credential is sent; `None` when it is none.
    pub(crate) fn preflight(&self, request: &RequestHead) -> Option<HttpResponse> {
        let is_preflight = request.method == Method::OPTIONS
            && request.headers.contains_key(header::ORIGIN)
            && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = HttpResponse::Ok();
        if self.allowed(&request.headers).is_some() {
            response
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"))
                .insert_header((
                    header::ACCESS_CONTROL_ALLOW_HEADERS,
                    "Authorization, Content-Type, Idempotency-Key, X-Request-Id, X-Sandbox-Error",
                ))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
        }
        Some(response.finish())
    }

    /// The origin that may read the answer to a request with these headers.
    pub(crate) fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = request.get(header::ORIGIN)?;
        let listed = |allowed: &String| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes());
        self.origins.iter().any(listed).then(|| origin.clone())
    }

    /// Adds what lets `origin` read an answer.
    pub(crate) fn dress(&self, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        // Also on answers to other origins: a shared cache must not mix them up.
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("X-Request-Id, Retry-After, RateLimit, RateLimit-Policy"),
            );
        }
    }
}
