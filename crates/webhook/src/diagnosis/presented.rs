//! The signature that a merchant's code computed, in whatever spelling.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Finding;

/// What other senders put in front of a signature.
const FOREIGN_PREFIXES: [&str; 7] =
    ["sha256=", "SHA256=", "sha256:", "hmac-sha256=", "v1=", "v1,", "X-Webhook-Signature: "];

/// Base64 of either alphabet, once its last two digits have been mapped to this one's; padded or not.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A signature's 32 bytes, and what is unusual about how they were written.
pub(super) struct Presented {
    pub(super) tag: [u8; 32],
    pub(super) findings: Vec<Finding>,
}

impl Presented {
    /// Reads a signature in any spelling; `None` if it is none of an HMAC-SHA256.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut findings = Vec::new();
        let trimmed = text.trim();
        if trimmed != text {
            findings.push(Finding::BlanksAround);
        }
        let bare = FOREIGN_PREFIXES.iter().find_map(|prefix| trimmed.strip_prefix(prefix));
        if bare.is_some() {
            findings.push(Finding::Prefixed);
        }
        let bare = bare.unwrap_or(trimmed);
        let tag = match read_hex(bare) {
            Some(tag) => {
                findings.extend(
                    bare.contains(|digit: char| digit.is_ascii_uppercase()).then_some(Finding::UpperCase),
                );
                tag
            }
            None => {
                findings.push(Finding::Base64);
                decode_lenient(bare)?.as_slice().try_into().ok()?
            }
        };
        Some(Self { tag, findings })
    }
}

/// Base64 of either alphabet, padded or not, whatever its last bits.
pub(super) fn decode_lenient(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.replace('-', "+").replace('_', "/"));
    // A last digit that completes no byte is dropped, as Node does.
    let digits = text.trim_end_matches('=');
    let whole = digits.len() - usize::from(digits.len() % 4 == 1);
    LENIENT_BASE64.decode(digits.get(..whole)?).ok().map(Zeroizing::new)
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
