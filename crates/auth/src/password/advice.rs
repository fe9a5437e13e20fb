//! What to tell somebody whose password is refused.
//!
//! The texts are our own: zxcvbn's quote passwords such as `abcabcabc`, and a message that happens to
//! hold the very password would look like an echo of it.

use zxcvbn::Entropy;
use zxcvbn::feedback::{Suggestion, Warning};

use super::{MAX_CHARACTERS, MIN_CHARACTERS};

/// For a password that is too short or too long.
pub(super) fn length() -> String {
    format!("must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters")
}

/// For a password that is easily guessed: the reason first, then what would help.
pub(super) fn strength(entropy: &Entropy, judged: &str, fields: &[&str]) -> Vec<String> {
    let warning = entropy.feedback().and_then(|feedback| feedback.warning());
    let suggestions = entropy.feedback().map_or(&[][..], |feedback| feedback.suggestions());
    let mut messages = vec![match warning.map(reason) {
        Some(reason) => format!("is too easy to guess: {reason}"),
        None => "is too easy to guess".to_owned(),
    }];
    if holds_a_field(judged, fields) {
        messages.push(other_fields());
    }
    messages.extend(suggestions.iter().map(|suggestion| help(*suggestion).to_owned()));
    messages
}

/// For a password built from the other fields, which one who attacks this account knows.
pub(super) fn other_fields() -> String {
    "leave out what you entered in the other fields".to_owned()
}

fn holds_a_field(judged: &str, fields: &[&str]) -> bool {
    let judged = zeroize::Zeroizing::new(judged.to_lowercase());
    fields.iter().any(|field| !field.is_empty() && judged.contains(&field.to_lowercase()))
}

const fn reason(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => "a straight row of keys",
        Warning::ShortKeyboardPatternsAreEasyToGuess => "a short keyboard pattern",
        Warning::RepeatsLikeAaaAreEasyToGuess => "one character, repeated",
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => "a few characters, repeated",
        Warning::ThisIsATop10Password => "one of the ten most common",
        Warning::ThisIsATop100Password => "one of the hundred most common",
        Warning::ThisIsACommonPassword => "a very common one",
        Warning::ThisIsSimilarToACommonlyUsedPassword => "close to a common one",
        Warning::SequencesLikeAbcAreEasyToGuess => "a sequence such as abc or 6543",
        Warning::RecentYearsAreEasyToGuess => "a recent year",
        Warning::AWordByItselfIsEasyToGuess => "a word by itself",
        Warning::DatesAreOftenEasyToGuess => "a date",
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => "a name by itself",
        Warning::CommonNamesAndSurnamesAreEasyToGuess => "a common name",
    }
}

const fn help(suggestion: Suggestion) -> &'static str {
    match suggestion {
        Suggestion::UseAFewWordsAvoidCommonPhrases => "use a few words, but no common phrase",
        Suggestion::NoNeedForSymbolsDigitsOrUppercaseLetters => {
            "symbols, digits and upper-case letters are not needed"
        }
        Suggestion::AddAnotherWordOrTwo => "add another word or two, best rare ones",
        Suggestion::CapitalizationDoesntHelpVeryMuch => "a capital letter hardly helps",
        Suggestion::AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase => {
            "writing it all in capitals hardly helps"
        }
        Suggestion::ReversedWordsArentMuchHarderToGuess => "spelling a word backwards hardly helps",
        Suggestion::PredictableSubstitutionsDontHelpVeryMuch => {
            "writing similar signs for letters, such as @ for a, hardly helps"
        }
        Suggestion::UseALongerKeyboardPatternWithMoreTurns => "use a longer keyboard pattern with more turns",
        Suggestion::AvoidRepeatedWordsAndCharacters => "avoid repeats",
        Suggestion::AvoidSequences => "avoid sequences",
        Suggestion::AvoidRecentYears => "avoid recent years",
        Suggestion::AvoidYearsThatAreAssociatedWithYou => "avoid years that others can link to you",
        Suggestion::AvoidDatesAndYearsThatAreAssociatedWithYou => {
            "avoid dates and years that others can link to you"
        }
    }
}
