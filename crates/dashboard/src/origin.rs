//! Where a form was sent from, as the browser says: pages cannot forge these headers (Fetch, forbidden header names).

use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::site::Dashboard;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a form was sent by a page of ours. One of the two headers has to say so, and none may say otherwise:
/// browsers send at least `Origin` with every `POST`.
pub(crate) fn is_ours(site: &Dashboard, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (fetched, origin) = (text(SEC_FETCH_SITE), text(header::ORIGIN));
    let host = text(header::HOST).filter(|_| site.is_sandbox());
    let origin_is_ours = origin.map(|origin| is_own(origin, site.public_url(), host));
    match (fetched, origin_is_ours) {
        (None, None) => false,
        (fetched, origin) => fetched.is_none_or(|site| site == "same-origin") && origin.unwrap_or(true),
    }
}

/// Whether an origin is the one of the public URL, or, in the sandbox, of the host that the browser asked: nobody
/// but the browser says which that is.
fn is_own(origin: &str, public_url: &str, host: Option<&str>) -> bool {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    origin == origin_of(public_url) || authority.is_some_and(|authority| host == Some(authority))
}

/// Scheme and authority of a URL.
fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_origin_and_in_the_sandbox_the_host_are_ours() {
        const PUBLIC: &str = "https://pay.example.com/base";
        for (origin, host, expected) in [
            ("https://pay.example.com", None, true),
            ("http://pay.example.com", None, false),
            ("https://pay.example.com.evil.example", None, false),
            ("https://evil.example", None, false),
            ("null", None, false),
            ("", Some(""), false),
            ("http://localhost:8080", Some("localhost:8080"), true),
            ("http://localhost:9090", Some("localhost:8080"), false),
            ("http://localhost:8080", None, false),
            ("ftp://localhost:8080", Some("localhost:8080"), false),
        ] {
            assert_eq!(is_own(origin, PUBLIC, host), expected, "{origin} {host:?}");
        }
    }
}
