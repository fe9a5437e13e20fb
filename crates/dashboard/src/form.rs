//! Forms: what was typed, and what is wrong with it.

use std::fmt;

use secrecy::SecretString;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// The fields of a form or a query, in their order. They may hold passwords, so they are cleared after use and never
/// shown.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

/// What is wrong with a form, field by field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<(&'static str, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`, which is never malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let fields = form_urlencoded::parse(bytes);
        Self(fields.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect())
    }

    /// A field as it was typed; empty when it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of a field, such as of checkboxes with one name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field that holds a secret.
    pub(crate) fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.text(name).to_owned())
    }

    /// Every field.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Problems {
    /// Adds a complaint about a field, a sentence without its subject: `must have 3 to 64 characters`.
    pub(crate) fn add(&mut self, field: &'static str, complaint: impl fmt::Display) {
        let mut sentence = complaint.to_string();
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if !sentence.ends_with(['.', '!', '?']) {
            sentence.push('.');
        }
        self.0.push((field, sentence));
    }

    /// Keeps what could be parsed, and complains about the rest.
    pub(crate) fn keep<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed.inspect_err(|error| self.add(field, error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a field, in one text; empty when nothing is.
    pub(crate) fn of(&self, field: &str) -> String {
        let of_field = self.0.iter().filter(|(name, _)| *name == field);
        of_field.map(|(_, sentence)| sentence.as_str()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_never_shown() {
        let form =
            Form::parse("name=a+b%26%3C&permissions=read&permissions=full_access&password=s3cret".as_bytes());
        assert_eq!(form.text("name"), "a b&<");
        assert_eq!(form.text("absent"), "");
        assert_eq!(form.all("permissions").collect::<Vec<_>>(), ["read", "full_access"]);
        assert!(!format!("{form:?}").contains("s3cret"));
    }

    #[test]
    fn complaints_are_told_as_sentences_beside_their_field() {
        let mut problems = Problems::default();
        assert!(problems.is_empty());
        problems.add("name", "must not be empty");
        problems.add("name", "Choose another!");
        assert_eq!(problems.of("name"), "Must not be empty. Choose another!");
        assert_eq!(problems.of("other"), "");
    }
}
