//! What happened lately, in plain words.

use cryptopay_auth::{Activity, ActivityOutcome};

use crate::moment::Moment;

/// One event as the page shows it.
pub(crate) struct ActivityView {
    pub(crate) at: Moment,
    pub(crate) words: String,
    pub(crate) is_refused: bool,
    pub(crate) ip: String,
    pub(crate) program: String,
}

impl ActivityView {
    pub(crate) fn of(activity: &Activity) -> Self {
        Self {
            at: Moment(activity.at),
            words: words(&activity.event),
            is_refused: activity.outcome == ActivityOutcome::Refused,
            ip: activity.ip.clone(),
            program: activity.user_agent.clone().unwrap_or_default(),
        }
    }
}

/// An event in words; by its name when it has none here yet.
fn words(event: &str) -> String {
    let words = match event {
        "user.registered" => "Account opened",
        "login" => "Login",
        "user.password_changed" => "Password change",
        "user.shop_renamed" => "Shop renamed",
        "session.logged_out" => "Log-out",
        "session.replaced" => "Session replaced by a new login",
        "session.ended" => "Session ended",
        "session.others_ended" => "All other sessions ended",
        "session.ended_by_breach" => "Session ended: one of its tokens was used twice",
        "api_key.created" => "API key created",
        "api_key.changed" => "API key renamed or narrowed",
        "api_key.rotated" => "API key rotated",
        "api_key.revoked" => "API key revoked",
        "webhook_endpoint.created" => "Webhook endpoint created",
        "webhook_endpoint.changed" => "Webhook endpoint changed",
        "webhook_endpoint.deleted" => "Webhook endpoint deleted",
        "webhook_endpoint.secret_rotated" => "Webhook secret rotated",
        other => return other.replace(['.', '_'], " "),
    };
    words.to_owned()
}
