//! The sessions: which there are, and ending them.

use cryptopay_auth::EndSessionRejection;
use cryptopay_domain::{Session, SessionId};

use crate::frame::Section;
use crate::moment::Moment;
use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// A session as the page shows it.
pub(crate) struct SessionView {
    pub(crate) id: SessionId,
    pub(crate) is_own: bool,
    /// What the program called itself.
    pub(crate) program: String,
    pub(crate) ip: String,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Moment,
}

impl SessionView {
    /// Of a session, seen from the session `own`.
    pub(crate) fn of(session: &Session, own: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            is_own: Some(session.id) == own,
            program: session.user_agent.clone().unwrap_or_else(|| "A program without a name".to_owned()),
            ip: session.ip.clone(),
            created_at: Moment(session.created_at),
            last_used_at: Moment(session.last_used_at),
        }
    }
}

/// Ends one.
pub(crate) async fn end(visit: MerchantVisit) -> Answer {
    let id = visit.parameter("id")?;
    visit.site.auth.end_session(visit.principal(), id, &visit.context).await?;
    Ok(back(&visit, Notice::SessionEnded))
}

/// Ends all but this one.
pub(crate) async fn end_others(visit: MerchantVisit) -> Answer {
    visit.site.auth.end_other_sessions(visit.principal(), &visit.context).await?;
    Ok(back(&visit, Notice::OtherSessionsEnded))
}

fn back(visit: &MerchantVisit, notice: Notice) -> actix_web::HttpResponse {
    let mut response = see(Section::Security.path());
    notice.send(&visit.jar, &visit.held.token, &mut response);
    response
}

impl From<EndSessionRejection> for Problem {
    fn from(rejection: EndSessionRejection) -> Self {
        match rejection {
            EndSessionRejection::LoginRequired => Self::Fault,
            EndSessionRejection::NotFound => Self::NotFound,
        }
    }
}
