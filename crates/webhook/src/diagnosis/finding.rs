//! The known mistakes, each with a name for programs and advice for people.

/// What differs between the signature that was made and the one that should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// A secret whose overlap has ended.
    OldSecret,
    /// The newer secret while a rotation overlaps.
    NewSecret,
    /// The bytes behind the secret's base64 instead of its text.
    SecretDecoded,
    /// The secret without `whsec_`.
    SecretWithoutPrefix,
    /// The secret with the line end of the file it was read from.
    SecretWithNewline,
    /// Base64 instead of hex.
    Base64,
    /// Upper-case hex digits.
    UpperCase,
    /// Something in front, such as `sha256=`.
    Prefixed,
    /// Blanks or a line end around it.
    BlanksAround,
    /// Nothing was signed.
    EmptyBody,
    /// A line end after the body.
    NewlineAdded,
    /// The body without the blanks around it.
    Trimmed,
    /// A blank after each comma and colon.
    SpacesAfterSeparators,
    /// Line ends and indents.
    Indented,
    /// `\u` escapes for what is not ASCII.
    NonAsciiEscaped,
    /// `\/` for `/`.
    SlashesEscaped,
    /// `\u003c` for `<` and the like.
    MarkupEscaped,
    /// Keys in another order.
    KeysSorted,
    /// `[]` for `{}`.
    ObjectsBecameLists,
    /// `data` instead of the whole event.
    DataAlone,
    /// A JSON string that holds the body.
    EncodedTwice,
    /// Each byte read as a character of its own.
    ReadAsLatin1,
    /// `[object Object]`.
    ObjectAsText,
    /// `{}`: the body was never parsed.
    BodyNotParsed,
}

impl Finding {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.parts().0
    }

    /// What to do about it, in a sentence or two.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::OldSecret => (
                "old_secret",
                "This was signed with the endpoint's previous secret. Use the one that the last rotation gave you.",
            ),
            Self::NewSecret => (
                "new_secret",
                "While a rotation overlaps, X-Webhook-Signature is still made with the old secret. Accept both \
                 secrets until the overlap ends, or verify webhook-signature, which carries both signatures.",
            ),
            Self::SecretDecoded => (
                "secret_decoded",
                "The key of X-Webhook-Signature is the secret's text as it was shown, whsec_ included. Do not decode \
                 its base64; only webhook-signature is made that way.",
            ),
            Self::SecretWithoutPrefix => {
                ("secret_without_prefix", "whsec_ is part of the secret. Use the whole text as it was shown.")
            }
            Self::SecretWithNewline => (
                "secret_with_newline",
                "The secret was used with a line end. Trim what you read from a file.",
            ),
            Self::Base64 => {
                ("base64", "The signature is written in hex. Use digest('hex'), hexdigest() or the like.")
            }
            Self::UpperCase => ("upper_case", "The signature is written in lower-case hex digits."),
            Self::Prefixed => (
                "prefixed",
                "The header holds 64 hex digits and nothing in front of them, neither sha256= nor v1,.",
            ),
            Self::BlanksAround => ("blanks_around", "There are blanks or a line end around the signature."),
            Self::EmptyBody => (
                "empty_body",
                "An empty body was signed. Something has read the request's body before your code did; keep its bytes.",
            ),
            Self::NewlineAdded => (
                "newline_added",
                "A line end was added to the body. Sign exactly what was received (echo -n, not echo).",
            ),
            Self::Trimmed => (
                "trimmed",
                "The body was trimmed. Sign exactly what was received, blanks at its ends included.",
            ),
            Self::SpacesAfterSeparators => (
                "spaces_after_separators",
                "The body was parsed and written again with blanks after commas and colons, as Python's json.dumps \
                 does. Sign the bytes received (request.get_data(), request.body).",
            ),
            Self::Indented => {
                ("indented", "The body was written again with indents. Sign the bytes received.")
            }
            Self::NonAsciiEscaped => (
                "non_ascii_escaped",
                "The body was parsed and written again with \\u escapes for everything that is not ASCII, as Python's \
                 json.dumps and PHP's json_encode do. Sign the bytes received.",
            ),
            Self::SlashesEscaped => (
                "slashes_escaped",
                "The body was parsed and written again with \\/ for each slash, as PHP's json_encode does. Sign the \
                 bytes received (file_get_contents('php://input')).",
            ),
            Self::MarkupEscaped => (
                "markup_escaped",
                "The body was parsed and written again with escapes for <, > and &, as Go's json.Marshal, Rails and \
                 Gson do. Sign the bytes received (io.ReadAll(r.Body), request.raw_post).",
            ),
            Self::KeysSorted => (
                "keys_sorted",
                "The body was parsed and written again with its keys sorted. Sign the bytes received.",
            ),
            Self::ObjectsBecameLists => (
                "objects_became_lists",
                "The body was parsed into PHP arrays, which made [] of {}. Sign the bytes received \
                 (file_get_contents('php://input')).",
            ),
            Self::DataAlone => ("data_alone", "Only data was signed. Sign the whole body."),
            Self::EncodedTwice => (
                "encoded_twice",
                "The body was text already when it was turned into JSON once more. Sign the text itself.",
            ),
            Self::ReadAsLatin1 => (
                "read_as_latin1",
                "The body was read as Latin-1. It is UTF-8; better, sign the bytes received.",
            ),
            Self::ObjectAsText => (
                "object_as_text",
                "The parsed body was turned into the text [object Object]. Sign JSON.stringify(req.body), or the \
                 bytes received.",
            ),
            Self::BodyNotParsed => (
                "body_not_parsed",
                "An empty object was signed: no middleware has parsed the body. Add app.use(express.json()).",
            ),
        }
    }
}
