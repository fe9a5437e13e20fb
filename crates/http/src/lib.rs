//! The HTTP face of CryptoPay Auth: actix-web over the auth core and the payments core.
//!
//! | to read about | see |
//! |---|---|
//! | which routes there are and who may use them | `routes.rs` |
//! | how a request is let in, and in which order it is refused | `gate.rs` |
//! | how requests are counted and limited | `rate_limit.rs` |
//! | what every answer carries | `envelope.rs` |
//! | what is measured | `metrics.rs` |
//! | how errors look, and are met on purpose | `error.rs`, `sandbox_error.rs` |
//! | what is served beside the API | `mount.rs` |
//! | how bodies are read | `body.rs`, `fields.rs`, `json_object.rs` |
//!
//! Architecture invariant: there is no rule about accounts, credentials, keys, orders or webhooks here. A
//! handler reads its body, asks a core, and writes the answer; authority is settled before it runs.
//!
//! ```no_run
//! # use cryptopay_auth::Auth;
//! # use cryptopay_payments::Payments;
//! use std::net::TcpListener;
//!
//! use cryptopay_http::{HttpConfig, ServerConfig, serve};
//!
//! # async fn listen(auth: Auth, payments: Payments) -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:8080")?;
//! serve(listener, auth, payments, HttpConfig::new(0x5eed), ServerConfig::default())?.await
//! # }
//! ```

mod access_log;
mod api_key;
mod api_key_usage;
mod authority;
mod body;
mod client_address;
mod config;
mod connection_limit;
mod cors;
mod cursor;
mod deadline_stream;
mod delivery;
mod docs;
mod envelope;
mod error;
mod error_code;
mod error_example;
mod event;
mod extract;
mod fields;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod health;
mod idempotency;
mod json_log;
mod json_object;
mod login;
mod metrics;
pub mod mount;
mod openapi;
mod operation_document;
mod paseto_keys;
mod password;
mod payment_order;
mod profile;
mod query;
mod rate_limit;
mod refusal_stream;
mod register;
mod request_facts;
mod request_id;
mod route;
mod routes;
mod sandbox_error;
mod server;
mod session;
mod tls;
mod token;
mod unread_body;
mod user;
mod verify;
mod webhook_document;
mod webhook_endpoint;

use std::rc::Rc;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error};
use cryptopay_auth::Auth;
use cryptopay_payments::Payments;

use crate::mount::Counter;

pub use access_log::ACCESS_LOG_TARGET;
pub use body::MAX_BODY;
pub use config::HttpConfig;
pub use error::{ApiError, Challenge};
pub use fields::FieldProblems;
pub use json_log::JsonLines;
pub use metrics::{METRICS_PATH, Metrics, serve_metrics};
pub use openapi::openapi_document;
pub use rate_limit::{
    RateLimit, RateLimitError, RateLimiter, RateLimits, RedisAway, RedisServer, RedisUrlError,
};
pub use request_id::{RequestIds, X_REQUEST_ID};
pub use server::{ServerConfig, serve};
pub use tls::{Reload, Tls, TlsError};

/// The whole application, for `HttpServer::new` and for `actix_web::test::init_service` alike.
pub fn app(
    auth: Auth,
    payments: Payments,
    config: HttpConfig,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>,
> {
    App::new().wrap(envelope::Envelope::new(&config)).configure(configure(auth, payments, config))
}

/// The routes alone. [`app`] puts around them what every answer carries.
fn configure(auth: Auth, payments: Payments, config: HttpConfig) -> impl FnOnce(&mut ServiceConfig) {
    move |service| {
        let limiter = config.rate_limiter.as_ref();
        let limiter = limiter.map(|limiter| Rc::new(limiter.for_worker(auth.environment())));
        routes::register(&auth, limiter.as_ref(), service);
        docs::register(service);
        if let Some(beside) = &config.beside {
            beside.register(service, &Counter::new(limiter));
        }
        service
            .app_data(Data::new(auth))
            .app_data(Data::new(payments))
            .app_data(Data::new(config))
            .default_service(routes::route_not_found());
    }
}
