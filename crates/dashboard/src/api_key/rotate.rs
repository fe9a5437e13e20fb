//! Rotating a key: its successor is shown once, and it works on for a while.

use cryptopay_auth::RotateApiKeyRejection;

use super::create::shown_once;
use super::{KeyView, overlap, show};
use crate::page::Answer;
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// Makes a successor and shows it.
pub(crate) async fn rotate(visit: MerchantVisit) -> Answer {
    let overlap = overlap::read(visit.form.text("overlap")).ok_or(Problem::BadRequest)?;
    let id = visit.parameter("id")?;
    let made = visit.site.auth.rotate_api_key(visit.principal(), id, overlap, &visit.context).await?;
    let replaced = show::find(&visit).await?;
    shown_once(&visit, &made, Some(KeyView::of(&replaced, visit.now())))
}

impl From<RotateApiKeyRejection> for Problem {
    fn from(rejection: RotateApiKeyRejection) -> Self {
        match rejection {
            RotateApiKeyRejection::Actor(rejection) => rejection.into(),
            RotateApiKeyRejection::NotFound => Self::NotFound,
            RotateApiKeyRejection::Conflict => Self::Conflict(
                "This API key has ended, or the key that replaces it is in use already. Rotate that one, or create \
                 another.",
            ),
        }
    }
}
