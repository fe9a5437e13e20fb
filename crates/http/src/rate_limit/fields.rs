//! The `RateLimit` and `RateLimit-Policy` header fields (draft-ietf-httpapi-ratelimit-headers-11), which are lists of
//! structured fields (RFC 9651).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;

use super::few::Few;
use super::limit::RateLimits;
use super::policy::Policy;
use super::standing::Standing;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What an answer tells of the limits that its request was counted against.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitFields {
    /// The policies of the route, in their written form.
    pub(crate) policies: HeaderValue,
    /// The buckets that were looked at.
    pub(crate) standings: Few<Standing>,
}

impl RateLimitFields {
    /// Writes them into an answer.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT, standings(&self.standings));
        headers.insert(RATE_LIMIT_POLICY, self.policies);
    }
}

/// `"address";q=3000;w=60, "login";q=20;w=60`: the quota, and the seconds of its window.
pub(crate) fn policies<'a>(policies: impl Iterator<Item = &'a Policy>, limits: &RateLimits) -> HeaderValue {
    let items = policies.map(|policy| {
        let limit = limits.of(*policy);
        format!("\"{}\";q={};w={}", policy.name(), limit.requests(), limit.seconds())
    });
    value(items.collect::<Vec<_>>().join(", ").into_bytes())
}

/// `"address";r=2999;t=1, "login";r=19;t=3`: what is left, and the seconds until one more is.
fn standings(standings: &Few<Standing>) -> HeaderValue {
    let mut text = Vec::with_capacity(96);
    for standing in standings.iter() {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.push(b'"');
        text.extend_from_slice(standing.policy.name().as_bytes());
        text.extend_from_slice(b"\";r=");
        push_number(&mut text, u64::from(standing.remaining));
        text.extend_from_slice(b";t=");
        push_number(&mut text, standing.reset);
    }
    value(text)
}

/// Every request comes by here: this takes a third of the time of `write!`.
fn push_number(text: &mut Vec<u8>, mut number: u64) {
    let start = text.len();
    loop {
        // A digit is below 10.
        text.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text[start..].reverse();
}

/// Names, digits and punctuation alone: always a header value.
fn value(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn several_policies_are_one_list() {
        let limits = RateLimits::default();
        let written = policies([Policy::Address, Policy::Login].iter(), &limits);
        assert_eq!(written, "\"address\";q=3000;w=60, \"login\";q=20;w=60");

        let mut both = Few::new();
        both.push(Standing { policy: Policy::Address, remaining: 299, reset: 1 });
        assert_eq!(standings(&both), "\"address\";r=299;t=1");
        both.push(Standing::exhausted(Policy::Login, Duration::from_millis(2500)));
        assert_eq!(standings(&both), "\"address\";r=299;t=1, \"login\";r=0;t=3");
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 909, 86_400, u64::MAX] {
            let mut text = b"x".to_vec();
            push_number(&mut text, number);
            assert_eq!(text, format!("x{number}").into_bytes());
        }
    }
}
