//! The list of API keys.

use askama::Template;
use cryptopay_domain::ApiKeyId;

use super::KeyView;
use super::narrow::KeyUse;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging::{self, Pager};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "api_key/list.html")]
struct ListPage {
    frame: Frame,
    keys: Vec<KeyView>,
    uses: Vec<KeyUse>,
    pager: Pager,
}

/// One page of the list.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let request = paging::read::<ApiKeyId>(&visit.query);
    let found = visit.site.auth.list_api_keys(visit.principal(), request).await?;
    let usage = visit.site.auth.list_api_key_usage(visit.principal(), &found.items).await?;
    let pager = Pager::of(&visit.path, &found);
    let now = visit.now();
    let keys = found.items.iter().map(|key| KeyView::of(key, now)).collect();
    let used = found.items.iter().filter_map(|key| Some((key, usage.get(&key.id)?)));
    let uses = used.map(|(key, usage)| KeyUse::of(key, usage, now)).collect();
    page(&ListPage { frame: visit.frame(Section::ApiKeys), keys, uses, pager })
}

impl ListPage {
    /// How a key of the page is used.
    fn use_of(&self, id: &ApiKeyId) -> Option<&KeyUse> {
        self.uses.iter().find(|used| used.id == *id)
    }
}
