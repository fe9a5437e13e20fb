//! Why there was no answer, in words for the merchant: short, stable, and nothing of the inside.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustls::CertificateError;

use crate::resolver::ResolveError;
use crate::transport::Timeouts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the address {0} is not public")]
    NotPublic(IpAddr),
    #[error("the name has an address that is not public")]
    NameNotPublic,
    #[error("the name does not resolve")]
    NoAddress,
    #[error("connection refused")]
    Refused,
    #[error("the host is unreachable")]
    Unreachable,
    #[error("could not connect")]
    NotConnected,
    #[error("could not connect within {}", Seconds(*.0))]
    ConnectTimedOut(Duration),
    #[error("timed out after {}", Seconds(*.0))]
    TimedOut(Duration),
    #[error("the connection was closed before an answer")]
    Closed,
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("TLS: certificate expired")]
    CertificateExpired,
    #[error("TLS: certificate is for another name")]
    CertificateForAnotherName,
    #[error("TLS: certificate not trusted")]
    CertificateNotTrusted,
    #[error("TLS: no agreement with the server")]
    Tls,
    #[error("the request could not be sent")]
    Unsendable,
}

struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(formatter, "{} s", self.0.as_secs())
        } else {
            write!(formatter, "{} ms", self.0.as_millis())
        }
    }
}

impl Failure {
    /// What the client's error comes down to. The error itself goes to the log, without the URL: a merchant
    /// may have put a secret there.
    pub(super) fn of(error: &reqwest::Error, timeouts: Timeouts) -> Self {
        let failure = causes(error).find_map(Self::of_cause).unwrap_or(if error.is_connect() {
            Self::NotConnected
        } else {
            Self::Unsendable
        });
        let failure = match failure {
            _ if error.is_connect() && error.is_timeout() => Self::ConnectTimedOut(timeouts.connect),
            known => known,
        };
        let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
        tracing::debug!(%failure, ?causes, "a webhook was not answered");
        failure
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(error) = cause.downcast_ref::<ResolveError>() {
            return Some(match error {
                ResolveError::NoAddress => Self::NoAddress,
                ResolveError::NotPublic => Self::NameNotPublic,
            });
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(Self::of_tls(error));
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return Self::of_http(error);
        }
        cause.downcast_ref::<io::Error>().and_then(|error| Self::of_io(error.kind()))
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(error) = error else { return Self::Tls };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateForAnotherName
            }
            _ => Self::CertificateNotTrusted,
        }
    }

    fn of_http(error: &hyper::Error) -> Option<Self> {
        if error.is_parse() {
            Some(Self::NotHttp)
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Some(Self::Closed)
        } else {
            None
        }
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        use io::ErrorKind as Kind;
        match kind {
            Kind::ConnectionRefused => Some(Self::Refused),
            Kind::HostUnreachable | Kind::NetworkUnreachable => Some(Self::Unreachable),
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
                Some(Self::Closed)
            }
            _ => None,
        }
    }
}

/// The causes below the client's own error, whose text holds the URL; what an I/O error wraps is among them.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| below(*cause))
}

fn below<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_write_them() {
        let told = |millis| Failure::TimedOut(Duration::from_millis(millis)).to_string();
        assert_eq!(told(10_000), "timed out after 10 s");
        assert_eq!(told(250), "timed out after 250 ms");
    }
}
