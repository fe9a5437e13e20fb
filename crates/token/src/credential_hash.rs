//! Hashes of credentials: what is kept, or looked up, in place of a secret.
//!
//! Every credential hashed here holds at least 256 bits that nobody can guess, so a fast hash is right; a slow one
//! is for passwords (NIST SP 800-63B, section 5.1.1.2, speaks of low-entropy secrets).

use std::fmt;

use ring::digest;

macro_rules! credential_hash {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Hashes a credential as it was presented, byte for byte.
            #[must_use]
            pub fn of(credential: &str) -> Self {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest::digest(&digest::SHA256, credential.as_bytes()).as_ref());
                Self(hash)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(")")
            }
        }
    };
}

credential_hash!(
    /// The SHA-256 of whatever was presented as a bearer credential, valid or not: the key of a cache.
    TokenHash
);
credential_hash!(
    /// The SHA-256 of an API key: the only trace of it that is stored.
    ApiKeyHash
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_sha_256_of_the_text() {
        // FIPS 180-2, appendix B.1.
        let expected = "TokenHash(ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad)";
        assert_eq!(format!("{:?}", TokenHash::of("abc")), expected);
        assert_eq!(ApiKeyHash::of("abc").0, TokenHash::of("abc").0);
        assert_ne!(TokenHash::of("abc"), TokenHash::of("abd"));
    }
}
