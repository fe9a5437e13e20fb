//! The merchant's dashboard: pages rendered on the server, over the same use cases as the API.
//!
//! | to read about | see |
//! |---|---|
//! | which pages there are and who may see them | `routes.rs` |
//! | how a request is let in, and in which order it is refused | `gate.rs` |
//! | what a handler is given, and what it answers | `visit.rs`, `page.rs`, `problem.rs` |
//! | cookies, and proofs that a form is ours | `cookies.rs`, `csrf.rs`, `origin.rs` |
//! | forms and their problems | `form.rs` |
//! | what every page looks like | `frame.rs`, `templates/layout.html`, `assets/` |
//!
//! Architecture invariant: there is no rule about accounts, keys, orders or webhooks here, and no SQL. A page asks a
//! core and shows the answer. Nothing is built before it is served, nothing is loaded from another host, and every
//! page works without JavaScript.
//!
//! ```no_run
//! # use cryptopay_auth::Auth;
//! # use cryptopay_payments::Payments;
//! use cryptopay_dashboard::{Dashboard, Transport};
//! use cryptopay_http::HttpConfig;
//!
//! # fn mount(auth: Auth, payments: Payments) {
//! let dashboard = Dashboard::new(auth, payments, Transport::Https);
//! let config = HttpConfig { beside: Some(dashboard.mount()), ..HttpConfig::new(0x5eed) };
//! # }
//! ```

mod api_key;
mod assets;
mod cookies;
mod csrf;
mod delivery;
mod event;
mod form;
mod frame;
mod gate;
mod login;
mod moment;
mod next;
mod notice;
mod origin;
mod overview;
mod page;
mod paging;
mod payment_order;
mod problem;
mod register;
mod routes;
mod security;
mod site;
mod usage_chart;
mod visit;
mod webhook_endpoint;

pub use routes::HOME;
pub use site::{Dashboard, Transport};
