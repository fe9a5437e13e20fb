//! The payments core of the server: where its webhooks may go, and what takes them there.

use std::sync::Arc;

use anyhow::Context as _;
use cryptopay_auth::Auth;
use cryptopay_domain::Environment;
use cryptopay_payments::{Payments, PaymentsConfig};
use cryptopay_webhook::address::own_addresses;
use cryptopay_webhook::{Addresses, Resolver, Schemes, TargetPolicy, Timeouts, Transport};
use ring::rand::SystemRandom;

use crate::options::Options;

/// The payments core over `auth`. It delivers nothing before somebody runs its workers.
pub(crate) fn payments(options: &Options, auth: &Auth) -> anyhow::Result<Payments> {
    let targets = targets(options)?;
    if targets.addresses == Addresses::AnyAddress {
        tracing::warn!("webhooks may go to private addresses: merchants can reach what this machine can");
    }
    let resolver = Resolver::system(targets)
        .context("the name servers of this machine (/etc/resolv.conf) cannot be used")?;
    let transport = Transport::new(resolver, Timeouts::default())?;
    Ok(Payments::new(auth.clone(), PaymentsConfig::default(), transport, Arc::new(SystemRandom::new())))
}

/// Production goes to `https` alone, and nothing but development to what is not public.
fn targets(options: &Options) -> anyhow::Result<TargetPolicy> {
    Ok(TargetPolicy {
        schemes: match options.environment {
            Environment::Production => Schemes::HttpsOnly,
            Environment::Sandbox => Schemes::HttpAndHttps,
        },
        addresses: if options.webhook_allow_private { Addresses::AnyAddress } else { Addresses::PublicOnly },
        own: own_addresses().context("the addresses of this machine cannot be listed")?,
    })
}
