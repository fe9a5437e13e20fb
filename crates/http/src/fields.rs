//! Reads the fields of a JSON object strictly, and tells everything that is wrong with them at once.

use std::collections::BTreeMap;
use std::fmt::Display;

use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// So many unknown fields are named; an answer need not grow with the nonsense it answers.
const MAX_NAMED_UNKNOWN: usize = 32;

/// What is wrong with each field or query parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct FieldProblems(BTreeMap<String, Vec<String>>);

/// A request body that can be read from the fields of a JSON object.
pub(crate) trait FromFields: Sized {
    /// Reads every field, so that every problem is found; `None` when there was any.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// A body of which nothing is known, so every field is one too many.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFields;

/// The fields of one object while they are being read.
pub(crate) struct Fields<'a> {
    given: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
    problems: FieldProblems,
}

impl FieldProblems {
    /// Notes a problem.
    pub(crate) fn add(&mut self, name: impl Into<String>, problem: impl Into<String>) {
        self.0.entry(name.into()).or_default().push(problem.into());
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<'a> Fields<'a> {
    /// Reads `T` from `given`, on top of `problems` found elsewhere.
    pub(crate) fn read<T: FromFields>(
        given: Vec<(String, &'a RawValue)>,
        problems: FieldProblems,
    ) -> Result<T, FieldProblems> {
        let mut fields = Self { given, known: Vec::new(), problems };
        let value = T::from_fields(&mut fields);
        fields.refuse_unknown();
        match value {
            Some(value) if fields.problems.is_empty() => Ok(value),
            _ => Err(fields.problems),
        }
    }

    /// A field that must be there, and not null.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let Some(given) = self.take(name)? else {
            self.refuse(name, "is required");
            return None;
        };
        self.read_value(name, given, read)
    }

    /// A field that may be absent, but not null. The outer `None` is a problem, noted.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let Some(given) = self.take(name)? else { return Some(None) };
        self.read_value(name, given, read).map(Some)
    }

    /// A field that may be null, or absent, which means the same. The outer `None` is a problem, noted.
    pub(crate) fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Some(given) if given.get() != "null" => self.read_value(name, given, read).map(Some),
            _ => Some(None),
        }
    }

    /// A field of a change that may be absent, which leaves things as they are, or null, which takes them away.
    /// The outer `None` is a problem, noted.
    pub(crate) fn clearable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<Option<Option<T>>> {
        match self.take(name)? {
            Some(given) if given.get() == "null" => Some(Some(None)),
            Some(given) => self.read_value(name, given, read).map(|value| Some(Some(value))),
            None => Some(None),
        }
    }

    /// Notes a problem with a field.
    pub(crate) fn refuse(&mut self, name: &'static str, problem: impl Into<String>) {
        self.problems.add(name, problem);
    }

    /// The field's only value; `Some(None)` when it is absent, `None` when it is there more than once.
    fn take(&mut self, name: &'static str) -> Option<Option<&'a RawValue>> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name).map(|(_, value)| *value);
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            self.refuse(name, "is given more than once");
            return None;
        }
        Some(first)
    }

    fn read_value<T>(
        &mut self,
        name: &'static str,
        given: &RawValue,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        if given.get() == "null" {
            self.refuse(name, "must not be null");
            return None;
        }
        read(given).map_err(|problem| self.refuse(name, problem)).ok()
    }

    fn refuse_unknown(&mut self) {
        let known = if self.known.is_empty() {
            "is unknown; this route takes no fields".to_owned()
        } else {
            format!("is unknown; this route takes {}", self.known.join(", "))
        };
        let unknown = self.given.iter().filter(|(name, _)| !self.known.contains(&name.as_str()));
        for (name, _) in unknown.take(MAX_NAMED_UNKNOWN) {
            if !self.problems.0.contains_key(name) {
                self.problems.add(clipped(name), known.clone());
            }
        }
    }
}

impl FromFields for NoFields {
    fn from_fields(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Reads any string.
pub(crate) fn string(value: &RawValue) -> Result<String, String> {
    serde_json::from_str(value.get()).map_err(|_| "must be a string".to_owned())
}

/// Reads a string straight into memory that is cleared after use.
pub(crate) fn secret(value: &RawValue) -> Result<SecretString, String> {
    string(value).map(SecretString::from)
}

/// Reads a string by the rules of `parse`.
pub(crate) fn text<T, E: Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl FnOnce(&RawValue) -> Result<T, String> {
    move |value| parse(&string(value)?).map_err(|problem| problem.to_string())
}

/// Something a caller wrote, in quotation marks and short enough to be told back.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", clipped(text))
}

/// Something a caller wrote, short enough to be told back.
pub(crate) fn clipped(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
