//! The URL of a webhook endpoint.

use cryptopay_webhook::{Addresses, Schemes, Target, TargetPolicy};
use url::{Host, Url};

use crate::Verdict;

/// Checks that a target is what it is taken for: https, without credentials and fragment, at a host that is not
/// private, and the same when it is read again.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let production = policy(Schemes::HttpsOnly, Addresses::PublicOnly);
    let parsed = Target::parse(&text, &production);
    let development = policy(Schemes::HttpAndHttps, Addresses::AnyAddress);
    let lenient = Target::parse(&text, &development);
    // The stricter policy lets in nothing more, and nothing else.
    assert!(parsed.is_err() || parsed == lenient);
    for (target, policy) in [(&parsed, &production), (&lenient, &development)] {
        if let Ok(target) = target {
            assert_eq!(Target::parse(target.as_str(), policy).as_ref(), Ok(target), "{text}");
        }
    }
    if let Ok(target) = &parsed {
        assert!(is_public(target.as_str(), &production), "{target:?}");
    }
    Verdict::of(&parsed)
}

fn is_public(target: &str, policy: &TargetPolicy) -> bool {
    let Ok(url) = Url::parse(target) else { return false };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_host_public = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !name.ends_with(".localhost") && !name.ends_with(".internal")
        }
        Some(Host::Ipv4(address)) => policy.admits(address.into()) && !address.is_private(),
        Some(Host::Ipv6(address)) => policy.admits(address.into()) && !address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" && is_bare && is_host_public
}

fn policy(schemes: Schemes, addresses: Addresses) -> TargetPolicy {
    TargetPolicy { schemes, addresses, own: Vec::new() }
}
