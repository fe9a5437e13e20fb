//! What every answer carries, and the one middleware around the whole application.
//!
//! One layer, not one for each concern: a layer costs every request an allocation and a poll.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage, HttpRequest};
use cryptopay_domain::ClientAddress;
use futures_util::future::LocalBoxFuture;
use ipnet::IpNet;

use crate::access_log;
use crate::client_address;
use crate::config::HttpConfig;
use crate::cors::Cors;
use crate::metrics::Metrics;
use crate::rate_limit::RateLimitFields;
use crate::request_facts::RequestFacts;
use crate::request_id::{RequestIds, X_REQUEST_ID};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Request ids, security headers, CORS, the access log and metrics.
#[derive(Clone)]
pub(crate) struct Envelope {
    shared: Rc<Shared>,
}

struct Shared {
    request_ids: RequestIds,
    cors: Cors,
    trusted_proxies: Vec<IpNet>,
    strict_transport_security: Option<HeaderValue>,
    metrics: Option<Metrics>,
}

/// [`Envelope`] around a service.
pub(crate) struct Enveloped<S> {
    service: S,
    shared: Rc<Shared>,
}

impl Envelope {
    /// The envelope that `config` asks for.
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            shared: Rc::new(Shared {
                request_ids: config.request_ids.clone(),
                cors: Cors::new(&config.cors_origins),
                trusted_proxies: config.trusted_proxies.clone(),
                strict_transport_security: config
                    .strict_transport_security
                    .and_then(|time| HeaderValue::from_str(&format!("max-age={}", time.as_secs())).ok()),
                metrics: config.metrics.clone(),
            }),
        }
    }
}

impl<S> Transform<S, ServiceRequest> for Envelope
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Enveloped<S>;
    type Future = Ready<Result<Enveloped<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Enveloped { service, shared: Rc::clone(&self.shared) }))
    }
}

impl<S> Service<ServiceRequest> for Enveloped<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let shared = Rc::clone(&self.shared);
        let id = shared.request_ids.identify(request.headers());
        let shown = id.shown.clone();
        let origin = shared.cors.allowed(request.headers());
        let client = client_address::resolve(request.peer_addr(), request.headers(), &shared.trusted_proxies);
        request.extensions_mut().insert(RequestFacts::new(id, client));

        let preflight = shared.cors.preflight(request.head());
        let answering = self.service.call(request);
        Box::pin(async move {
            let mut response = answering.await?;
            // Only where OPTIONS is no method of the route. Where it is, a proxy asks about somebody else's
            // request, and an answer to its preflight would be a way past the credential.
            if let Some(preflight) = preflight
                && response.status() == StatusCode::METHOD_NOT_ALLOWED
            {
                response = response.into_response(preflight);
            }
            shared.finish(&mut response, client, shown, origin, started);
            Ok(response)
        })
    }
}

impl Shared {
    fn finish(
        &self,
        response: &mut ServiceResponse,
        client: ClientAddress,
        request_id: HeaderValue,
        origin: Option<HeaderValue>,
        started: Instant,
    ) {
        let rate_limit = take_rate_limit(response.request());
        let headers = response.headers_mut();
        if let Some(fields) = rate_limit {
            fields.write(headers);
        }
        headers.insert(X_REQUEST_ID, request_id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(policy) = &self.strict_transport_security {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, policy.clone());
        }
        // A handler that knows better has said so.
        insert_default(headers, header::REFERRER_POLICY, NO_REFERRER);
        insert_default(headers, header::CACHE_CONTROL, NO_STORE);
        insert_default(headers, header::CONTENT_SECURITY_POLICY, NO_CONTENT);
        self.cors.dress(origin, headers);

        let (request, status) = (response.request(), response.status().as_u16());
        let latency = started.elapsed();
        access_log::record(request, client, status, latency);
        if let Some(metrics) = &self.metrics {
            metrics.answered(request.method(), route_of(request), status, latency);
        }
    }
}

fn take_rate_limit(request: &HttpRequest) -> Option<RateLimitFields> {
    request.extensions_mut().get_mut::<RequestFacts>()?.rate_limit.take()
}

