//! Settings > Security: the password, the sessions, and what happened lately.

mod activity;
pub(crate) mod password;
pub(crate) mod sessions;

use askama::Template;
use cryptopay_auth::LoginRequired;
use cryptopay_domain::SessionId;

use crate::form::Problems;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page, page_again};
use crate::paging::{self, Pager};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityPage {
    frame: Frame,
    sessions: Vec<sessions::SessionView>,
    pager: Pager,
    activity: Vec<activity::ActivityView>,
    problems: Problems,
}

/// The page.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    page(&security_page(&visit, Problems::default()).await?)
}

async fn show_again(visit: &MerchantVisit, problems: Problems) -> Answer {
    page_again(&security_page(visit, problems).await?)
}

async fn security_page(visit: &MerchantVisit, problems: Problems) -> Result<SecurityPage, Problem> {
    let (auth, principal) = (&visit.site.auth, visit.principal());
    let found = auth.list_sessions(principal, paging::read::<SessionId>(&visit.query)).await?;
    let activity = auth.recent_activity(principal).await?;
    let own = principal.session();
    Ok(SecurityPage {
        frame: visit.frame(Section::Security),
        pager: Pager::of(Section::Security.path(), &found),
        sessions: found.items.iter().map(|session| sessions::SessionView::of(session, own)).collect(),
        activity: activity.iter().map(activity::ActivityView::of).collect(),
        problems,
    })
}

impl From<LoginRequired> for Problem {
    fn from(_: LoginRequired) -> Self {
        // A browser's session is a login.
        Self::Fault
    }
}
