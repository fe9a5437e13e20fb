//! The table.

use std::fmt;

/// One bar and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The result.
    pub(crate) measured: String,
    /// What it is compared with, measured in the same run.
    pub(crate) beside: String,
    /// The ratio or number that is held against the bar.
    pub(crate) verdict: String,
    /// The bar.
    pub(crate) bar: String,
    /// Which of the numbers decided.
    pub(crate) decided_by: String,
    /// Whether the bar is reached; none if there was nothing to compare with.
    pub(crate) passed: Option<bool>,
}

/// The rows as a table in Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("| what | measured | beside it | result | bar | decided by | |\n")?;
        f.write_str("|---|---|---|---|---|---|---|\n")?;
        for row in self.0 {
            let Row { what, measured, beside, verdict, bar, decided_by, passed } = row;
            let passed = match passed {
                Some(true) => "pass",
                Some(false) => "**miss**",
                None => "not measured",
            };
            writeln!(f, "| {what} | {measured} | {beside} | {verdict} | {bar} | {decided_by} | {passed} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_stands_out() {
        let row = Row {
            what: "a".to_owned(),
            measured: "b".to_owned(),
            beside: "c".to_owned(),
            verdict: "0.5".to_owned(),
            bar: "≥ 0.7".to_owned(),
            decided_by: "requests/s".to_owned(),
            passed: Some(false),
        };
        let table = Table(&[row]).to_string();
        assert!(table.ends_with("| a | b | c | 0.5 | ≥ 0.7 | requests/s | **miss** |\n"), "{table}");
    }
}
