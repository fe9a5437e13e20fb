//! A presented API key.

use cryptopay_token::ApiKeyRef;
use cryptopay_token::api_key::environment_named_by;

use crate::Verdict;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Checks a key, and the same text under a right checksum, against the contract's definition.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    if let Some((checked, _)) = text.split_at_checked(51) {
        judge(&format!("{checked}{}", checksum(checked)));
    }
    judge(&text)
}

fn judge(text: &str) -> Verdict {
    let parsed = ApiKeyRef::parse(text);
    assert_eq!(parsed.is_ok(), is_key(text), "{text}");
    if let Ok(key) = &parsed {
        assert_eq!(Some(key.environment()), environment_named_by(text));
    }
    Verdict::of(&parsed)
}

/// A prefix, 43 digits of at most 256 bits, and the checksum.
fn is_key(text: &str) -> bool {
    let digits = text.strip_prefix("cp_test_").or_else(|| text.strip_prefix("cp_live_"));
    let Some((secret, presented)) = digits.and_then(|digits| digits.split_at_checked(43)) else {
        return false;
    };
    is_256_bits(secret) && presented == checksum(&text[..51])
}

/// Long multiplication, byte by byte, unlike the comparison of texts in the parser.
fn is_256_bits(digits: &str) -> bool {
    let mut number = [0_u8; 33];
    for character in digits.bytes() {
        let Some(digit) = DIGITS.iter().position(|digit| *digit == character) else { return false };
        let mut carry = digit;
        for byte in number.iter_mut().rev() {
            carry += usize::from(*byte) * 62;
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
    }
    number[0] == 0
}

fn checksum(checked: &str) -> String {
    let mut rest = crc32fast::hash(checked.as_bytes()) as usize;
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}
