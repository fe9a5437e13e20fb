//! Sandbox or production: credentials of one are worth nothing in the other.

use std::fmt;
use std::str::FromStr;

/// Which of the two worlds an installation, a token or a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// For trying things out, without real money.
    Sandbox,
    /// Real money.
    Production,
}

/// Text that names no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no environment; use 'sandbox' or 'production'")]
pub struct EnvironmentError(String);

impl Environment {
    /// The name used in configuration and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Production => "production",
        }
    }

    /// What every API key of this environment begins with.
    #[must_use]
    pub const fn api_key_prefix(self) -> &'static str {
        match self {
            Self::Sandbox => "cp_test_",
            Self::Production => "cp_live_",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = EnvironmentError;

    fn from_str(text: &str) -> Result<Self, EnvironmentError> {
        match text {
            "sandbox" => Ok(Self::Sandbox),
            "production" => Ok(Self::Production),
            other => Err(EnvironmentError(other.to_owned())),
        }
    }
}
