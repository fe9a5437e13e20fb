//! One API key: what it is, its name, fewer permissions.

use askama::Template;
use cryptopay_auth::{ChangeApiKeyRejection, Failure, NotFound};
use cryptopay_domain::api_key::{ApiKey, ApiKeyChange, ApiKeyStatus};
use cryptopay_domain::{ApiKeyId, DisplayName};

use super::create::{PermissionChoice, choices, read_permissions};
use super::{KeyView, overlap};
use crate::form::Problems;
use crate::frame::{Frame, Section};
use crate::notice::Notice;
use crate::page::{Answer, page, page_again, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

const NO_LONGER: Problem =
    Problem::Conflict("This API key has expired or was revoked, so nothing was changed. Create another one.");

#[derive(Template)]
#[template(path = "api_key/show.html")]
struct KeyPage<'a> {
    frame: Frame,
    key: KeyView,
    typed_name: &'a str,
    permissions: Vec<PermissionChoice>,
    /// The key that takes its place, if it was rotated.
    successor: Option<KeyView>,
    overlaps: &'static [overlap::Preset],
    problems: Problems,
}

/// The page of one key.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let key = find(&visit).await?;
    page(&key_page(&visit, &key, &key.name, Problems::default()).await?)
}

/// Gives a key another name.
pub(crate) async fn rename(visit: MerchantVisit) -> Answer {
    let mut problems = Problems::default();
    let Some(name) = problems.keep("name", DisplayName::parse(visit.form.text("name"))) else {
        let key = find(&visit).await?;
        return page_again(&key_page(&visit, &key, visit.form.text("name"), problems).await?);
    };
    change(&visit, ApiKeyChange { name: Some(name), permissions: None }, Notice::KeyRenamed).await
}

/// Takes permissions from a key.
pub(crate) async fn narrow(visit: MerchantVisit) -> Answer {
    let mut problems = Problems::default();
    let Some(permissions) = read_permissions(&visit.form, &mut problems) else {
        let key = find(&visit).await?;
        return page_again(&key_page(&visit, &key, &key.name, problems).await?);
    };
    change(&visit, ApiKeyChange { name: None, permissions: Some(permissions) }, Notice::KeyNarrowed).await
}

/// The key that the path names.
pub(crate) async fn find(visit: &MerchantVisit) -> Result<ApiKey, Problem> {
    Ok(visit.site.auth.find_api_key(visit.principal(), visit.parameter("id")?).await?)
}

/// Where a key's page lies.
pub(crate) fn path_of(id: ApiKeyId) -> String {
    format!("{}/{id}", Section::ApiKeys.path())
}

async fn change(visit: &MerchantVisit, change: ApiKeyChange, notice: Notice) -> Answer {
    let id: ApiKeyId = visit.parameter("id")?;
    match visit.site.auth.change_api_key(visit.principal(), id, change, &visit.context).await {
        Ok(_) => {
            let mut response = see(&path_of(id));
            notice.send(&visit.jar, &visit.held.token, &mut response);
            Ok(response)
        }
        Err(Failure::Rejected(ChangeApiKeyRejection::MorePermission)) => {
            let mut problems = Problems::default();
            problems.add("permissions", "a key is never given more than it has; create another one");
            let key = find(visit).await?;
            page_again(&key_page(visit, &key, &key.name, problems).await?)
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn key_page<'a>(
    visit: &MerchantVisit,
    key: &ApiKey,
    typed_name: &'a str,
    problems: Problems,
) -> Result<KeyPage<'a>, Problem> {
    let successor = match key.successor {
        Some(id) => match visit.site.auth.find_api_key(visit.principal(), id).await {
            Ok(successor) => Some(KeyView::of(&successor, visit.now())),
            Err(Failure::Rejected(NotFound)) => None,
            Err(failure) => return Err(failure.into()),
        },
        None => None,
    };
    Ok(KeyPage {
        frame: visit.frame(Section::ApiKeys),
        key: KeyView::of(key, visit.now()),
        typed_name,
        permissions: choices(key.permissions, |permission| key.permissions.allows(permission)),
        successor,
        overlaps: overlap::PRESETS,
        problems,
    })
}

impl KeyPage<'_> {
    fn is_usable(&self) -> bool {
        self.key.status.is_usable()
    }

    /// Whether it can be rotated: it is active, or nobody has used its successor yet.
    fn may_be_rotated(&self) -> bool {
        let is_unused = |successor: &KeyView| {
            successor.last_used_at.is_none() && successor.status == ApiKeyStatus::Active
        };
        match self.key.status {
            ApiKeyStatus::Active => true,
            ApiKeyStatus::Expiring => self.successor.as_ref().is_some_and(is_unused),
            ApiKeyStatus::Expired | ApiKeyStatus::Revoked => false,
        }
    }
}

impl From<NotFound> for Problem {
    fn from(_: NotFound) -> Self {
        Self::NotFound
    }
}

impl From<ChangeApiKeyRejection> for Problem {
    fn from(rejection: ChangeApiKeyRejection) -> Self {
        match rejection {
            ChangeApiKeyRejection::Actor(rejection) => rejection.into(),
            ChangeApiKeyRejection::NotFound => Self::NotFound,
            ChangeApiKeyRejection::NoPermission | ChangeApiKeyRejection::MorePermission => Self::BadRequest,
            ChangeApiKeyRejection::Conflict => NO_LONGER,
        }
    }
}
