//! What all pages share.

use std::rc::Rc;

use actix_web::http::header::{self, HeaderMap};
use cryptopay_auth::Auth;
use cryptopay_domain::{Environment, Timestamp};
use cryptopay_http::mount::Mount;
use cryptopay_payments::Payments;

use crate::cookies::is_this_machine;
use crate::routes;

/// How browsers reach the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over HTTPS, ended here or by a proxy in front.
    Https,
    /// In plain. A login is then kept only by a browser on the same machine, and only in the sandbox.
    Plain,
}

/// The dashboard over its cores. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    pub(crate) auth: Auth,
    pub(crate) payments: Payments,
    pub(crate) transport: Transport,
}

/// The same, as the pages of one worker thread share it.
pub(crate) type Site = Rc<Dashboard>;

impl Dashboard {
    /// Over these cores, reached so.
    #[must_use]
    pub const fn new(auth: Auth, payments: Payments, transport: Transport) -> Self {
        Self { auth, payments, transport }
    }

    /// What the server has to be given to serve it beside the API.
    #[must_use]
    pub fn mount(self) -> Mount {
        Mount::new(move |service, counter| routes::register(&Rc::new(self.clone()), counter, service))
    }

    pub(crate) fn is_sandbox(&self) -> bool {
        self.auth.environment() == Environment::Sandbox
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.auth.clock().now()
    }

    /// Where programs reach the API, to be pasted into them: the public address; on this machine, in the sandbox, the
    /// host that the browser asked.
    pub(crate) fn base(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match host {
            Some(host)
                if self.is_sandbox() && self.transport == Transport::Plain && is_this_machine(host) =>
            {
                format!("http://{host}")
            }
            _ => self.public_url().to_owned(),
        }
    }

    /// The public address of the API, without a slash at its end.
    pub(crate) fn public_url(&self) -> &str {
        &self.auth.config().issuer
    }
}
