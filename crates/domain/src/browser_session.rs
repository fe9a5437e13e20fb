//! Sessions of browsers: how long one holds, and when its owner is asked for the password again.

use std::time::Duration;

use crate::session::PresentedRefresh;
use crate::{Session, Timestamp};

/// How long a browser session holds without being used (NIST SP 800-63B §4.2.3 asks for it again after twelve hours).
pub const MAX_IDLE: Duration = Duration::from_secs(12 * 3600);
/// How long after the password was typed credentials may be changed without typing it again.
pub const RECENT: Duration = Duration::from_secs(15 * 60);

/// How sure it is that whoever holds a browser session is still its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The password was typed within [`RECENT`].
    Recent,
    /// It was typed before: ask for it again before a credential changes.
    Aged,
}

/// Decides whether a browser session holds, from its row and the presented token, whose MAC has been checked.
/// `None` when it does not: it was ended, has expired, or was not used for [`MAX_IDLE`].
///
/// The token of a browser is never rotated, so it has to be the one that the session began with.
#[must_use]
pub fn judge_browser_session(
    session: &Session,
    presented: PresentedRefresh,
    now: Timestamp,
) -> Option<Confidence> {
    let is_current = presented.counter == session.line.counter
        && presented.issued_at.unix_seconds() == session.line.issued_at.unix_seconds();
    let has_ended = session.ended_at.is_some()
        || now >= session.expires_at
        || now >= session.last_used_at.after(MAX_IDLE);
    if !is_current || has_ended {
        return None;
    }
    let is_recent = now < session.created_at.after(RECENT);
    Some(if is_recent { Confidence::Recent } else { Confidence::Aged })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::session::{EarlierUses, RefreshLine};
    use crate::{SessionId, UserId};

    const BEGUN: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn session() -> Session {
        Session {
            id: SessionId(Uuid::from_u128(1)),
            user_id: UserId(1),
            created_at: BEGUN,
            last_used_at: BEGUN,
            expires_at: BEGUN.after(Duration::from_secs(30 * 86_400)),
            ip: "192.0.2.1".to_owned(),
            user_agent: None,
            line: RefreshLine {
                counter: 0,
                issued_at: BEGUN,
                mac_key: "k".to_owned(),
                used_at: None,
                earlier_uses: EarlierUses::default(),
            },
            ended_at: None,
        }
    }

    const FIRST: PresentedRefresh = PresentedRefresh { counter: 0, issued_at: BEGUN };

    #[test]
    fn a_session_is_recent_for_a_quarter_of_an_hour_and_holds_while_it_is_used() {
        let (hour, half_a_day) = (3600, 12 * 3600);
        // seconds since the login, seconds from the login to the last use
        for (seconds, used, expected) in [
            (0, 0, Some(Confidence::Recent)),
            (899, 0, Some(Confidence::Recent)),
            (900, 899, Some(Confidence::Aged)),
            (half_a_day - 1, 0, Some(Confidence::Aged)),
            (half_a_day, 0, None),
            (half_a_day + hour, hour + 1, Some(Confidence::Aged)),
            (half_a_day + hour, hour, None),
            (30 * 86_400 - 1, 30 * 86_400 - 2, Some(Confidence::Aged)),
            (30 * 86_400, 30 * 86_400 - 1, None),
        ] {
            let last_used_at = BEGUN.after(Duration::from_secs(used));
            let session = Session { last_used_at, ..session() };
            let now = BEGUN.after(Duration::from_secs(seconds));
            assert_eq!(judge_browser_session(&session, FIRST, now), expected, "{seconds} {used}");
        }
    }

    #[test]
    fn an_ended_session_or_a_token_of_another_line_opens_nothing() {
        let ended = Session { ended_at: Some(BEGUN), ..session() };
        assert_eq!(judge_browser_session(&ended, FIRST, BEGUN), None);
        let later = BEGUN.after(Duration::from_secs(1));
        for presented in
            [PresentedRefresh { counter: 1, ..FIRST }, PresentedRefresh { issued_at: later, ..FIRST }]
        {
            assert_eq!(judge_browser_session(&session(), presented, BEGUN), None, "{presented:?}");
        }
    }
}
