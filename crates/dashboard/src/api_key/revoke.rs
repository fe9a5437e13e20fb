//! Revoking a key, after a question.

use askama::Template;
use cryptopay_auth::RevokeApiKeyRejection;

use super::{KeyView, show};
use crate::frame::{Frame, Section};
use crate::notice::Notice;
use crate::page::{Answer, page, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "api_key/revoke.html")]
struct RevokePage {
    frame: Frame,
    key: KeyView,
}

/// The question.
pub(crate) async fn ask(visit: MerchantVisit) -> Answer {
    let key = KeyView::of(&show::find(&visit).await?, visit.now());
    if !key.status.is_usable() {
        return Ok(see(&show::path_of(key.id)));
    }
    page(&RevokePage { frame: visit.frame(Section::ApiKeys), key })
}

/// Revokes it. Doing so again changes nothing.
pub(crate) async fn revoke(visit: MerchantVisit) -> Answer {
    let id = visit.parameter("id")?;
    visit.site.auth.revoke_api_key(visit.principal(), id, &visit.context).await?;
    let mut response = see(Section::ApiKeys.path());
    Notice::KeyRevoked.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}

impl From<RevokeApiKeyRejection> for Problem {
    fn from(rejection: RevokeApiKeyRejection) -> Self {
        match rejection {
            RevokeApiKeyRejection::Actor(rejection) => rejection.into(),
            RevokeApiKeyRejection::NotFound => Self::NotFound,
        }
    }
}
