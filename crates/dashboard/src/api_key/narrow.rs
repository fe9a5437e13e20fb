//! How much each key of the list is used, and taking away what it was not used for.

use cryptopay_auth::{ChangeApiKeyRejection, Failure, NotFound};
use cryptopay_domain::api_key::{ApiKey, ApiKeyChange, ApiKeyStatus};
use cryptopay_domain::api_key_usage::{ApiKeyUsage, Day, suggest_narrowing};
use cryptopay_domain::{ApiKeyId, Permission, PermissionSet, Timestamp};

use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// The use of a key of the list.
pub(crate) struct KeyUse {
    pub(crate) id: ApiKeyId,
    /// In the last 14 days.
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
    pub(crate) today: u64,
    /// Whether it was rotated and still works, so that it matters who has not changed over yet.
    pub(crate) is_being_replaced: bool,
    pub(crate) narrowing: Option<KeyNarrowing>,
}

/// What a key could do without.
pub(crate) struct KeyNarrowing {
    /// What it was not used for, as people read it.
    pub(crate) unused: String,
    /// What it keeps, as the form sends it.
    pub(crate) kept: Vec<&'static str>,
}

impl KeyUse {
    /// Of a key as it is at `now`.
    pub(crate) fn of(key: &ApiKey, usage: &ApiKeyUsage, now: Timestamp) -> Self {
        let days: Vec<_> = usage.recent_days(Day::of(now)).map(|(_, day)| day).collect();
        Self {
            id: key.id,
            requests: days.iter().map(|day| day.requests).sum(),
            refusals: days.iter().map(|day| day.refusals).sum(),
            today: days.last().map_or(0, |day| day.requests),
            is_being_replaced: key.status(now) == ApiKeyStatus::Expiring,
            narrowing: suggest_narrowing(key, usage, now).map(|kept| KeyNarrowing::to(kept, key.permissions)),
        }
    }
}

impl KeyNarrowing {
    fn to(kept: PermissionSet, present: PermissionSet) -> Self {
        let unused = present.iter().filter(|permission| !kept.allows(*permission)).map(Permission::label);
        Self {
            unused: unused.collect::<Vec<_>>().join(", "),
            kept: kept.iter().map(Permission::as_str).collect(),
        }
    }
}

/// Takes away what the key was not used for, if that is still what the merchant saw.
pub(crate) async fn narrow(visit: MerchantVisit) -> Answer {
    let (auth, principal) = (&visit.site.auth, visit.principal());
    let id: ApiKeyId = visit.parameter("id")?;
    let seen: PermissionSet = visit.form.all("permissions").filter_map(|name| name.parse().ok()).collect();
    let (key, usage) = auth.find_api_key_usage(principal, id).await.map_err(|failure| match failure {
        Failure::Rejected(NotFound) => Problem::NotFound,
        other => other.map_rejection(|_| Problem::Fault).into(),
    })?;
    let Some(kept) = suggest_narrowing(&key, &usage, visit.now()).filter(|kept| *kept == seen) else {
        return Err(Problem::Conflict(
            "The key was used or changed meanwhile, so it keeps its permissions. Look at it again.",
        ));
    };
    let change = ApiKeyChange { name: None, permissions: Some(kept) };
    match auth.change_api_key(principal, id, change, &visit.context).await {
        Ok(_) => {}
        Err(Failure::Rejected(rejection)) => return Err(refusal(rejection)),
        Err(other) => return Err(other.map_rejection(|_| Problem::Fault).into()),
    }
    let mut response = see("/dashboard/settings/api-keys");
    Notice::KeyNarrowed.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}

fn refusal(rejection: ChangeApiKeyRejection) -> Problem {
    match rejection {
        ChangeApiKeyRejection::Actor(rejection) => rejection.into(),
        ChangeApiKeyRejection::NotFound => Problem::NotFound,
        ChangeApiKeyRejection::NoPermission
        | ChangeApiKeyRejection::MorePermission
        | ChangeApiKeyRejection::Conflict => {
            Problem::Conflict("The key was changed meanwhile, so nothing was done. Look at it again.")
        }
    }
}
