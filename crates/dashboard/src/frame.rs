//! What surrounds every page: who is logged in, where in the dashboard it lies, what was just done.

use crate::assets::{self, Assets};
use crate::csrf::FormToken;
use crate::notice::Notice;
use crate::site::Dashboard;

/// What the layout shows.
#[derive(Clone)]
pub(crate) struct Frame {
    /// Whether it is all a rehearsal.
    pub(crate) is_sandbox: bool,
    /// Who is logged in.
    pub(crate) merchant: Option<String>,
    /// Which part of the dashboard this is.
    pub(crate) section: Section,
    /// What every form on the page holds.
    pub(crate) form_token: FormToken,
    /// What was just done.
    pub(crate) notice: Option<Notice>,
}

/// The parts of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// None of them: the login, an error.
    Outside,
    Overview,
    PaymentOrders,
    ApiKeys,
    Webhooks,
    Security,
}

impl Section {
    /// Those that the navigation leads to.
    const LISTED: [Self; 5] =
        [Self::Overview, Self::PaymentOrders, Self::ApiKeys, Self::Webhooks, Self::Security];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Outside | Self::Overview => "/dashboard",
            Self::PaymentOrders => "/dashboard/payment-orders",
            Self::ApiKeys => "/dashboard/settings/api-keys",
            Self::Webhooks => "/dashboard/settings/webhooks",
            Self::Security => "/dashboard/settings/security",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Outside => "",
            Self::Overview => "Overview",
            Self::PaymentOrders => "Payment orders",
            Self::ApiKeys => "API keys",
            Self::Webhooks => "Webhooks",
            Self::Security => "Security",
        }
    }

    /// Whether the settings begin here, in the order of the navigation.
    pub(crate) fn begins_settings(self) -> bool {
        self == Self::ApiKeys
    }
}

impl Frame {
    /// Around a page for somebody who is not logged in.
    pub(crate) fn new(site: &Dashboard) -> Self {
        Self {
            is_sandbox: site.is_sandbox(),
            merchant: None,
            section: Section::Outside,
            form_token: FormToken::default(),
            notice: None,
        }
    }

    pub(crate) fn sections(&self) -> impl Iterator<Item = &'static Section> {
        Section::LISTED.iter()
    }

    pub(crate) fn is_at(&self, section: &Section) -> bool {
        self.section == *section
    }

    pub(crate) fn csrf(&self) -> &str {
        self.form_token.as_str()
    }

    pub(crate) fn notice_text(&self) -> Option<&'static str> {
        self.notice.map(Notice::text)
    }

    pub(crate) fn assets(&self) -> &'static Assets {
        assets::all()
    }
}
