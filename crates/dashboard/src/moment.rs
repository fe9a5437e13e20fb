//! Moments as pages show them: readable, in UTC, with the exact form beside it for programs and scripts.

use std::fmt;

use askama::filters::HtmlSafe;
use cryptopay_domain::Timestamp;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const FORM: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC");

/// A `<time>` element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Moment {
    /// `2 Jan 2024, 12:00 UTC`.
    pub(crate) fn text(self) -> String {
        self.0.to_datetime().format(FORM).unwrap_or_else(|_| self.0.to_string())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, self.text())
    }
}

// Digits, letters and punctuation of our own alone.
impl HtmlSafe for Moment {}

impl askama::FastWritable for Moment {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        write!(dest, "{self}")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_readable_and_exact() {
        let moment = Moment(Timestamp::from_unix_seconds(1_704_196_800));
        assert_eq!(
            moment.to_string(),
            "<time datetime=\"2024-01-02T12:00:00Z\">2 Jan 2024, 12:00 UTC</time>"
        );
    }
}
