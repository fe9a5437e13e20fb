//! The decision of a login.

use crate::{Timestamp, UserId};

/// What is known of the account that a login names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginFacts {
    /// The account, if the name belongs to one.
    pub account: Option<AccountFacts>,
    /// Whether the one hash that was computed matched the stored one; false when nothing was stored.
    pub password_matches: bool,
}

/// What is known of an existing account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its number.
    pub user_id: UserId,
    /// When it was disabled, if it was.
    pub disabled_at: Option<Timestamp>,
}

/// The outcome of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginDecision {
    /// The caller is this user.
    Accept(UserId),
    /// Unknown name, wrong password, disabled account: one value, so no caller can tell them apart.
    Refuse,
}

/// Decides a login from what is known, without touching anything.
#[must_use]
pub fn decide_login(facts: LoginFacts) -> LoginDecision {
    match facts.account {
        Some(AccountFacts { user_id, disabled_at: None }) if facts.password_matches => {
            LoginDecision::Accept(user_id)
        }
        _ => LoginDecision::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_enabled_account_with_the_right_password_is_accepted() {
        let enabled = AccountFacts { user_id: UserId(7), disabled_at: None };
        let disabled = AccountFacts { disabled_at: Some(Timestamp::from_unix_seconds(0)), ..enabled };
        for (account, password_matches, expected) in [
            (Some(enabled), true, LoginDecision::Accept(UserId(7))),
            (Some(enabled), false, LoginDecision::Refuse),
            (Some(disabled), true, LoginDecision::Refuse),
            (Some(disabled), false, LoginDecision::Refuse),
            (None, true, LoginDecision::Refuse),
            (None, false, LoginDecision::Refuse),
        ] {
            assert_eq!(decide_login(LoginFacts { account, password_matches }), expected);
        }
    }
}
