//! How the JSON encoders of other languages would write a body that was parsed first.

use std::fmt::Write as _;

use super::Finding;
use crate::canonical::{CanonicalObject, CanonicalValue};

/// A JSON encoder, described by what it does differently from `JSON.stringify`.
#[derive(Clone, Copy)]
pub(super) struct Encoder {
    separators: Separators,
    /// Whether a character is written as `\u` and four digits, or as `\/`, where `JSON.stringify` would not.
    escapes: fn(char) -> bool,
    keys: Keys,
    objects: Objects,
    /// What it does differently, to be told.
    pub(super) findings: &'static [Finding],
}

#[derive(Clone, Copy)]
enum Separators {
    Compact,
    /// A blank after each comma and colon.
    Spaced,
    /// A line for each value, indented by so many blanks.
    Indented(usize),
}

#[derive(Clone, Copy)]
enum Keys {
    AsTheyCame,
    Sorted,
}

#[derive(Clone, Copy)]
enum Objects {
    Kept,
    /// PHP's arrays are both: what looks like a list, the empty object included, is written as one.
    ListsWherePossible,
}

/// The usual encoders, those that differ least first.
pub(super) const ENCODERS: &[Encoder] = {
    use Finding::{
        Indented, KeysSorted, MarkupEscaped, NonAsciiEscaped, ObjectsBecameLists, SlashesEscaped,
        SpacesAfterSeparators,
    };
    use Keys::{AsTheyCame, Sorted};
    use Objects::{Kept, ListsWherePossible};
    use Separators::{Compact, Spaced};
    const TWO: Separators = Separators::Indented(2);
    const FOUR: Separators = Separators::Indented(4);
    &[
        // Python's json.dumps with and without `ensure_ascii`, `separators`, `indent` and `sort_keys`;
        // JavaScript's JSON.stringify with an indent.
        encoder(Spaced, verbatim, AsTheyCame, Kept, &[SpacesAfterSeparators]),
        encoder(Compact, python, AsTheyCame, Kept, &[NonAsciiEscaped]),
        encoder(Spaced, python, AsTheyCame, Kept, &[SpacesAfterSeparators, NonAsciiEscaped]),
        encoder(TWO, verbatim, AsTheyCame, Kept, &[Indented]),
        encoder(FOUR, verbatim, AsTheyCame, Kept, &[Indented]),
        encoder(TWO, python, AsTheyCame, Kept, &[Indented, NonAsciiEscaped]),
        encoder(FOUR, python, AsTheyCame, Kept, &[Indented, NonAsciiEscaped]),
        encoder(Compact, verbatim, Sorted, Kept, &[KeysSorted]),
        encoder(Spaced, verbatim, Sorted, Kept, &[KeysSorted, SpacesAfterSeparators]),
        encoder(Compact, python, Sorted, Kept, &[KeysSorted, NonAsciiEscaped]),
        encoder(Spaced, python, Sorted, Kept, &[KeysSorted, SpacesAfterSeparators, NonAsciiEscaped]),
        // PHP's json_encode with and without JSON_UNESCAPED_SLASHES, JSON_UNESCAPED_UNICODE and JSON_PRETTY_PRINT, of
        // what json_decode made objects or arrays.
        encoder(Compact, php_unicode, AsTheyCame, Kept, &[NonAsciiEscaped]),
        encoder(Compact, php_slashes, AsTheyCame, Kept, &[SlashesEscaped]),
        encoder(Compact, php, AsTheyCame, Kept, &[SlashesEscaped, NonAsciiEscaped]),
        encoder(FOUR, php, AsTheyCame, Kept, &[Indented, SlashesEscaped, NonAsciiEscaped]),
        encoder(Compact, verbatim, AsTheyCame, ListsWherePossible, &[ObjectsBecameLists]),
        encoder(Compact, php_unicode, AsTheyCame, ListsWherePossible, &[ObjectsBecameLists, NonAsciiEscaped]),
        encoder(Compact, php_slashes, AsTheyCame, ListsWherePossible, &[ObjectsBecameLists, SlashesEscaped]),
        encoder(
            Compact,
            php,
            AsTheyCame,
            ListsWherePossible,
            &[ObjectsBecameLists, SlashesEscaped, NonAsciiEscaped],
        ),
        // Rails; Go, of a struct and of a map; Gson.
        encoder(Compact, markup, AsTheyCame, Kept, &[MarkupEscaped]),
        encoder(Compact, markup, Sorted, Kept, &[KeysSorted, MarkupEscaped]),
        encoder(Compact, gson, AsTheyCame, Kept, &[MarkupEscaped]),
    ]
};

