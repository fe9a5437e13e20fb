//! Login sessions and the line of refresh tokens each of them has.
//!
//! A session has one live line: refresh token 0 is succeeded by 1, 1 by 2, and so on. The successor of a
//! token is one token, byte for byte, whoever asks how often, so a client that refreshes ten times at once,
//! or loses an answer, ends with the same token and never with a sibling.

use std::time::Duration;

use crate::{SessionId, Timestamp, UserId};

/// A login session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Whose session it is.
    pub user_id: UserId,
    /// When its owner logged in.
    pub created_at: Timestamp,
    /// When one of its tokens was last presented, to within a minute.
    pub last_used_at: Timestamp,
    /// When its current refresh token expires.
    pub expires_at: Timestamp,
    /// The client's address at login.
    pub ip: String,
    /// What the client called itself at login.
    pub user_agent: Option<String>,
    /// Its refresh tokens.
    pub line: RefreshLine,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
}

/// How long refresh tokens live, and how forgiving their reuse is.
#[derive(Clone, Copy, Debug)]
pub struct RefreshPolicy {
    /// A refresh token's life from its own issue.
    pub ttl: Duration,
    /// How long a spent token is still answered after its successor was first used.
    pub grace: Duration,
}

/// Where the line of a session's refresh tokens stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshLine {
    /// The counter of the current refresh token.
    pub counter: u64,
    /// When the current refresh token was issued, in whole seconds.
    pub issued_at: Timestamp,
    /// Which key authenticates the current refresh token, so that it can be made again byte for byte.
    pub mac_key: String,
    /// When the current token, or an access token issued together with it, was first presented.
    pub used_at: Option<Timestamp>,
    /// The same moment for earlier counters, as far back as the grace reaches.
    pub earlier_uses: EarlierUses,
}

/// What an authentic refresh token says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedRefresh {
    /// Its place in the line.
    pub counter: u64,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// What to do with a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDecision {
    /// It is the current token: spend it and issue its successor.
    Rotate,
    /// It is spent, but its answer may have been lost: answer with the current token again.
    Repeat,
    /// Past its own life, or the session has ended: refuse and change nothing.
    Refuse,
    /// Refuse, and end the session at once.
    EndSession(Breach),
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A spent token came back after its successor had been in use for longer than the grace.
    Reuse,
    /// The token is ahead of what the database knows: the database was rolled back.
    RolledBack,
}

/// Decides a refresh from the session's line and the presented token, whose MAC has been checked.
#[must_use]
pub fn decide_refresh(
    session: &Session,
    presented: PresentedRefresh,
    policy: RefreshPolicy,
    now: Timestamp,
) -> RefreshDecision {
    if now >= presented.issued_at.after(policy.ttl) || session.ended_at.is_some() {
        return RefreshDecision::Refuse;
    }
    let line = &session.line;
    if presented.counter > line.counter {
        return RefreshDecision::EndSession(Breach::RolledBack);
    }
    if presented.counter == line.counter {
        // Two authentic tokens of one counter exist only if the line was wound back and went another way.
        let same = presented.issued_at.unix_seconds() == line.issued_at.unix_seconds();
        return if same { RefreshDecision::Rotate } else { RefreshDecision::EndSession(Breach::RolledBack) };
    }
    match line.first_use(presented.counter + 1) {
        FirstUse::Never => RefreshDecision::Repeat,
        FirstUse::At(used_at) if now < used_at.after(policy.grace) => RefreshDecision::Repeat,
        FirstUse::At(_) | FirstUse::LongAgo => RefreshDecision::EndSession(Breach::Reuse),
    }
}

enum FirstUse {
    Never,
    At(Timestamp),
    LongAgo,
}

impl RefreshLine {
    /// The line after its current token was spent at `now` in favour of a successor made with `mac_key`.
    #[must_use]
    pub fn rotated(&self, mac_key: String, policy: RefreshPolicy, now: Timestamp) -> Self {
        let mut earlier_uses = self.earlier_uses.clone();
        earlier_uses.record(self.counter, self.used_at.unwrap_or(now));
        earlier_uses.forget_before(now.before(policy.grace));
        Self {
            counter: self.counter + 1,
            issued_at: now.whole_seconds(),
            mac_key,
            used_at: None,
            earlier_uses,
        }
    }

    /// The line after an access token issued with refresh counter `counter` was seen at `at`.
    #[must_use]
    pub fn seen(mut self, counter: u64, at: Timestamp) -> Self {
        if counter == self.counter && self.used_at.is_none() {
            self.used_at = Some(at);
        }
        self
    }

