//! The cookies of the dashboard: the login, what ties forms to a browser without one, and a notice on its way.
//!
//! Over HTTPS their names begin with `__Host-` (RFC 6265bis §4.1.3.2): a browser takes such a cookie only from this
//! very host over HTTPS, so no neighbouring domain can plant one. The names tell the environments apart, since
//! cookies do not regard ports. In plain, on this machine, in the sandbox, the prefix cannot be used.

use std::fmt;
use std::net::IpAddr;

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};

use crate::problem::Problem;
use crate::site::{Dashboard, Transport};

/// What the cookie of a login holds.
#[derive(Clone)]
pub(crate) struct SessionToken(SecretString);

/// What the cookie of a browser without a login holds: 256 random bits.
#[derive(Clone)]
pub(crate) struct VisitorToken(SecretString);

/// A request's cookies, and the names and attributes of those that are set.
#[derive(Clone)]
pub(crate) struct Jar {
    names: &'static Names,
    session: Option<SessionToken>,
    visitor: Option<VisitorToken>,
    notice: Option<String>,
}

struct Names {
    session: &'static str,
    visitor: &'static str,
    notice: &'static str,
    secure: Secure,
}

/// Whether browsers send the cookie over HTTPS alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secure {
    Always,
    NotOnThisMachine,
}

static PRODUCTION: Names = Names {
    session: "__Host-cryptopay-session",
    visitor: "__Host-cryptopay-visitor",
    notice: "__Host-cryptopay-notice",
    secure: Secure::Always,
};
static SANDBOX: Names = Names {
    session: "__Host-cryptopay-sandbox-session",
    visitor: "__Host-cryptopay-sandbox-visitor",
    notice: "__Host-cryptopay-sandbox-notice",
    secure: Secure::Always,
};
static SANDBOX_IN_PLAIN: Names = Names {
    session: "cryptopay-sandbox-session",
    visitor: "cryptopay-sandbox-visitor",
    notice: "cryptopay-sandbox-notice",
    secure: Secure::NotOnThisMachine,
};

/// The longest visitor token: base64url of 32 bytes.
const VISITOR_CHARACTERS: usize = 43;

impl Jar {
    /// The cookies of a request.
    pub(crate) fn of(site: &Dashboard, request: &HttpRequest) -> Self {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let names = match (site.is_sandbox(), site.transport) {
            (false, _) => &PRODUCTION,
            (true, Transport::Plain) if host.is_some_and(is_this_machine) => &SANDBOX_IN_PLAIN,
            (true, _) => &SANDBOX,
        };
        let cookie = |name: &str| request.cookie(name).map(|cookie| cookie.value().to_owned());
        let is_visitor =
            |token: &String| token.len() == VISITOR_CHARACTERS && URL_SAFE_NO_PAD.decode(token).is_ok();
        Self {
            names,
            session: cookie(names.session).map(|token| SessionToken(token.into())),
            visitor: cookie(names.visitor).filter(is_visitor).map(|token| VisitorToken(token.into())),
            notice: cookie(names.notice),
        }
    }

    /// What the cookie of a login holds, good or not.
    pub(crate) fn session(&self) -> Option<SessionToken> {
        self.session.clone()
    }

    /// What ties forms to this browser, made now if it has none yet.
    pub(crate) fn visitor_or_new(&self) -> Result<VisitorToken, Problem> {
        if let Some(visitor) = &self.visitor {
            return Ok(visitor.clone());
        }
        let mut bits = [0; 32];
        SystemRandom::new().fill(&mut bits).map_err(|_| Problem::Fault)?;
        Ok(VisitorToken(URL_SAFE_NO_PAD.encode(bits).into()))
    }

    /// The notice that is on its way, good or not.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Begins to keep a login, instead of what the browser held without one.
    pub(crate) fn keep_session(&self, response: &mut HttpResponse, token: &SessionToken) {
        set(response, &self.cookie(self.names.session, token.expose()));
        if self.visitor.is_some() {
            set(response, &self.ended(self.names.visitor));
        }
    }

    /// Forgets the login.
    pub(crate) fn forget_session(&self, response: &mut HttpResponse) {
        set(response, &self.ended(self.names.session));
    }

    /// Keeps what ties forms to this browser.
    pub(crate) fn keep_visitor(&self, response: &mut HttpResponse, token: &VisitorToken) {
        if self.visitor.is_none() {
            set(response, &self.cookie(self.names.visitor, token.expose()));
        }
    }

    /// Sends a notice along to the next page, for a minute.
    pub(crate) fn send_notice(&self, response: &mut HttpResponse, notice: &str) {
        let mut cookie = self.cookie(self.names.notice, notice);
        cookie.set_max_age(Duration::seconds(60));
        set(response, &cookie);
    }

    /// Forgets a notice that was shown.
    pub(crate) fn forget_notice(&self, response: &mut HttpResponse) {
        set(response, &self.ended(self.names.notice));
    }

    /// Whether a browser would drop what this jar sets: cookies for HTTPS, on a page that came in plain.
    pub(crate) fn is_lost_in_plain(&self, site: &Dashboard) -> bool {
        site.transport == Transport::Plain && self.names.secure == Secure::Always
    }

    fn cookie<'a>(&self, name: &'static str, value: &'a str) -> Cookie<'a> {
        Cookie::build(name, value)
            .path("/")
            .http_only(true)
            .secure(self.names.secure == Secure::Always)
            .same_site(SameSite::Lax)
            .finish()
    }

    fn ended(&self, name: &'static str) -> Cookie<'static> {
        let mut cookie = self.cookie(name, "");
        cookie.set_max_age(Duration::ZERO);
        cookie
    }
}

fn set(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    // All names and values are of our own making, so the header is always valid.
    let _ = response.add_cookie(cookie);
}

impl SessionToken {
    pub(crate) fn new(token: &str) -> Self {
        Self(token.into())
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl VisitorToken {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken([REDACTED])")
    }
}

/// Whether a `Host` header names the machine that the browser runs on.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let (bare, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_ok());
    if !is_port || !port.is_empty() && !port.starts_with(':') {
        return false;
    }
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken_for_it() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.9:1", "[::1]:8080"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "192.0.2.1:80",
            "[fe80::1]",
            "0.0.0.0",
            "localhost:'x",
            "[::1]x",
            "localhost:80 ",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