/// The pattern of the route that a request met; empty while it met none.
fn route_of(request: &HttpRequest) -> &'static str {
    request.extensions().get::<RequestFacts>().map_or("", |facts| facts.route)
}

fn insert_default(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::body::BoxBody;
    use actix_web::http::Method;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    async fn answer(origins: &[&str], request: TestRequest) -> ServiceResponse<BoxBody> {
        let mut config = HttpConfig::new(1);
        config.cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let page = || async { HttpResponse::Ok().insert_header(("cache-control", "max-age=300")).finish() };
        let page = web::resource("/page").route(web::get().to(page));
        let app = App::new().wrap(Envelope::new(&config)).service(page);
        call_service(&init_service(app).await, request.to_request()).await
    }

    fn header(response: &ServiceResponse<BoxBody>, name: &str) -> Option<String> {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[actix_web::test]
    async fn every_answer_carries_its_id_and_the_security_headers() {
        for (path, cache_control) in [("/page", "max-age=300"), ("/nothing", "no-store")] {
            let response = answer(&[], TestRequest::get().uri(path)).await;
            for (name, expected) in [
                ("x-request-id", "00000000000000010000000000000000"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("cache-control", cache_control),
            ] {
                assert_eq!(header(&response, name).as_deref(), Some(expected), "{path} {name}");
            }
        }
    }

    #[actix_web::test]
    async fn browsers_are_told_to_insist_on_https_only_where_that_is_configured() {
        for (time, expected) in [(None, None), (Some(Duration::from_secs(60)), Some("max-age=60"))] {
            let config = HttpConfig { strict_transport_security: time, ..HttpConfig::new(1) };
            let app = init_service(App::new().wrap(Envelope::new(&config))).await;
            let response = call_service(&app, TestRequest::get().to_request()).await;
            let response = response.map_into_boxed_body();
            assert_eq!(header(&response, "strict-transport-security").as_deref(), expected);
        }
    }

    #[actix_web::test]
    async fn a_callers_id_comes_back() {
        let request = TestRequest::get().uri("/page").insert_header(("x-request-id", "mine.1"));
        assert_eq!(header(&answer(&[], request).await, "x-request-id").as_deref(), Some("mine.1"));
    }

    const SHOP: &str = "https://shop.example.com";

    fn preflight(origin: &str) -> TestRequest {
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/page")
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "PATCH"))
    }

    #[actix_web::test]
    async fn a_listed_origin_may_call_and_read() {
        let response = answer(&[SHOP], preflight(SHOP)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "access-control-allow-origin").as_deref(), Some(SHOP));
        assert!(header(&response, "access-control-allow-methods").unwrap().contains("PATCH"));
        assert!(header(&response, "access-control-allow-headers").unwrap().contains("Authorization"));

        let request = TestRequest::get().uri("/nothing").insert_header(("origin", SHOP));
        let response = answer(&[SHOP], request).await;
        assert_eq!(header(&response, "access-control-allow-origin").as_deref(), Some(SHOP));
        assert!(header(&response, "access-control-expose-headers").unwrap().contains("X-Request-Id"));
        assert_eq!(header(&response, "vary").as_deref(), Some("Origin"));
        assert_eq!(header(&response, "access-control-allow-credentials"), None);
    }

    #[actix_web::test]
    async fn no_other_origin_is_let_in() {
        for (origins, origin) in [
            (&[][..], SHOP),
            (&[SHOP], "https://evil.example.com"),
            (&[SHOP], "http://shop.example.com"),
            (&[SHOP], "https://shop.example.com.evil.example"),
            (&[SHOP], "null"),
        ] {
            let get = TestRequest::get().uri("/page").insert_header(("origin", origin));
            for request in [preflight(origin), get] {
                let response = answer(origins, request).await;
                let cors = response.headers().keys().any(|name| name.as_str().starts_with("access-control"));
                assert!(!cors, "{origin}");
                let vary = header(&response, "vary").is_some();
                assert_eq!(vary, !origins.is_empty(), "{origin}");
            }
        }
    }
}
