//! The first page: what to do first, what needs a look, and how the keys are used.

use std::time::Duration;

use askama::Template;
use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::page::{Direction, Position};
use cryptopay_domain::webhook_endpoint::DisabledReason;
use cryptopay_domain::{ApiKeyId, Day, Timestamp};

use crate::api_key::KeyView;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging;
use crate::problem::Problem;
use crate::usage_chart::UsageCharts;
use crate::visit::MerchantVisit;
use crate::webhook_endpoint::{EndpointState, EndpointView};

/// How long before its end a key is named here.
const SOON: Duration = Duration::from_secs(14 * 86_400);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    steps: Steps,
    ending: Vec<KeyView>,
    troubled: Vec<EndpointView>,
    usage: UsageCharts,
}

/// What a new merchant has done already.
struct Steps {
    has_key: bool,
    has_used_key: bool,
    has_endpoint: bool,
}

/// The first page.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let now = visit.now();
    let keys = all_keys(&visit).await?;
    let endpoints = visit.site.payments.list_endpoints(visit.principal(), paging::most()).await?.items;
    let usable = || keys.iter().filter(|key| key.status(now).is_usable());
    let mut ending: Vec<&ApiKey> = usable().filter(|key| ends_soon(key, now)).collect();
    ending.sort_by_key(|key| key.effective_end());
    let usage = visit.site.auth.list_api_key_usage(visit.principal(), &keys).await?;
    let used = keys.iter().filter_map(|key| Some((key, usage.get(&key.id)?)));
    let troubled = endpoints.iter().filter(|endpoint| EndpointState::of(endpoint).is_trouble());
    page(&OverviewPage {
        frame: visit.frame(Section::Overview),
        steps: Steps {
            has_key: usable().next().is_some(),
            has_used_key: keys.iter().any(|key| key.last_used_at.is_some()),
            has_endpoint: !endpoints.is_empty(),
        },
        ending: ending.into_iter().map(|key| KeyView::of(key, now)).collect(),
        troubled: troubled.map(|endpoint| EndpointView::of(endpoint, now)).collect(),
        usage: UsageCharts::of(used, Day::of(now)),
    })
}

/// Every key that is listed; a merchant has at most a hundred that work.
async fn all_keys(visit: &MerchantVisit) -> Result<Vec<ApiKey>, Problem> {
    let mut request = paging::most::<ApiKeyId>();
    let mut keys = Vec::new();
    loop {
        let found = visit.site.auth.list_api_keys(visit.principal(), request).await?;
        keys.extend(found.items);
        match found.next {
            Some(Position { beside, .. }) => {
                request.position = Some(Position { beside, direction: Direction::Older });
            }
            None => return Ok(keys),
        }
    }
}

fn ends_soon(key: &ApiKey, now: Timestamp) -> bool {
    key.effective_end().is_some_and(|end| end < now.after(SOON))
}

impl Steps {
    const fn are_done(&self) -> bool {
        self.has_key && self.has_used_key && self.has_endpoint
    }
}
