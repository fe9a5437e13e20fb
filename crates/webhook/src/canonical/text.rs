//! Strings as `JSON.stringify` writes them.

/// Writes a string as `QuoteJSONString` does (ECMA-262, 25.5.2.3): seven short escapes, `\u00xx` in lower case for
/// the other controls, everything else as it is, DEL and U+2028 included.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut written = 0;
    for (position, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == VERBATIM {
            continue;
        }
        out.extend_from_slice(&bytes[written..position]);
        written = position + 1;
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX_DIGITS[usize::from(digit)]);
            out.extend_from_slice(&[b'0', b'0', digits[0], digits[1]]);
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

/// A byte that needs no escape.
const VERBATIM: u8 = 0;

/// What follows the backslash, for each byte.
const ESCAPES: [u8; 256] = {
    let mut escapes = [VERBATIM; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};
