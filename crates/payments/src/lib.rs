//! Payment orders and webhook endpoints: the first service on top of the auth core.
//!
//! Use cases over the rules of `cryptopay-domain`, the bytes and the transport of `cryptopay-webhook` and the
//! rows of `cryptopay-store`. An event is written in the transaction of its cause; workers, which any replica
//! may run, deliver what is due. There is no HTTP server here, no SQL and no status code that we answer with.

mod audit;
pub mod config;
pub mod core;
pub mod delivery;
pub mod endpoint;
mod event;
pub mod order;
pub mod order_data;
pub mod reseal;
mod sealed;
mod worker;

pub use self::core::Payments;
pub use config::PaymentsConfig;
pub use cryptopay_auth::{Failure, Outcome, Principal, RequestContext};
pub use cryptopay_webhook::{
    CanonicalValue, Diagnosis, RetryPlan, TargetError, TargetPolicy, Transport, WebhookSecret,
};
pub use delivery::{DiagnoseRejection, PostedDelivery, SendRejection};
pub use endpoint::{
    ChangeEndpointRejection, CreateEndpointRejection, EndpointChange, NewEndpoint, NewWebhookEndpoint,
    NotFound, RequestedStatus,
};
pub use order::{CreateOrderRejection, Idempotency, NewOrder, SimulateRejection};
pub use order_data::order_data;
pub use reseal::Resealed;
pub use worker::{Attempts, DeliveryWorkers, raise_open_file_limit};
