//! E-mail addresses.

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress as Syntax, Options};

/// An e-mail address as its owner writes it, at most 254 characters (RFC 5321 §4.5.3.1.3 less the brackets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress(String);

/// Text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailAddressError {
    /// Longer than 254 characters.
    #[error("must have at most 254 characters")]
    Length,
    /// Not of the form `name@example.com`.
    #[error("must be an e-mail address such as name@example.com")]
    Syntax,
}

impl EmailAddress {
    /// Parses an address: `local@domain` with a dot in the domain, no display name, no address literal,
    /// no quoted local part.
    ///
    /// # Errors
    /// [`EmailAddressError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        if text.chars().count() > 254 {
            return Err(EmailAddressError::Length);
        }
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        let unquoted = !text.contains(['"', ' ']) && !text.chars().any(char::is_control);
        match Syntax::parse_with_options(text, options) {
            Ok(_) if unquoted => Ok(Self(text.to_owned())),
            _ => Err(EmailAddressError::Syntax),
        }
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which it is unique and looked up, without regard to case.
    #[must_use]
    pub fn lookup_form(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    fn from_str(text: &str) -> Result<Self, EmailAddressError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_pass_and_odd_ones_do_not() {
        for good in ["your-email@example.com", "a+b@sub.example.co", "Jörg@exämple.de"] {
            assert_eq!(EmailAddress::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "plain",
            "a@b",
            "a@[127.0.0.1]",
            "A <a@example.com>",
            "\"a b\"@example.com",
            "a@example.com\n",
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(EmailAddressError::Syntax), "{bad:?}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        assert_eq!(EmailAddress::parse(&long), Err(EmailAddressError::Length));
    }

    #[test]
    fn case_does_not_make_another_address() {
        let address = EmailAddress::parse("Shop@Example.COM").unwrap();
        assert_eq!(address.lookup_form(), "shop@example.com");
    }
}
