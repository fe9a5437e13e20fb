//! API keys: `cp_live_` or `cp_test_`, 256 random bits, and a checksum.
//!
//! The checksum lets secret scanners and clients tell a real key offline, and keeps a mistyped one from reaching the
//! store. It is no protection against forgery: that is what the 256 bits are for.

use std::fmt;

use cryptopay_domain::Environment;
use ring::rand::SecureRandom;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{ApiKeyHash, RandomnessError, base62};

/// Characters of a whole key: prefix, 43 digits of secret, 6 of checksum.
const KEY_CHARACTERS: usize = 57;
/// Characters the checksum is made over: everything before it.
const CHECKED_CHARACTERS: usize = 51;
/// Characters of a key that its owner may see again later.
const SHOWN_CHARACTERS: usize = 12;
/// Where the digits begin.
const PREFIX_CHARACTERS: usize = 8;
/// 2^256 − 1 in base 62. 43 digits reach a little further.
const GREATEST_SECRET: &[u8; 43] = b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1";

/// A whole API key, just made: the only moment at which anyone but its owner holds it.
#[derive(Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when `random` fails.
    pub fn generate(environment: Environment, random: &dyn SecureRandom) -> Result<Self, RandomnessError> {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut_slice()).map_err(|_| RandomnessError)?;
        Ok(Self::from_secret(environment, &secret))
    }

    /// The key itself, to be shown to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first 12 characters, by which its owner recognises it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.expose()[..SHOWN_CHARACTERS]
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(self.expose())
    }

    fn from_secret(environment: Environment, secret: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(KEY_CHARACTERS);
        text.push_str(environment.api_key_prefix());
        text.extend(Zeroizing::new(base62::encode_256(secret)).iter().map(|digit| char::from(*digit)));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self(SecretString::from(text))
    }
}

/// Why text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Another kind of credential.
    #[error("does not begin like an API key")]
    Prefix,
    /// Cut off, or run on.
    #[error("has not the length of an API key")]
    Length,
    /// A character outside `0-9A-Za-z`.
    #[error("holds a character that no API key has")]
    Digit,
    /// Digits that stand for 2^256 or more: no key was ever made like that.
    #[error("holds a number beyond 256 bits")]
    Overflow,
    /// Mistyped, or made up.
    #[error("has a wrong checksum")]
    Checksum,
}

/// A presented API key whose form and checksum are right; whether it exists is for the store to say.
#[derive(Clone, Copy)]
pub struct ApiKeyRef<'a> {
    text: &'a str,
    environment: Environment,
}

impl<'a> ApiKeyRef<'a> {
    /// Checks form and checksum, without allocating.
    ///
    /// # Errors
    /// [`ApiKeyError`] names the first rule that is broken.
    pub fn parse(text: &'a str) -> Result<Self, ApiKeyError> {
        let environment = environment_named_by(text).ok_or(ApiKeyError::Prefix)?;
        let bytes: &[u8; KEY_CHARACTERS] = text.as_bytes().try_into().map_err(|_| ApiKeyError::Length)?;
        let (checked, presented_checksum) = bytes.split_at(CHECKED_CHARACTERS);
        let secret = &checked[PREFIX_CHARACTERS..];
        if !bytes[PREFIX_CHARACTERS..].iter().all(u8::is_ascii_alphanumeric) {
            return Err(ApiKeyError::Digit);
        }
        // Base-62 numbers of one width order as their text does.
        if secret > GREATEST_SECRET.as_slice() {
            return Err(ApiKeyError::Overflow);
        }
        if presented_checksum != checksum(checked) {
            return Err(ApiKeyError::Checksum);
        }
        Ok(Self { text, environment })
    }

    /// The environment its prefix names.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(self.text)
    }
}

impl fmt::Debug for ApiKeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRef").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// The environment an API key claims to be of, by its prefix alone; `None` for anything that is no API key.
#[must_use]
pub fn environment_named_by(credential: &str) -> Option<Environment> {
    [Environment::Sandbox, Environment::Production]
        .into_iter()
        .find(|environment| credential.starts_with(environment.api_key_prefix()))
}

