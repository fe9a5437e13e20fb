//! Deleting an endpoint, after a question.

use askama::Template;

use super::{EndpointView, find};
use crate::frame::{Frame, Section};
use crate::notice::Notice;
use crate::page::{Answer, page, see};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "webhook_endpoint/delete.html")]
struct DeletePage {
    frame: Frame,
    endpoint: EndpointView,
}

/// The question.
pub(crate) async fn ask(visit: MerchantVisit) -> Answer {
    let endpoint = EndpointView::of(&find(&visit).await?, visit.now());
    page(&DeletePage { frame: visit.frame(Section::Webhooks), endpoint })
}

/// Deletes it, and its log with it.
pub(crate) async fn delete(visit: MerchantVisit) -> Answer {
    let id = visit.parameter("id")?;
    visit.site.payments.delete_endpoint(visit.principal(), id, &visit.context).await?;
    let mut response = see(Section::Webhooks.path());
    Notice::EndpointDeleted.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}