    fn first_use(&self, counter: u64) -> FirstUse {
        if counter == self.counter {
            return self.used_at.map_or(FirstUse::Never, FirstUse::At);
        }
        self.earlier_uses.first_use(counter).map_or(FirstUse::LongAgo, FirstUse::At)
    }
}

/// When earlier counters of a line were first used.
///
/// Counters are first used in order, so one entry for each second, the lowest counter first used in it, says
/// it all: however fast a client refreshes, a row holds no more entries than the grace has seconds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EarlierUses(Vec<Use>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    from_counter: u64,
    at: Timestamp,
}

/// Text that [`EarlierUses`] did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed list of earlier uses")]
pub struct EarlierUsesError;

impl EarlierUses {
    fn record(&mut self, counter: u64, at: Timestamp) {
        match self.0.last_mut() {
            // Within one second the latest moment stands for all: lenient by less than a second.
            Some(last) if at.unix_seconds() <= last.at.unix_seconds() => last.at = last.at.max(at),
            _ => self.0.push(Use { from_counter: counter, at }),
        }
    }

    fn forget_before(&mut self, moment: Timestamp) {
        self.0.retain(|entry| entry.at > moment);
    }

    fn first_use(&self, counter: u64) -> Option<Timestamp> {
        self.0.iter().rev().find(|entry| entry.from_counter <= counter).map(|entry| entry.at)
    }

    /// The form a row keeps: `counter@microseconds` separated by blanks.
    #[must_use]
    pub fn to_text(&self) -> String {
        let entries: Vec<String> =
            self.0.iter().map(|entry| format!("{}@{}", entry.from_counter, entry.at.unix_micros())).collect();
        entries.join(" ")
    }