/// CRC-32/ISO-HDLC in base 62.
fn checksum(checked: &[u8]) -> [u8; 6] {
    base62::encode_32(crc32fast::hash(checked))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;

    use super::*;

    const KNOWN: &str = "cp_test_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf4PWF95";

    #[test]
    fn known_secrets_make_known_keys() {
        let counting: [u8; 32] = std::array::from_fn(|index| index as u8);
        let cases = [
            (Environment::Production, [0; 32], "cp_live_00000000000000000000000000000000000000000003bCkiF"),
            (Environment::Sandbox, counting, KNOWN),
            (
                Environment::Production,
                [0xff; 32],
                "cp_live_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1229JwV",
            ),
        ];
        for (environment, secret, expected) in cases {
            let key = ApiKey::from_secret(environment, &secret);
            assert_eq!(key.expose(), expected);
            assert_eq!(ApiKeyRef::parse(expected).unwrap().environment(), environment);
        }
    }

    #[test]
    fn the_checksum_is_crc_32_iso_hdlc() {
        // The check value of the CRC catalogue, 0xcbf43926.
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
    }

    #[test]
    fn a_known_key_has_a_known_hash_and_prefix() {
        let counting: [u8; 32] = std::array::from_fn(|index| index as u8);
        let key = ApiKey::from_secret(Environment::Sandbox, &counting);
        assert_eq!(key.prefix(), "cp_test_003a");
        let hash = "ApiKeyHash(43198eac4f9779c04d6db245349602bf7ffca01148c53b7b18b5f9b0f6007e88)";
        assert_eq!(format!("{:?}", key.hash()), hash);
        assert_eq!(ApiKeyRef::parse(key.expose()).unwrap().hash(), key.hash());
    }

    #[test]
    fn a_number_beyond_256_bits_is_refused_whatever_its_checksum() {
        let body = "cp_live_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp2";
        let checksum = checksum(body.as_bytes()).map(char::from);
        let text: String = body.chars().chain(checksum).collect();
        assert_eq!(ApiKeyRef::parse(&text).unwrap_err(), ApiKeyError::Overflow);
    }

    #[test]
    fn each_broken_rule_is_named() {
        let cases = [
            ("", ApiKeyError::Prefix),
            ("v4.public.e30", ApiKeyError::Prefix),
            (&KNOWN.replace("test", "Test"), ApiKeyError::Prefix),
            ("cp_live_abc123def456", ApiKeyError::Length),
            (&KNOWN[..56], ApiKeyError::Length),
            (&format!("{KNOWN}0"), ApiKeyError::Length),
            (&format!("{KNOWN}\n"), ApiKeyError::Length),
            (&KNOWN.replace("9LRK", "9L-K"), ApiKeyError::Digit),
            (&KNOWN.replace("9LRK", "9Lé"), ApiKeyError::Digit),
            (&KNOWN.replace("4PWF95", "4PWF9_"), ApiKeyError::Digit),
            (&KNOWN.replace("4PWF95", "4PWF96"), ApiKeyError::Checksum),
            (&KNOWN.replace("4PWF95", "zzzzzz"), ApiKeyError::Checksum),
            (&KNOWN.replace("cp_test_", "cp_live_"), ApiKeyError::Checksum),
        ];
        for (text, expected) in cases {
            assert_eq!(ApiKeyRef::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn the_environment_is_told_by_the_prefix_alone() {
        assert_eq!(environment_named_by("cp_live_abc123def456"), Some(Environment::Production));
        assert_eq!(environment_named_by("cp_test_"), Some(Environment::Sandbox));
        assert_eq!(environment_named_by("cp_test"), None);
        assert_eq!(environment_named_by("v4.public.e30"), None);
    }

    #[test]
    fn debugging_a_key_tells_no_secret() {
        let key = ApiKey::generate(Environment::Sandbox, &SystemRandom::new()).unwrap();
        let text = format!("{key:?} {:?}", ApiKeyRef::parse(key.expose()).unwrap());
        assert!(!text.contains(&key.expose()[PREFIX_CHARACTERS..]), "{text}");
        assert!(!text.contains(key.prefix()), "{text}");
    }

    #[test]
    fn two_generated_keys_differ() {
        let random = SystemRandom::new();
        let [one, two] = [(); 2].map(|()| ApiKey::generate(Environment::Sandbox, &random).unwrap());
        assert_ne!(one.expose(), two.expose());
    }

    fn any_key() -> impl Strategy<Value = ApiKey> {
        (any::<[u8; 32]>(), prop_oneof![Just(Environment::Sandbox), Just(Environment::Production)])
            .prop_map(|(secret, environment)| ApiKey::from_secret(environment, &secret))
    }

    proptest! {
        #[test]
        fn every_key_that_is_made_is_read(key in any_key()) {
            prop_assert_eq!(key.expose().len(), KEY_CHARACTERS);
            prop_assert_eq!(ApiKeyRef::parse(key.expose()).map(|read| read.hash()), Ok(key.hash()));
        }

        #[test]
        fn no_single_changed_character_goes_unnoticed(
            key in any_key(),
            at in 0..KEY_CHARACTERS,
            digit in prop::sample::select(base62::DIGITS.as_slice()),
        ) {
            let mut bytes = key.expose().as_bytes().to_vec();
            prop_assume!(bytes[at] != digit);
            bytes[at] = digit;
            prop_assert!(ApiKeyRef::parse(std::str::from_utf8(&bytes).unwrap()).is_err());
        }

        #[test]
        fn no_part_of_a_key_is_a_key(key in any_key(), length in 0..KEY_CHARACTERS, more in "[0-9A-Za-z]{1,8}") {
            prop_assert!(ApiKeyRef::parse(&key.expose()[..length]).is_err());
            let longer = format!("{}{more}", key.expose());
            prop_assert!(ApiKeyRef::parse(&longer).is_err());
        }

        #[test]
        fn arbitrary_text_is_refused_without_panicking(text in "\\PC{0,80}", body in "\\PC{49}") {
            prop_assert!(ApiKeyRef::parse(&text).is_err());
            let key_like = format!("cp_live_{body}");
            prop_assert!(ApiKeyRef::parse(&key_like).is_err());
        }
    }
}
