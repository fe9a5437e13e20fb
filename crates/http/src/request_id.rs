//! Two identifiers for each request: the caller's own, which the answer repeats, and one that no caller can
//! choose.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header of a caller's own identifier, and of the answer's.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest identifier of a caller's that is kept.
const LONGEST: usize = 128;

/// Makes identifiers: unique within a process by counting, across processes by the number it begins with.
#[derive(Clone, Debug)]
pub struct RequestIds {
    instance: u64,
    next: Arc<AtomicU64>,
}

/// The identifiers of one request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId {
    /// What `X-Request-Id` of the answer says.
    pub(crate) shown: HeaderValue,
    /// The server's own. It is shown unless the caller sent one.
    pub(crate) own: OwnId,
    is_callers: bool,
}

/// 32 hex digits, made by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnId(u64, u64);

impl RequestIds {
    /// Identifiers that begin with `instance`, a random number that is another one in each process.
    #[must_use]
    pub fn new(instance: u64) -> Self {
        Self { instance, next: Arc::new(AtomicU64::new(0)) }
    }

    /// An identifier of the server's own.
    pub(crate) fn make(&self) -> OwnId {
        OwnId(self.instance, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The identifiers of a request with these headers.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> RequestId {
        let own = self.make();
        let mut given = headers.get_all(X_REQUEST_ID);
        match (given.next(), given.next()) {
            (Some(only), None) if is_acceptable(only.as_bytes()) => {
                RequestId { shown: only.clone(), own, is_callers: true }
            }
            _ => RequestId { shown: own.to_header(), own, is_callers: false },
        }
    }
}

impl RequestId {
    /// What `X-Request-Id` of the answer says.
    pub(crate) fn shown(&self) -> &str {
        self.shown.to_str().unwrap_or_default()
    }

    /// The caller's own identifier, if it sent an acceptable one.
    pub(crate) fn callers(&self) -> Option<&str> {
        self.is_callers.then(|| self.shown())
    }
}

impl OwnId {
    fn to_header(self) -> HeaderValue {
        // Hex digits are always a valid header; the fallback is never met.
        HeaderValue::from_bytes(&self.digits()).unwrap_or(HeaderValue::from_static("-"))
    }

    fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let value = (u128::from(self.0) << 64) | u128::from(self.1);
        let mut digits = [0; 32];
        for (place, byte) in value.to_be_bytes().into_iter().enumerate() {
            digits[2 * place] = DIGITS[usize::from(byte >> 4)];
            digits[2 * place + 1] = DIGITS[usize::from(byte & 0xf)];
        }
        digits
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// `[A-Za-z0-9._-]{1,128}`: nothing that could break a log line or a header.
fn is_acceptable(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &[&'static [u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(X_REQUEST_ID, HeaderValue::from_static_bytes(value));
        }
        RequestIds::new(0xabc).identify(&headers).shown().to_owned()
    }

    trait FromStaticBytes {
        fn from_static_bytes(bytes: &'static [u8]) -> HeaderValue;
    }

    impl FromStaticBytes for HeaderValue {
        fn from_static_bytes(bytes: &'static [u8]) -> HeaderValue {
            HeaderValue::from_bytes(bytes).unwrap()
        }
    }

    const OWN: &str = "0000000000000abc0000000000000000";

    #[test]
    fn an_acceptable_identifier_is_kept() {
        static LONG: [u8; 128] = [b'x'; 128];
        for good in [&b"a"[..], b"AZaz09._-", &LONG] {
            assert_eq!(shown(&[good]).as_bytes(), good);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        static TOO_LONG: [u8; 129] = [b'x'; 129];
        for bad in [&b""[..], b"a b", b"a/b", b"\xc3\xa4", b"a\tb", b"a,b", &TOO_LONG] {
            assert_eq!(shown(&[bad]), OWN, "{bad:?}");
        }
        assert_eq!(shown(&[]), OWN);
        assert_eq!(shown(&[b"a", b"b"]), OWN);
    }

    #[test]
    fn the_servers_own_identifiers_never_repeat() {
        let ids = RequestIds::new(u64::MAX);
        let own = |ids: &RequestIds| ids.identify(&HeaderMap::new()).own.to_string();
        assert_eq!(own(&ids), "ffffffffffffffff0000000000000000");
        assert_eq!(own(&ids.clone()), "ffffffffffffffff0000000000000001");
        assert_eq!(own(&ids), "ffffffffffffffff0000000000000002");
    }
}
