//! What a handler is given.

use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use cryptopay_auth::{BrowserSession, Principal, RequestContext};
use cryptopay_domain::Timestamp;

use crate::cookies::{Jar, SessionToken, VisitorToken};
use crate::form::Form;
use crate::frame::{Frame, Section};
use crate::next::Next;
use crate::problem::Problem;
use crate::site::Site;

/// A request that was let in. Its form, if it has one, is ours.
pub(crate) struct Visit {
    /// The cores.
    pub(crate) site: Site,
    /// Where it comes from.
    pub(crate) context: RequestContext,
    /// Its path, without a slash at its end.
    pub(crate) path: String,
    /// The page that it is about, or was sent from.
    pub(crate) back: Next,
    /// Where programs reach the API, without a slash at its end.
    pub(crate) base: String,
    /// Its query, hostile as ever.
    pub(crate) query: Form,
    /// What was typed; empty unless something is to be done.
    pub(crate) form: Form,
    /// Its cookies, and how to set them.
    pub(crate) jar: Jar,
    /// The login, if there is one.
    pub(crate) held: Option<Held>,
    /// What ties forms to a browser that is not logged in.
    pub(crate) visitor: VisitorToken,
    pub(crate) frame: Frame,
    pub(crate) parameters: Vec<(String, String)>,
}

/// A browser's login.
#[derive(Clone)]
pub(crate) struct Held {
    /// Whose it is.
    pub(crate) session: BrowserSession,
    /// What its cookie holds.
    pub(crate) token: SessionToken,
}

/// A visit of a merchant who is logged in.
pub(crate) struct MerchantVisit {
    pub(crate) visit: Visit,
    /// The login.
    pub(crate) held: Held,
}

impl Visit {
    /// What surrounds a page of this section.
    pub(crate) fn frame(&self, section: Section) -> Frame {
        Frame { section, ..self.frame.clone() }
    }

    /// The identifier that the path has under `name`; one that cannot be is one that does not exist.
    pub(crate) fn parameter<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.parse().ok()).ok_or(Problem::NotFound)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.site.now()
    }
}

impl MerchantVisit {
    /// Who it is, with full access.
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.held.session.principal
    }
}

impl Deref for MerchantVisit {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}
