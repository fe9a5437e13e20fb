//! The first page: what to do first.

use askama::Template;
use cryptopay_domain::PageRequest;

use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    has_keys: bool,
}

/// The first page.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let keys = visit.site.auth.list_api_keys(visit.principal(), PageRequest::default()).await?;
    page(&OverviewPage { frame: visit.frame(Section::Overview), has_keys: !keys.items.is_empty() })
}
