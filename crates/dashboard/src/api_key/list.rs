//! The list of API keys.

use askama::Template;
use cryptopay_domain::ApiKeyId;

use super::KeyView;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging::{self, Pager};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "api_key/list.html")]
struct ListPage {
    frame: Frame,
    keys: Vec<KeyView>,
    pager: Pager,
}

/// One page of the list.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let request = paging::read::<ApiKeyId>(&visit.query);
    let found = visit.site.auth.list_api_keys(visit.principal(), request).await?;
    let pager = Pager::of(&visit.path, &found);
    let now = visit.now();
    let keys = found.items.iter().map(|key| KeyView::of(key, now)).collect();
    page(&ListPage { frame: visit.frame(Section::ApiKeys), keys, pager })
}
