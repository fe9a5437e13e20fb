//! Where a merchant's webhooks are sent: a URL that was judged.

use std::net::IpAddr;
use std::time::Duration;

use hyper::http::Uri;
use url::{Host, Url};

use crate::policy::{Addresses, Schemes, TargetPolicy};
use crate::resolver::{ResolveError, Resolver};

/// As many characters as a URL may have.
pub const MAX_LENGTH: usize = 2048;

/// As long as saving a target waits for its name.
pub const RESOLUTION_PATIENCE: Duration = Duration::from_secs(2);

/// Top-level domains, and one below, whose names never belong to the internet at large: RFC 6761
/// (`localhost`), RFC 6762 (`local`), RFC 8375 (`home.arpa`), ICANN's reservation of `internal`, and
/// `localdomain`, which common systems give their loopback address.
const PRIVATE_DOMAINS: &[&str] = &["home.arpa", "internal", "local", "localdomain", "localhost"];

/// A URL that webhooks may be sent to, as far as can be told without asking for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// Why a URL is no target. The sentence follows the name of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More than [`MAX_LENGTH`] characters, as it was given or in its normal form.
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// Characters that programs read in different ways, which is how guards are passed.
    #[error("must not hold blanks, control characters or backslashes: write them percent-encoded")]
    AmbiguousCharacter,
    /// Neither scheme.
    #[error("must begin with https:// or http://")]
    NotHttp,
    /// Not the one scheme.
    #[error("must begin with https://")]
    NotHttps,
    /// A username or a password, be it an empty one.
    #[error("must not hold a username or a password: the signature tells who sends")]
    Credentials,
    /// A fragment, be it an empty one: it would never be sent.
    #[error("must not hold a fragment (#)")]
    Fragment,
    /// No URL, or no host in it.
    #[error("must be a URL with a valid host, such as https://shop.example/webhooks")]
    Invalid,
    /// A name that is internationalised, spelt out or in punycode (RFC 3492): it can look like another one, and
    /// hardly any server that takes webhooks has one.
    #[error(
        "must name its host in plain ASCII letters: an internationalised name (xn--…) can pass for another"
    )]
    Internationalised,
    /// A literal address that may not be dialled.
    #[error("must lead to a public address: {0} is not public")]
    NotPublic(IpAddr),
    /// A name that is never public.
    #[error("must lead to a public host: {0} is a name for private networks")]
    PrivateName(String),
    /// A name with an address that may not be dialled. Which, would tell of networks that are not the
    /// merchant's.
    #[error("must lead to a public address: {0} has one that is not")]
    ResolvesToPrivate(String),
}

impl Target {
    /// Judges a URL: its form, its scheme, and its host as far as that is literal.
    ///
    /// Hosts are read as the WHATWG URL Standard has it and browsers do, which is also how they are dialled:
    /// `2130706433`, `0x7f.1`, `0177.0.0.1`, `127.0.0.1.` and full-width digits are all 127.0.0.1. A port is
    /// the merchant's choice.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn parse(text: &str, policy: &TargetPolicy) -> Result<Self, TargetError> {
        if text.chars().count() > MAX_LENGTH {
            return Err(TargetError::TooLong);
        }
        // The URL Standard drops some of these without a word, and turns a backslash into a slash.
        if text
            .chars()
            .any(|character| character.is_whitespace() || character.is_control() || character == '\\')
        {
            return Err(TargetError::AmbiguousCharacter);
        }
        let rest = without_scheme(text, policy.schemes)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(TargetError::Invalid);
        }
        // Looked for in the text, since the parser drops empty ones.
        if authority.contains('@') {
            return Err(TargetError::Credentials);
        }
        if text.contains('#') {
            return Err(TargetError::Fragment);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Invalid)?;
        // What is kept is the normal form, in which a character can take six.
        if url.as_str().len() > MAX_LENGTH {
            return Err(TargetError::TooLong);
        }
        // The client below has a stricter idea of a URL.
        Uri::try_from(url.as_str()).map_err(|_| TargetError::Invalid)?;
        let target = Self { url };
        target.judge_host(policy)?;
        Ok(target)
    }

    /// The URL in its normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Refuses a target whose name has an address that may not be dialled; asks for at most
    /// [`RESOLUTION_PATIENCE`].
    ///
    /// A name that does not resolve, or not in time, is fine: it is judged again at each dial.
    ///
    /// # Errors
    /// [`TargetError::ResolvesToPrivate`].
    pub async fn check_resolution(&self, resolver: &Resolver) -> Result<(), TargetError> {
        let Some(name) = self.url.domain() else { return Ok(()) };
        match tokio::time::timeout(RESOLUTION_PATIENCE, resolver.resolve(name)).await {
            Ok(Err(ResolveError::NotPublic)) => Err(TargetError::ResolvesToPrivate(name.to_owned())),
            Ok(Ok(_) | Err(ResolveError::NoAddress)) | Err(_) => Ok(()),
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The host, if it is an address.
    pub(crate) fn literal_address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    fn judge_host(&self, policy: &TargetPolicy) -> Result<(), TargetError> {
        if let Some(address) = self.literal_address() {
            return if policy.admits(address) { Ok(()) } else { Err(TargetError::NotPublic(address)) };
        }
        let name = self.url.domain().ok_or(TargetError::Invalid)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        if !is_host_name(name) {
            return Err(TargetError::Invalid);
        }
        if name.split('.').any(|label| label.starts_with("xn--")) {
            return Err(TargetError::Internationalised);
        }
        match policy.addresses {
            Addresses::PublicOnly if is_private_name(name) => Err(TargetError::PrivateName(name.to_owned())),
            Addresses::PublicOnly | Addresses::AnyAddress => Ok(()),
        }
    }
}

fn without_scheme(text: &str, schemes: Schemes) -> Result<&str, TargetError> {
    let after = |scheme: &str| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    match schemes {
        Schemes::HttpsOnly => after("https://").ok_or(TargetError::NotHttps),
        Schemes::HttpAndHttps => after("https://").or_else(|| after("http://")).ok_or(TargetError::NotHttp),
    }
}

/// Whether a name, in the ASCII form that is asked for, is one of a host: RFC 1123, section 2.1, with the
/// underscores that container networks use.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(known)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a name is for private networks: those of [`PRIVATE_DOMAINS`], and names of a single label, which
/// only a local search list can complete.
fn is_private_name(name: &str) -> bool {
    let is_within = |domain: &str| {
        name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    !name.contains('.') || PRIVATE_DOMAINS.iter().any(|domain| is_within(domain))
}