const fn encoder(
    separators: Separators,
    escapes: fn(char) -> bool,
    keys: Keys,
    objects: Objects,
    findings: &'static [Finding],
) -> Encoder {
    Encoder { separators, escapes, keys, objects, findings }
}

fn verbatim(_: char) -> bool {
    false
}

/// `ESCAPE_ASCII` of Python's json.encoder: DEL is escaped as well.
fn python(character: char) -> bool {
    !(' '..='~').contains(&character)
}

fn php_unicode(character: char) -> bool {
    !character.is_ascii()
}

fn php_slashes(character: char) -> bool {
    // Without JSON_UNESCAPED_LINE_TERMINATORS these two stay escaped.
    matches!(character, '/' | '\u{2028}' | '\u{2029}')
}

fn php(character: char) -> bool {
    php_unicode(character) || php_slashes(character)
}

/// What would end a script element.
fn markup(character: char) -> bool {
    matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn gson(character: char) -> bool {
    markup(character) || matches!(character, '=' | '\'')
}

impl Encoder {
    /// The value's text as this encoder writes it.
    pub(super) fn encode(self, value: &CanonicalValue<'_>) -> String {
        let mut text = String::new();
        self.write(value, 0, &mut text);
        text
    }

    fn write(self, value: &CanonicalValue<'_>, depth: usize, out: &mut String) {
        match value {
            CanonicalValue::Null => out.push_str("null"),
            CanonicalValue::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
            CanonicalValue::Integer(integer) => out.push_str(&integer.get().to_string()),
            CanonicalValue::Text(text) => self.write_text(text, out),
            CanonicalValue::Array(items) => self.write_list(items.iter(), depth, out),
            CanonicalValue::Object(object) if self.makes_list_of(object) => {
                self.write_list(object.entries().map(|(_, item)| item), depth, out);
            }
            CanonicalValue::Object(object) => self.write_object(object, depth, out),
        }
    }

    fn makes_list_of(self, object: &CanonicalObject<'_>) -> bool {
        match self.objects {
            Objects::Kept => false,
            Objects::ListsWherePossible => {
                object.entries().enumerate().all(|(index, (key, _))| key == index.to_string())
            }
        }
    }

    fn write_list<'v>(
        self,
        items: impl Iterator<Item = &'v CanonicalValue<'v>>,
        depth: usize,
        out: &mut String,
    ) {
        out.push('[');
        let mut count = 0;
        for item in items {
            self.separate(count, depth + 1, out);
            self.write(item, depth + 1, out);
            count += 1;
        }
        self.close(count, depth, out);
        out.push(']');
    }

    fn write_object(self, object: &CanonicalObject<'_>, depth: usize, out: &mut String) {
        let mut entries: Vec<_> = object.entries().collect();
        if matches!(self.keys, Keys::Sorted) {
            entries.sort_by_key(|(key, _)| *key);
        }
        let colon = match self.separators {
            Separators::Compact => ":",
            Separators::Spaced | Separators::Indented(_) => ": ",
        };
        out.push('{');
        for (index, (key, value)) in entries.iter().enumerate() {
            self.separate(index, depth + 1, out);
            self.write_text(key, out);
            out.push_str(colon);
            self.write(value, depth + 1, out);
        }
        self.close(entries.len(), depth, out);
        out.push('}');
    }

    fn separate(self, index: usize, depth: usize, out: &mut String) {
        if index > 0 {
            out.push(',');
        }
        match self.separators {
            Separators::Compact => {}
            Separators::Spaced if index == 0 => {}
            Separators::Spaced => out.push(' '),
            Separators::Indented(width) => push_line(width * depth, out),
        }
    }

    fn close(self, count: usize, depth: usize, out: &mut String) {
        if let (Separators::Indented(width), 1..) = (self.separators, count) {
            push_line(width * depth, out);
        }
    }

    fn write_text(self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\u{c}' => out.push_str("\\f"),
                '\r' => out.push_str("\\r"),
                '/' if (self.escapes)('/') => out.push_str("\\/"),
                '\0'..='\u{1f}' => push_escape(character, out),
                _ if (self.escapes)(character) => push_escape(character, out),
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}

fn push_line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// `\u` and four lower-case digits for each UTF-16 unit.
fn push_escape(character: char, out: &mut String) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a string never fails.
        let _ = write!(out, "\\u{unit:04x}");
    }
}
