//! Passwords: what a new one must be, what a login presents, and what is kept.

mod advice;

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

/// Fewest characters of a password, counted before normalisation (NIST SP 800-63B §3.1.1.2).
pub const MIN_CHARACTERS: usize = 8;
/// Most characters of a password, counted before normalisation.
pub const MAX_CHARACTERS: usize = 256;

/// A password that satisfies the rules and may be hashed and kept.
#[derive(Clone, Debug)]
pub struct NewPassword(PasswordAttempt);

/// A password as somebody typed it to prove who they are. Cloning shares the secret, never copies it.
#[derive(Clone)]
pub struct PasswordAttempt(Arc<Zeroizing<Vec<u8>>>);

/// A hashed password as a PHC string, `$scrypt$ln=17,r=8,p=1$<salt>$<hash>`.
#[derive(Clone)]
pub struct PasswordHash(Zeroizing<String>);

/// Why a password may not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the password is refused: {}", messages.join("; "))]
pub struct PasswordRejection {
    /// What is wrong and what would make it stronger, for the one who chose it: at least one message,
    /// none of which quotes the password.
    pub messages: Vec<String>,
}

impl NewPassword {
    /// Judges a password somebody wants: 8 to 256 characters of any Unicode, not easily guessed
    /// (zxcvbn score 3 or better, more than 10⁸ guesses) by one who knows `context`, what the same
    /// person entered in the other fields.
    ///
    /// What is judged is the first 64 characters of the NFKC form, since zxcvbn's time grows with the
    /// square of the length and with every letter-like symbol: up to half a second for the 100
    /// characters it would look at, a fifth for 64, about one scrypt run. **Never call this on a thread
    /// that serves requests**; [`Hasher::check_new`](crate::hasher::Hasher::check_new) runs it on the
    /// hashing threads.
    ///
    /// # Errors
    /// [`PasswordRejection`] says what is wrong. A wrong length is found at once, without zxcvbn.
    pub fn parse(text: &str, context: &[&str]) -> Result<Self, PasswordRejection> {
        if !has_allowed_length(text) {
            return Err(PasswordRejection { messages: vec![advice::length()] });
        }
        let judged = judged_form(text);
        let context: Vec<_> = context.iter().map(|field| judged_form(field)).collect();
        let fields: Vec<&str> = context.iter().map(|field| field.as_str()).collect();
        let entropy = zxcvbn(&judged, &fields);
        if entropy.score() < Score::Three {
            return Err(PasswordRejection { messages: advice::strength(&entropy, &judged, &fields) });
        }
        Ok(Self(PasswordAttempt::new(text)))
    }
}

