//! The first page: what to do first, what needs a look, and how the keys are used.

use std::time::Duration;

use askama::Template;
use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::page::{Direction, PageLimit, Position};
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_domain::{ApiKeyId, Day, PageRequest, Timestamp, WebhookEndpoint};

use crate::api_key::KeyView;
use crate::frame::{Frame, Section};
use crate::moment::Moment;
use crate::page::{Answer, page};
use crate::problem::Problem;
use crate::usage_chart::UsageCharts;
use crate::visit::MerchantVisit;

/// How long before its end a key is named here.
const SOON: Duration = Duration::from_secs(14 * 86_400);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    steps: Steps,
    ending: Vec<KeyView>,
    troubled: Vec<Troubled>,
    usage: UsageCharts,
}

/// What a new merchant has done already.
struct Steps {
    has_key: bool,
    has_used_key: bool,
    has_endpoint: bool,
}

/// An endpoint that needs a look.
struct Troubled {
    url: String,
    trouble: Trouble,
}

/// What is wrong with it.
enum Trouble {
    FailingSince(Moment),
    GivenUp,
    Gone,
}

/// The first page.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let now = visit.now();
    let keys = all_keys(&visit).await?;
    let endpoints = visit.site.payments.list_endpoints(visit.principal(), most()).await?.items;
    let usable = || keys.iter().filter(|key| key.status(now).is_usable());
    let mut ending: Vec<&ApiKey> = usable().filter(|key| ends_soon(key, now)).collect();
    ending.sort_by_key(|key| key.effective_end());
    let usage = visit.site.auth.list_api_key_usage(visit.principal(), &keys).await?;
    let used = keys.iter().filter_map(|key| Some((key, usage.get(&key.id)?)));
    page(&OverviewPage {
        frame: visit.frame(Section::Overview),
        steps: Steps {
            has_key: usable().next().is_some(),
            has_used_key: keys.iter().any(|key| key.last_used_at.is_some()),
            has_endpoint: !endpoints.is_empty(),
        },
        ending: ending.into_iter().map(|key| KeyView::of(key, now)).collect(),
        troubled: endpoints.iter().filter_map(troubled).collect(),
        usage: UsageCharts::of(used, Day::of(now)),
    })
}

/// Every key that is listed; a merchant has at most a hundred that work.
async fn all_keys(visit: &MerchantVisit) -> Result<Vec<ApiKey>, Problem> {
    let mut request = most::<ApiKeyId>();
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

/// The newest items, as many as there may be on one page.
fn most<Id>() -> PageRequest<Id> {
    PageRequest { limit: PageLimit::new(100).unwrap_or_default(), position: None }
}

fn ends_soon(key: &ApiKey, now: Timestamp) -> bool {
    key.effective_end().is_some_and(|end| end < now.after(SOON))
}

fn troubled(endpoint: &WebhookEndpoint) -> Option<Troubled> {
    let trouble = match (endpoint.status, endpoint.failing_since) {
        (EndpointStatus::Disabled(DisabledReason::Failing), _) => Trouble::GivenUp,
        (EndpointStatus::Disabled(DisabledReason::Gone), _) => Trouble::Gone,
        (EndpointStatus::Enabled, Some(since)) => Trouble::FailingSince(Moment(since)),
        (EndpointStatus::Enabled, None) | (EndpointStatus::Disabled(DisabledReason::ByMerchant), _) => {
            return None;
        }
    };
    Some(Troubled { url: endpoint.url.clone(), trouble })
}

impl Steps {
    const fn are_done(&self) -> bool {
        self.has_key && self.has_used_key && self.has_endpoint
    }
}
