//! A kept hash, read from and written as a PHC string.

use scrypt::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use scrypt::password_hash::{PasswordHasher, PasswordVerifier};
use scrypt::{Params, Scrypt};

use super::cost::ScryptCost;
use crate::password::{PasswordAttempt, PasswordHash};

/// What a password is verified against.
#[derive(Clone)]
pub(super) struct StoredHash {
    phc: Phc,
    cost: ScryptCost,
}

/// Bytes of a salt, sixteen as the PHC string format recommends.
pub(super) const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

impl StoredHash {
    /// Reads `$scrypt$ln=…,r=…,p=…$<salt>$<hash>`: exactly these parameters in this order, a cost within
    /// bounds, a hash of 32 bytes. `None` for anything else.
    pub(super) fn parse(hash: &PasswordHash) -> Option<Self> {
        let phc = Phc::new(hash.expose()).ok()?;
        let number = |name| phc.params.get_decimal(name);
        let cost = ScryptCost { log_n: number("ln")?.try_into().ok()?, r: number("r")?, p: number("p")? };
        let well_formed = phc.algorithm == scrypt::phc::ALG_ID
            && phc.version.is_none()
            && phc.params.as_str() == parameters(cost)
            && phc.salt.is_some()
            && phc.hash?.len() == HASH_BYTES
            && Params::try_from(cost).is_ok();
        well_formed.then_some(Self { phc, cost })
    }

    /// A hash that is nobody's, for spending the time of one run.
    pub(super) fn dummy(cost: ScryptCost) -> Option<Self> {
        let phc = Phc {
            algorithm: scrypt::phc::ALG_ID,
            version: None,
            params: parameters(cost).parse().ok()?,
            salt: Some(Salt::new(&[0; SALT_BYTES]).ok()?),
            hash: Some(Output::new(&[0; HASH_BYTES]).ok()?),
        };
        Some(Self { phc, cost })
    }

    /// The cost it was made with.
    pub(super) const fn cost(&self) -> ScryptCost {
        self.cost
    }

    /// Runs scrypt once and compares in constant time.
    pub(super) fn matches(&self, attempt: &PasswordAttempt) -> bool {
        Scrypt::new().verify_password(attempt.expose(), &self.phc).is_ok()
    }
}

/// Runs scrypt once. `None` cannot happen with a salt of [`SALT_BYTES`].
pub(super) fn hash(
    params: Params,
    salt: &[u8; SALT_BYTES],
    password: &PasswordAttempt,
) -> Option<PasswordHash> {
    let phc = Scrypt::new_with_params(params).hash_password_with_salt(password.expose(), salt).ok()?;
    Some(PasswordHash::new(phc.to_string()))
}

fn parameters(cost: ScryptCost) -> String {
    format!("ln={},r={},p={}", cost.log_n, cost.r, cost.p)
}
