//! Amounts of money: exact decimals, kept as they were given.

use std::fmt;

use bigdecimal::BigDecimal;

/// Digits before the point, at most.
const WHOLE_DIGITS: usize = 18;
/// Digits after the point, at most: what the smallest unit of ether needs.
const FRACTION_DIGITS: usize = 18;

/// A positive amount: `^(0|[1-9]\d{0,17})(\.\d{1,18})?$`.
///
/// It is never rounded and never a binary fraction, and it goes back to its merchant as it came: `49.90`
/// stays `49.90`. Two amounts are equal when they are written alike; compare [`Amount::value`] for what they
/// are worth.
#[derive(Clone, PartialEq, Eq)]
pub struct Amount {
    text: String,
    value: BigDecimal,
}

/// Text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number of at most 18 digits before and 18 after the point.
    #[error(
        "must be a decimal number such as \"49.90\": up to 18 digits, then optionally a point and up to 18 \
         digits, without sign, exponent, separators or needless zeros in front"
    )]
    Form,
    /// Nothing.
    #[error("must be greater than zero")]
    Zero,
}

impl Amount {
    /// Reads an amount.
    ///
    /// # Errors
    /// [`AmountError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let canonical = whole == "0" || !whole.starts_with('0');
        let well_formed = canonical
            && has_digits(whole, WHOLE_DIGITS)
            && fraction.is_none_or(|fraction| has_digits(fraction, FRACTION_DIGITS));
        if !well_formed {
            return Err(AmountError::Form);
        }
        if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            return Err(AmountError::Zero);
        }
        let value = text.parse().map_err(|_| AmountError::Form)?;
        Ok(Self { text: text.to_owned(), value })
    }

    /// The amount as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is worth, exactly.
    #[must_use]
    pub const fn value(&self) -> &BigDecimal {
        &self.value
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({})", self.text)
    }
}

fn has_digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_stays_as_it_was_given() {
        for text in ["49.90", "1", "0.000000000000000001", "999999999999999999.999999999999999999", "10.0"] {
            assert_eq!(Amount::parse(text).map(|amount| amount.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn its_value_is_exact() {
        let value = |text| Amount::parse(text).unwrap().value().clone();
        assert_eq!(value("49.90"), value("49.9"));
        assert_eq!(value("0.1") + value("0.2"), value("0.3"));
        assert!(
            value("999999999999999999.999999999999999999") < value("1") * BigDecimal::from(10_u64.pow(18))
        );
    }

    #[test]
    fn whatever_is_no_plain_decimal_is_refused() {
        for wrong in [
            "",
            ".",
            "1.",
            ".5",
            "01",
            "00",
            "00.1",
            "-1",
            "+1",
            "1e3",
            "1E3",
            "1,000",
            "1_000",
            " 1",
            "1 ",
            "1.2.3",
            "NaN",
            "inf",
            "0x1",
            "١",
            "1234567890123456789",
            "0.1234567890123456789",
            "1\n",
            "1.2-",
            "1.-2",
        ] {
            assert_eq!(Amount::parse(wrong), Err(AmountError::Form), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_no_amount() {
        for zero in ["0", "0.0", "0.000000000000000000"] {
            assert_eq!(Amount::parse(zero), Err(AmountError::Zero), "{zero}");
        }
    }
}