impl PasswordAttempt {
    /// Takes a typed password in its NFKC form (Unicode Standard Annex #15), the one that is compared.
    ///
    /// Text of more than 256 characters is no password of anybody, yet is hashed like any other so that
    /// it takes the same time: cut off, and followed by a byte that no text in UTF-8 holds.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let over_long = text.chars().nth(MAX_CHARACTERS).is_some();
        let form = || text.chars().take(MAX_CHARACTERS).nfkc();
        // The exact size: a buffer that grows leaves copies of the secret behind.
        let size = form().map(char::len_utf8).sum::<usize>() + usize::from(over_long);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        let mut encoded = Zeroizing::new([0; 4]);
        form().for_each(|c| bytes.extend_from_slice(c.encode_utf8(&mut *encoded).as_bytes()));
        if over_long {
            bytes.push(NEVER_IN_UTF8);
        }
        Self(Arc::new(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<NewPassword> for PasswordAttempt {
    fn from(password: NewPassword) -> Self {
        password.0
    }
}

impl PasswordHash {
    /// Takes a PHC string as it was kept. It is read when a password is verified against it.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(Zeroizing::new(phc))
    }

    /// The PHC string, for the store alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordAttempt([redacted])")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

/// Whether a password has 8 to 256 characters. Looks at no more than 257.
pub(crate) fn has_allowed_length(text: &str) -> bool {
    (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&text.chars().take(MAX_CHARACTERS + 1).count())
}

/// How many characters zxcvbn is given.
const JUDGED_CHARACTERS: usize = 64;

/// UTF-8 never holds this byte (RFC 3629 §3).
const NEVER_IN_UTF8: u8 = 0xFF;

fn judged_form(text: &str) -> Zeroizing<String> {
    let mut form = Zeroizing::new(String::with_capacity(JUDGED_CHARACTERS * char::MAX.len_utf8()));
    form.extend(text.chars().take(MAX_CHARACTERS).nfkc().take(JUDGED_CHARACTERS));
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: [&str; 3] = ["your-username", "your-email@example.com", "Your Business Name"];

    fn messages(text: &str) -> Vec<String> {
        NewPassword::parse(text, &CONTEXT).unwrap_err().messages
    }

    #[test]
    fn the_documented_example_may_register() {
        assert!(NewPassword::parse("your-secure-password", &CONTEXT).is_ok());
    }

    #[test]
    fn length_is_counted_in_characters_before_normalisation() {
        let too_long_or_short = [advice::length()];
        assert_eq!(messages("xK7!qZ2"), too_long_or_short);
        assert_eq!(messages(""), too_long_or_short);
        let tail = |count: usize| format!("xK7!qZ2wv {}", "ä".repeat(count - 10));
        assert!(NewPassword::parse(&tail(256), &[]).is_ok());
        assert_eq!(messages(&tail(257)), too_long_or_short);
        assert!(NewPassword::parse(&format!("xK7!qZ2wv {}", "\u{fdfa}".repeat(246)), &[]).is_ok());
        assert_eq!(messages("\u{fdfa}"), too_long_or_short);
    }

    #[test]
    fn any_unicode_may_be_a_password() {
        for good in
            ["xK7!\u{0}qZ2wv", "пароль-лошадь-батарея", "🐎🔋📎🦄🌵🎲🚲🪐🧊🎻", "wKq\n\t\u{7f}\u{202e}vPz7"]
        {
            assert!(NewPassword::parse(good, &CONTEXT).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_weak_password_is_refused_with_advice_that_never_quotes_it() {
        let weak = "password 12345678 password1 P4ssw0rd! qwertyuiop zxcvbnm,./ aaaaaaaa abcabcabc abcdefgh 19901990 \
                    01/02/1990 sequence keyboard characters uncommon possible username USERNAME drowssap jennifer \
                    backwards capitals common12 elizabeth xK7!qZ2w ｐａｓｓｗｏｒｄ 𝕡𝕒𝕤𝕤𝕨𝕠𝕣𝕕";
        for password in weak.split(' ') {
            let messages = messages(password);
            assert!(messages.len() >= 2, "{password}: {messages:?}");
            assert!(messages.iter().all(|message| !message.contains(password)), "{password}: {messages:?}");
        }
    }

    #[test]
    fn what_was_entered_in_the_other_fields_makes_no_password() {
        for field in CONTEXT {
            let messages = messages(field);
            assert!(messages.contains(&advice::other_fields()), "{field}: {messages:?}");
            assert!(messages.iter().all(|message| !message.contains(field)), "{field}: {messages:?}");
        }
        assert!(NewPassword::parse("orchid-tandem-42", &[]).is_ok());
        assert!(NewPassword::parse("orchid-tandem-42", &["Orchid-Tandem-42"]).is_err());
        assert!(NewPassword::parse("orchid-tandem-42", &["ｏｒｃｈｉｄ-tandem-42"]).is_err());
    }

    #[test]
    fn passwords_of_one_compatibility_form_are_one_password() {
        for (typed, same) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{212b}ngstr\u{f6}m", "A\u{30a}ngstro\u{308}m"),
            ("ｐａｓｓ", "pass"),
            ("ﬁnd²", "find2"),
        ] {
            assert_eq!(PasswordAttempt::new(typed).expose(), PasswordAttempt::new(same).expose());
        }
        assert_ne!(PasswordAttempt::new("pass").expose(), PasswordAttempt::new("Pass").expose());
        assert_ne!(PasswordAttempt::new("pass").expose(), PasswordAttempt::new("pass ").expose());
    }

    #[test]
    fn an_over_long_attempt_is_bounded_and_is_nobodys_password() {
        let longest = PasswordAttempt::new(&"a".repeat(256));
        let over_long = PasswordAttempt::new(&"a".repeat(1_000_000));
        assert_eq!(longest.expose(), "a".repeat(256).as_bytes());
        assert_eq!(over_long.expose().len(), 257);
        assert!(std::str::from_utf8(over_long.expose()).is_err());
        assert!(PasswordAttempt::new(&"\u{fdfa}".repeat(9_999)).expose().len() < 20_000);
    }

    #[test]
    fn secrets_do_not_print() {
        let password = NewPassword::parse("your-secure-password", &CONTEXT).unwrap();
        assert_eq!(format!("{password:?}"), "NewPassword(PasswordAttempt([redacted]))");
        assert_eq!(format!("{:?}", PasswordHash::new("$scrypt$".to_owned())), "PasswordHash([redacted])");
    }
}
