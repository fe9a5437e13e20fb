//! What an amount is counted in: money of ISO 4217, or one of a few coins.

use std::fmt;

use iso_currency::Flag;

/// The coins that orders may be made in.
const COINS: [&str; 5] = ["BTC", "ETH", "USDT", "USDC", "LTC"];

/// Money of ISO 4217 or one of BTC, ETH, USDT, USDC and LTC, by its upper-case code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(&'static str);

/// Text that names no such currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an upper-case ISO 4217 currency code such as \"USD\", or one of BTC, ETH, USDT, USDC, LTC")]
pub struct CurrencyError;

impl Currency {
    /// Reads a code, in upper case alone.
    ///
    /// # Errors
    /// [`CurrencyError`] for anything else, codes of ISO 4217 that stand for no money included: metals, units
    /// of account, tests, "no currency"; and currencies that have been withdrawn.
    pub fn parse(code: &str) -> Result<Self, CurrencyError> {
        if let Some(coin) = COINS.into_iter().find(|coin| *coin == code) {
            return Ok(Self(coin));
        }
        let currency = iso_currency::Currency::from_code(code).ok_or(CurrencyError)?;
        if is_money(currency) { Ok(Self(currency.code())) } else { Err(CurrencyError) }
    }

    /// Reads the code of an amount that was recorded earlier: what was money then may have been withdrawn
    /// since.
    ///
    /// # Errors
    /// [`CurrencyError`] for codes that never were one.
    pub fn recorded(code: &str) -> Result<Self, CurrencyError> {
        let withdrawn = || iso_currency::Currency::from_code(code).map(|currency| Self(currency.code()));
        Self::parse(code).or_else(|error| withdrawn().ok_or(error))
    }

    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn is_money(currency: iso_currency::Currency) -> bool {
    // The digital bolívar (VED) is the same money as the bolívar soberano (VES) under a second code; ISO 4217
    // lists both, and VES is the one in daily use.
    currency == iso_currency::Currency::VES || currency.flags().iter().all(|flag| matches!(flag, Flag::Fund))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_the_five_coins_are_currencies() {
        for code in ["USD", "EUR", "JPY", "CHF", "VES", "CLF", "XOF", "BTC", "ETH", "USDT", "USDC", "LTC"] {
            assert_eq!(Currency::parse(code).map(Currency::as_str), Ok(code));
        }
    }

    #[test]
    fn a_currency_that_was_withdrawn_stays_on_what_was_recorded_in_it() {
        assert_eq!(Currency::recorded("HRK").map(Currency::as_str), Ok("HRK"));
        assert_eq!(Currency::recorded("USDT"), Currency::parse("USDT"));
        assert_eq!(Currency::recorded("hrk"), Err(CurrencyError));
    }

    #[test]
    fn what_is_no_money_or_not_upper_case_is_refused() {
        for wrong in [
            "", "usd", "Usd", "US", "USDD", "ABC", "XXX", "XTS", "XAU", "XAG", "XDR", "HRK", "btc", "DOGE",
            "USD ", "840", "US\u{0}", "€",
        ] {
            assert_eq!(Currency::parse(wrong), Err(CurrencyError), "{wrong}");
        }
    }
}
