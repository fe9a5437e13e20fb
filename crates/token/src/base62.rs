//! Numbers in base 62, fixed width, most significant digit first.

/// In ascending order of both value and byte, so that numbers of one width compare as their text does.
pub(crate) const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes a 256-bit big-endian number.
pub(crate) fn encode_256(number: &[u8; 32]) -> [u8; 43] {
    let mut number = *number;
    let mut digits = [b'0'; 43];
    for digit in digits.iter_mut().rev() {
        // Long division by 62, one byte at a time: the remainder is the next digit.
        let mut remainder = 0u16;
        for byte in &mut number {
            let dividend = remainder << 8 | u16::from(*byte);
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        *digit = DIGITS[usize::from(remainder)];
    }
    zeroize::Zeroize::zeroize(&mut number);
    digits
}

/// Writes a 32-bit number.
pub(crate) fn encode_32(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_known_digits() {
        let counting: [u8; 32] = std::array::from_fn(|index| index as u8);
        let cases: [([u8; 32], &[u8; 43]); 3] = [
            ([0; 32], b"0000000000000000000000000000000000000000000"),
            (counting, b"003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf"),
            ([0xff; 32], b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"),
        ];
        for (number, digits) in cases {
            assert_eq!(&encode_256(&number), digits);
        }
        assert_eq!(&encode_32(0), b"000000");
        assert_eq!(&encode_32(61), b"00000z");
        assert_eq!(&encode_32(62), b"000010");
        assert_eq!(&encode_32(u32::MAX), b"4gfFC3");
    }

    proptest::proptest! {
        #[test]
        fn text_orders_as_numbers_do(one: [u8; 32], two: [u8; 32]) {
            proptest::prop_assert_eq!(encode_256(&one).cmp(&encode_256(&two)), one.cmp(&two));
        }
    }
}