    /// Reads what [`EarlierUses::to_text`] wrote.
    ///
    /// # Errors
    /// [`EarlierUsesError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, EarlierUsesError> {
        text.split_ascii_whitespace()
            .map(|entry| {
                let (counter, micros) = entry.split_once('@').ok_or(EarlierUsesError)?;
                Ok(Use {
                    from_counter: counter.parse().map_err(|_| EarlierUsesError)?,
                    at: Timestamp::from_unix_micros(micros.parse().map_err(|_| EarlierUsesError)?),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RefreshPolicy =
        RefreshPolicy { ttl: Duration::from_secs(2_592_000), grace: Duration::from_secs(30) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn session() -> Session {
        Session {
            id: "0193f1b2c3d4700089abcdef01234567".parse().unwrap(),
            user_id: UserId(1),
            created_at: at(0),
            last_used_at: at(0),
            expires_at: at(0).after(POLICY.ttl),
            ip: "192.0.2.1".to_owned(),
            user_agent: None,
            line: RefreshLine {
                counter: 0,
                issued_at: at(0),
                mac_key: "k".to_owned(),
                used_at: None,
                earlier_uses: EarlierUses::default(),
            },
            ended_at: None,
        }
    }

    fn current(session: &Session) -> PresentedRefresh {
        PresentedRefresh { counter: session.line.counter, issued_at: session.line.issued_at }
    }

    fn rotate(session: &mut Session, now: Timestamp) {
        assert_eq!(decide_refresh(session, current(session), POLICY, now), RefreshDecision::Rotate);
        session.line = session.line.rotated("k".to_owned(), POLICY, now);
    }

    #[test]
    fn a_spent_token_whose_successor_nobody_used_is_answered_however_late() {
        let mut session = session();
        let first = current(&session);
        rotate(&mut session, at(10));
        let late = at(2_591_999);
        assert_eq!(decide_refresh(&session, first, POLICY, late), RefreshDecision::Repeat);
        assert_eq!(decide_refresh(&session, first, POLICY, at(2_592_000)), RefreshDecision::Refuse);
    }

    #[test]
    fn once_the_successor_was_used_the_spent_token_has_the_grace_and_then_is_theft() {
        let mut session = session();
        let first = current(&session);
        rotate(&mut session, at(10));
        session.line = session.line.seen(1, at(100));
        assert_eq!(decide_refresh(&session, first, POLICY, at(129)), RefreshDecision::Repeat);
        let theft = RefreshDecision::EndSession(Breach::Reuse);
        assert_eq!(decide_refresh(&session, first, POLICY, at(130)), theft);
    }

    #[test]
    fn an_access_token_of_another_counter_does_not_count_as_use() {
        let mut session = session();
        let first = current(&session);
        rotate(&mut session, at(10));
        session.line = session.line.seen(0, at(11)).seen(2, at(12));
        assert_eq!(decide_refresh(&session, first, POLICY, at(10_000)), RefreshDecision::Repeat);
    }

    #[test]
    fn a_token_ahead_of_the_row_or_beside_it_means_the_database_was_rolled_back() {
        let session = session();
        let ahead = PresentedRefresh { counter: 1, issued_at: at(5) };
        let beside = PresentedRefresh { counter: 0, issued_at: at(5) };
        for presented in [ahead, beside] {
            let decision = decide_refresh(&session, presented, POLICY, at(6));
            assert_eq!(decision, RefreshDecision::EndSession(Breach::RolledBack));
        }
    }

    #[test]
    fn an_ended_session_refuses_without_a_second_ending() {
        let mut session = session();
        let first = current(&session);
        session.ended_at = Some(at(1));
        assert_eq!(decide_refresh(&session, first, POLICY, at(2)), RefreshDecision::Refuse);
    }

    #[test]
    fn a_row_keeps_at_most_one_entry_for_each_second_of_the_grace() {
        let mut session = session();
        for step in 0..5_000_i64 {
            let now = at(0).after(Duration::from_millis(u64::try_from(step).unwrap() * 20));
            rotate(&mut session, now);
        }
        assert!(session.line.earlier_uses.0.len() <= 31, "{}", session.line.earlier_uses.0.len());
    }

    #[test]
    fn earlier_uses_survive_their_text_and_foreign_text_is_refused() {
        let mut session = session();
        rotate(&mut session, at(3));
        rotate(&mut session, at(5));
        let uses = session.line.earlier_uses;
        assert_eq!(EarlierUses::from_text(&uses.to_text()), Ok(uses));
        assert_eq!(EarlierUses::from_text(""), Ok(EarlierUses::default()));
        for wrong in ["1", "1@x", "x@1", "1@1@1"] {
            assert_eq!(EarlierUses::from_text(wrong), Err(EarlierUsesError), "{wrong}");
        }
    }

    /// The rule in its plainest form: every first use ever, remembered for ever.
    struct Model {
        first_uses: Vec<Option<Timestamp>>,
    }

    impl Model {
        fn use_counter(&mut self, counter: usize, now: Timestamp) {
            self.first_uses[counter].get_or_insert(now);
        }

        fn decide(&self, counter: usize, now: Timestamp) -> RefreshDecision {
            if counter + 1 == self.first_uses.len() {
                return RefreshDecision::Rotate;
            }
            match self.first_uses[counter + 1] {
                Some(used) if now >= used.after(POLICY.grace) => RefreshDecision::EndSession(Breach::Reuse),
                _ => RefreshDecision::Repeat,
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(i64),
        Refresh { back: usize },
        UseAccess { back: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..40_i64).prop_map(Step::Wait),
            (0..4_usize).prop_map(|back| Step::Refresh { back }),
            (0..3_usize).prop_map(|back| Step::UseAccess { back }),
        ]
    }

    proptest! {
        /// Random interleavings of refreshing, losing answers, reusing spent tokens and using access tokens.
        #[test]
        fn the_compact_line_decides_as_the_plain_model(steps in prop::collection::vec(step(), 1..60)) {
            let mut session = session();
            let mut issued = vec![current(&session)];
            let mut model = Model { first_uses: vec![None] };
            let mut seconds = 0;
            for step in steps {
                let now = at(seconds);
                match step {
                    Step::Wait(wait) => seconds += wait,
                    Step::UseAccess { back } => {
                        let counter = issued.len().saturating_sub(1 + back);
                        // An access token of an earlier counter changes nothing: that one is spent.
                        session.line = session.line.clone().seen(counter as u64, now);
                        model.use_counter(counter, now);
                    }
                    Step::Refresh { back } => {
                        let counter = issued.len().saturating_sub(1 + back);
                        let decision = decide_refresh(&session, issued[counter], POLICY, now);
                        prop_assert_eq!(decision, model.decide(counter, now));
                        match decision {
                            RefreshDecision::Rotate => {
                                model.use_counter(counter, now);
                                model.first_uses.push(None);
                                session.line = session.line.rotated("k".to_owned(), POLICY, now);
                                issued.push(current(&session));
                            }
                            RefreshDecision::Repeat => {}
                            _ => break,
                        }
                    }
                }
            }
        }
    }
}
