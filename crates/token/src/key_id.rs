//! The names of keys: public, derived from the public half, the same on every replica.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// What every [`KeyId`] begins with.
const HEADER: &str = "k4.pid.";
/// Bytes of hash in a PASERK identifier.
const HASH_BYTES: usize = 33;

/// Names a signing key by its public half: a PASERK `k4.pid`, as the footer of an access token carries it.
///
/// See the PASERK specification, operations/ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// Text that names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a PASERK key identifier: 'k4.pid.' and 44 characters of base64url")]
pub struct KeyIdError;

impl KeyId {
    /// The PASERK text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The short name that refresh tokens carry.
    #[must_use]
    pub fn mac_key_id(&self) -> MacKeyId {
        // Cannot fail: only text that decodes becomes a `KeyId`.
        let hash = decode(&self.0).unwrap_or([0; HASH_BYTES]);
        let mut short = [0; 8];
        short.copy_from_slice(&hash[..8]);
        MacKeyId(short)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        decode(text).map(|_| Self(text.into())).ok_or(KeyIdError)
    }
}

/// Names the refresh-MAC key that belongs to a signing key: the first 8 bytes of the decoded [`KeyId`].
///
/// Written as 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacKeyId(pub [u8; 8]);

/// Text that names no refresh-MAC key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 16 lower-case hex digits")]
pub struct MacKeyIdError;

impl fmt::Display for MacKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for MacKeyId {
    type Err = MacKeyIdError;

    /// Reads the canonical form alone: one identifier has one spelling.
    fn from_str(text: &str) -> Result<Self, MacKeyIdError> {
        let canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !canonical {
            return Err(MacKeyIdError);
        }
        u64::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| MacKeyIdError)
    }
}

/// The hash within a key identifier, if `text` is one in its canonical spelling.
fn decode(text: &str) -> Option<[u8; HASH_BYTES]> {
    let encoded = text.strip_prefix(HEADER)?;
    let mut hash = [0; HASH_BYTES];
    let written = BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut hash).ok()?;
    (written == HASH_BYTES).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: &str = "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs";

    #[test]
    fn a_key_id_has_one_spelling() {
        assert_eq!(KID.parse::<KeyId>().unwrap().to_string(), KID);
        let short = &KID[..KID.len() - 4];
        let long = format!("{KID}AAAA");
        let padded = format!("{KID}=");
        let secret = KID.replace("pid", "sid");
        for wrong in ["", "k4.pid.", short, &long, &padded, &secret, &KID.replace('-', "+")] {
            assert_eq!(wrong.parse::<KeyId>(), Err(KeyIdError), "{wrong}");
        }
    }

    #[test]
    fn a_mac_key_id_is_the_start_of_the_hash_in_hex() {
        // base64url "9ShR3xc8-qVJ" begins with these nine bytes: f5 28 51 df 17 3c fa a5 49.
        let id = KID.parse::<KeyId>().unwrap().mac_key_id();
        assert_eq!(id.to_string(), "f52851df173cfaa5");
        assert_eq!("f52851df173cfaa5".parse(), Ok(id));
        for wrong in ["", "f52851df173cfaa", "f52851df173cfaa55", "F52851DF173CFAA5", "+52851df173cfaa5"] {
            assert_eq!(wrong.parse::<MacKeyId>(), Err(MacKeyIdError), "{wrong}");
        }
    }

    #[test]
    fn leading_zeros_of_a_mac_key_id_are_written() {
        let id = MacKeyId([0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(id.to_string(), "0000000000000001");
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
