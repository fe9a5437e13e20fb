//! The payments core over a test's auth core. Names resolve as the test says, and nothing goes out until the
//! test runs the deliveries.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use cryptopay_auth::Auth;
use cryptopay_payments::{Payments, PaymentsConfig};
use cryptopay_webhook::{
    Addresses, Looking, Lookup, Resolver, Schemes, TargetPolicy, Timeouts, Transport, WebhookSecret,
};
use ring::rand::SystemRandom;

/// Names that a test gave addresses to. All clones are one; no other name resolves.
#[derive(Clone, Debug, Default)]
pub struct TestNames(Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>);

impl TestNames {
    /// Gives a name its addresses, from now on.
    pub fn point(&self, name: &str, addresses: &[IpAddr]) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned(), addresses.to_vec());
    }
}

impl Lookup for TestNames {
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = names.get(name).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        Box::pin(std::future::ready(found))
    }
}

/// Where webhooks may go in production: `https` to public addresses.
#[must_use]
pub const fn guarded_targets() -> TargetPolicy {
    TargetPolicy { schemes: Schemes::HttpsOnly, addresses: Addresses::PublicOnly, own: Vec::new() }
}

/// Where they may go in local development: anywhere, such as to a receiver of the test's own.
#[must_use]
pub const fn open_targets() -> TargetPolicy {
    TargetPolicy { schemes: Schemes::HttpAndHttps, addresses: Addresses::AnyAddress, own: Vec::new() }
}

/// The payments core over `auth`, for webhooks that go where `targets` says.
#[must_use]
pub fn payments_over(auth: &Auth, targets: TargetPolicy, names: &TestNames) -> Payments {
    payments_with(auth, PaymentsConfig::default(), targets, names, Timeouts::default())
}

/// The same with settings and timeouts of the test's choice.
#[must_use]
pub fn payments_with(
    auth: &Auth,
    config: PaymentsConfig,
    targets: TargetPolicy,
    names: &TestNames,
    timeouts: Timeouts,
) -> Payments {
    let resolver = Resolver::new(targets, Arc::new(names.clone()));
    let transport = Transport::new(resolver, timeouts).expect("a transport");
    Payments::new(auth.clone(), config, transport, Arc::new(SystemRandom::new()))
}

/// What `X-Webhook-Signature` is to be for a body.
#[must_use]
pub fn page_signature(secret: &str, body: &[u8]) -> String {
    let secret = WebhookSecret::parse(secret).expect("a secret as it was shown");
    cryptopay_webhook::page_signature(&secret, body)
}
