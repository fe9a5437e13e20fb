//! A sealed secret as a database returns it that somebody may have written to.

use ring::rand::SystemRandom;

use crate::Verdict;
use crate::installation::{ENCRYPTION_RING, SEALED_FOR, SEALED_HEADER_BYTES};

/// What the corpus holds truly sealed.
pub const GENUINE: &[u8] = b"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Checks that only what was sealed opens, for its own context, and unchanged.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let Ok(sealed) = ENCRYPTION_RING.seal(SEALED_FOR, data, &SystemRandom::new()) else {
        return Verdict::Refused;
    };
    assert!(ENCRYPTION_RING.is_sealed_by_active(&sealed));
    assert!(ENCRYPTION_RING.open(SEALED_FOR, &sealed).is_ok_and(|opened| opened.as_slice() == data));
    assert!(ENCRYPTION_RING.open("webhook_endpoints/8/secret", &sealed).is_err());

    // One bit, at a place of the attacker's choice.
    if let [place, bit, ..] = data {
        let mut changed = sealed.clone();
        let place = usize::from(*place) * 251 % changed.len();
        changed[place] ^= 1 << (bit % 8);
        assert!(ENCRYPTION_RING.open(SEALED_FOR, &changed).is_err());
    }
    // Behind the name of the right key, so that the cipher is reached. The one that the corpus holds truly
    // sealed opens so, and nothing else does.
    let forged = [&sealed[..SEALED_HEADER_BYTES], data].concat();
    let opened = ENCRYPTION_RING.open(SEALED_FOR, data);
    if let Ok(plain) = ENCRYPTION_RING.open(SEALED_FOR, &forged) {
        assert!(plain.as_slice() == GENUINE, "{} was forged", plain.escape_ascii());
    }
    Verdict::of(&opened)
}
