//! Log lines as JSON, one object a line, written straight into the line: the access log costs every request.

use std::fmt::{self, Write as _};

use cryptopay_auth::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats an event as `{"timestamp":…,"level":…,"target":…,<its fields>,"span":{<its span's fields>}}`.
///
/// Use it with [`JsonFields`], which is what keeps the fields of spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = SystemClock.now();
        let micros = now.unix_micros().rem_euclid(1_000_000);
        let seconds = now.to_string();
        let metadata = event.metadata();
        write!(
            writer,
            r#"{{"timestamp":"{}.{micros:06}Z","level":"{}","target":"{}""#,
            seconds.trim_end_matches('Z'),
            metadata.level(),
            metadata.target(),
        )?;
        let mut fields = Fields { writer: &mut writer, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        if let Some(span) = context.lookup_current()
            && let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>()
            && !fields.is_empty()
        {
            write!(writer, r#","span":{fields}"#)?;
        }
        writer.write_str("}\n")
    }
}

struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn raw(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = write!(self.writer, r#","{}":{value}"#, field.name());
        self.result = self.result.and(written);
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = write!(self.writer, r#","{}":""#, field.name())
            .and_then(|()| Escaped(self.writer).write_fmt(value))
            .and_then(|()| self.writer.write_char('"'));
        self.result = self.result.and(written);
    }
}

impl Visit for Fields<'_, '_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Escapes what it is given for the inside of a JSON string (RFC 8259 §7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean_from = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..0x20 => "",
                _ => continue,
            };
            // Only ASCII bytes match, so both cuts lie between characters.
            self.0.write_str(&text[clean_from..at])?;
            if escape.is_empty() {
                write!(self.0, "\\u{byte:04x}")?;
            } else {
                self.0.write_str(escape)?;
            }
            clean_from = at + 1;
        }
        self.0.write_str(&text[clean_from..])
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let captured = Captured::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(captured.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_is_one_json_object_whatever_is_logged() {
        let nasty = "quote \" backslash \\ newline \n null \0 unit \u{1f} emoji 🏪 line \u{2028}";
        let logged =
            lines(|| tracing::info!(nasty, shown = %nasty, count = 7_u64, sign = -7, yes = true, "hello"));
        assert_eq!(logged.len(), 1);
        let line = &logged[0];
        assert_eq!(line["nasty"], nasty);
        assert_eq!(line["shown"], nasty);
        assert_eq!((&line["count"], &line["sign"], &line["yes"]), (&7.into(), &(-7).into(), &true.into()));
        assert_eq!((&line["message"], &line["level"]), (&"hello".into(), &"INFO".into()));
        let moment = line["timestamp"].as_str().unwrap();
        assert_eq!((moment.len(), &moment[19..20]), ("2026-01-02T12:00:00.000000Z".len(), "."));
    }

    #[test]
    fn an_event_carries_the_fields_of_its_request() {
        let logged = lines(|| {
            let span = tracing::info_span!("request", route = "/api/auth/login", id = %"a1");
            span.in_scope(|| tracing::warn!("inside"));
            tracing::warn!("outside");
        });
        assert_eq!(logged[0]["span"]["route"], "/api/auth/login");
        assert_eq!(logged[0]["span"]["id"], "a1");
        assert_eq!(logged[1].get("span"), None);
    }
}
