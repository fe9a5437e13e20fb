//! The bytes that somebody may have signed instead of the body.

use std::borrow::Cow;

use ring::hmac;
use subtle::ConstantTimeEq as _;

use super::Finding;
use super::encoders::ENCODERS;
use crate::canonical::CanonicalValue;

/// Bytes that somebody may have signed instead of the body.
pub(super) struct BodyForm<'a> {
    bytes: Cow<'a, [u8]>,
    pub(super) findings: Vec<Finding>,
}

impl BodyForm<'_> {
    /// What has to follow these bytes, if anything, so that `key` gives `tag`.
    pub(super) fn ending_that_gives(&self, tag: &[u8; 32], key: &hmac::Key) -> Option<&'static [Finding]> {
        const ENDINGS: [(&[u8], &[Finding]); 3] =
            [(b"", &[]), (b"\n", &[Finding::NewlineAdded]), (b"\r\n", &[Finding::NewlineAdded])];
        let mut context = hmac::Context::with_key(key);
        context.update(&self.bytes);
        ENDINGS.into_iter().find_map(|(ending, findings)| {
            let mut context = context.clone();
            context.update(ending);
            bool::from(context.sign().as_ref().ct_eq(tag)).then_some(findings)
        })
    }
}

/// Everything that is known to be signed by mistake, what differs least first; made one at a time.
pub(super) fn forms_of(body: &[u8]) -> impl Iterator<Item = BodyForm<'_>> {
    let form = |bytes, findings: &[Finding]| BodyForm { bytes, findings: findings.to_vec() };
    let text = String::from_utf8_lossy(body);
    let latin1: String = body.iter().copied().map(char::from).collect();
    let quoted = CanonicalValue::from(text.as_ref()).to_bytes();
    let plain = [
        form(Cow::Borrowed(body), &[]),
        form(Cow::Borrowed(body.trim_ascii()), &[Finding::Trimmed]),
        form(Cow::Borrowed(&[]), &[Finding::EmptyBody]),
        form(Cow::Borrowed(b"{}"), &[Finding::BodyNotParsed]),
        form(Cow::Borrowed(b"[object Object]"), &[Finding::ObjectAsText]),
        form(Cow::Owned(quoted), &[Finding::EncodedTwice]),
        form(Cow::Owned(latin1.into_bytes()), &[Finding::ReadAsLatin1]),
    ];
    // The body is ours, so it parses; anything else has no other forms.
    let event: Option<CanonicalValue<'static>> = serde_json::from_slice(body).ok();
    let data = event.as_ref().and_then(data_of).cloned();
    let data = data.map(|data| form(Cow::Owned(data.to_bytes()), &[Finding::DataAlone]));
    let reencoded = event.into_iter().flat_map(|event| {
        ENCODERS.iter().map(move |encoder| BodyForm {
            bytes: Cow::Owned(encoder.encode(&event).into_bytes()),
            findings: encoder.findings.to_vec(),
        })
    });
    plain.into_iter().chain(data).chain(reencoded)
}

fn data_of<'v>(event: &'v CanonicalValue<'static>) -> Option<&'v CanonicalValue<'static>> {
    let CanonicalValue::Object(event) = event else { return None };
    event.entries().find_map(|(key, value)| (key == "data").then_some(value))
}
