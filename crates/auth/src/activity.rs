//! What happened to a merchant's account lately, for the merchant to look at.

use cryptopay_domain::Timestamp;

use crate::core::Auth;
use crate::failure::{Failure, Outcome};
use crate::principal::Principal;
use crate::session::LoginRequired;

/// How many events are told.
const MANY: usize = 50;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When.
    pub at: Timestamp,
    /// What: `login`, `api_key.rotated` …
    pub event: String,
    /// Whether it was refused.
    pub outcome: ActivityOutcome,
    /// From which address.
    pub ip: String,
    /// With which program, if it said so.
    pub user_agent: Option<String>,
}

/// How what was tried ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityOutcome {
    /// It was done.
    Succeeded,
    /// It was refused.
    Refused,
}

impl Auth {
    /// The newest events of the merchant's account, newest first, at most 50. Refreshes of tokens are left out: programs
    /// do that all the time, and nothing else should drown in them.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn recent_activity(&self, principal: &Principal) -> Outcome<Vec<Activity>, LoginRequired> {
        principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        let rows = self.inner.store.list_account_events(principal.user_id, MANY).await?;
        let activity = rows.into_iter().map(|row| Activity {
            at: row.occurred_at(),
            outcome: match row.outcome.as_str() {
                "succeeded" => ActivityOutcome::Succeeded,
                _ => ActivityOutcome::Refused,
            },
            event: row.event,
            ip: row.ip,
            user_agent: row.user_agent,
        });
        Ok(activity.collect())
    }
}
