//! The beginning of an answer's body, for the log.

use reqwest::Response;
use tokio::time::{Instant, timeout_at};

/// As much as is kept.
const KEPT: usize = 1024;

/// As much as is read, so that the connection can carry the next post after a page of error, say. After a
/// longer answer it is closed.
const READ: usize = 16 * 1024;

/// Reads a body until its end, its bound, or the deadline, and makes text of its beginning. A body that
/// breaks off is as good as one that ends: the status has come.
pub(super) async fn read(mut answer: Response, until: Instant) -> String {
    let mut kept = Vec::new();
    let mut read = 0;
    while let Ok(Ok(Some(piece))) = timeout_at(until, answer.chunk()).await {
        let wanted = piece.len().min(KEPT - kept.len());
        kept.extend_from_slice(&piece[..wanted]);
        read += piece.len();
        if read > READ {
            break;
        }
    }
    text(&kept, read > KEPT)
}

/// Text of bytes: what is not UTF-8 becomes U+FFFD, and so does U+0000, which PostgreSQL's text cannot hold.
/// A character that the cut went through is left out.
fn text(bytes: &[u8], cut: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let halved = cut && chunks.peek().is_none() && is_beginning(chunk.invalid());
        if !chunk.invalid().is_empty() && !halved {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text.replace('\0', "\u{FFFD}")
}

fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_leaves_no_half_character() {
        let euro = "€".as_bytes();
        assert_eq!(text(&[b"a", &euro[..2]].concat(), true), "a");
        assert_eq!(text(&[b"a", &euro[..2]].concat(), false), "a\u{FFFD}");
        assert_eq!(text(&[b"a", euro].concat(), true), "a€");
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(text(b"a\xffb\xff", true), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(text(b"a\0b", false), "a\u{FFFD}b");
        assert_eq!(text(b"", false), "");
    }
}
