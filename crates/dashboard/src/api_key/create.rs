//! Create New Key: the form, and the key on the only page that ever shows it.

use askama::Template;
use cryptopay_auth::{ActorRejection, CreateApiKeyRejection, Failure, NewApiKey};
use cryptopay_domain::api_key::ApiKeyRequest;
use cryptopay_domain::{DisplayName, Permission, PermissionSet};

use super::{KeyView, expiry, opens};
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section};
use crate::page::{Answer, page, page_again};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "api_key/create.html")]
struct CreatePage<'a> {
    frame: Frame,
    typed_name: &'a str,
    permissions: Vec<PermissionChoice>,
    expiry: expiry::Choice<'a>,
    problems: Problems,
}

/// One of the permissions to choose.
pub(crate) struct PermissionChoice {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) opens: &'static str,
    pub(crate) is_chosen: bool,
}

#[derive(Template)]
#[template(path = "api_key/created.html")]
struct CreatedPage<'a> {
    frame: Frame,
    title: &'static str,
    key: &'a str,
    details: KeyView,
    /// Of the key that it replaces, and works on for a while.
    replaced: Option<KeyView>,
    base: &'a str,
}

/// The form.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    page(&create_page(&visit, &Form::default(), Problems::default()))
}

/// Makes a key and shows it.
pub(crate) async fn create(visit: MerchantVisit) -> Answer {
    let mut problems = Problems::default();
    let Some(request) = read(&visit, &mut problems) else {
        return page_again(&create_page(&visit, &visit.form, problems));
    };
    match visit.site.auth.create_api_key(visit.principal(), request, &visit.context).await {
        Ok(made) => shown_once(&visit, &made, None),
        Err(Failure::Rejected(rejection)) => {
            complain(rejection, &mut problems)?;
            page_again(&create_page(&visit, &visit.form, problems))
        }
        Err(failure) => Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
}

/// The only page that ever shows a key: the answer to a form, at no address of its own.
pub(crate) fn shown_once(visit: &MerchantVisit, made: &NewApiKey, replaced: Option<KeyView>) -> Answer {
    page(&CreatedPage {
        frame: visit.frame(Section::ApiKeys),
        title: if replaced.is_some() { "Your new API key" } else { "Your API key" },
        key: made.key.expose(),
        details: KeyView::of(&made.details, visit.now()),
        replaced,
        base: &visit.base,
    })
}

fn read(visit: &MerchantVisit, problems: &mut Problems) -> Option<ApiKeyRequest> {
    let form = &visit.form;
    let name = problems.keep("name", DisplayName::parse(form.text("name")));
    let permissions = read_permissions(form, problems);
    let expires_at = expiry::read(form, visit.now(), problems);
    Some(ApiKeyRequest { name: name?, permissions: permissions?, expires_at: expires_at? })
}

/// The permissions that are ticked, at least one.
pub(crate) fn read_permissions(form: &Form, problems: &mut Problems) -> Option<PermissionSet> {
    let chosen: Result<PermissionSet, _> = form.all("permissions").map(str::parse::<Permission>).collect();
    let chosen = problems.keep("permissions", chosen)?;
    if chosen.is_empty() {
        problems.add("permissions", "choose at least one");
        return None;
    }
    Some(chosen)
}

/// The permissions to choose from, some of them ticked.
pub(crate) fn choices(
    offered: PermissionSet,
    is_ticked: impl Fn(Permission) -> bool,
) -> Vec<PermissionChoice> {
    let choice = |permission: Permission| PermissionChoice {
        name: permission.as_str(),
        label: permission.label(),
        opens: opens(permission),
        is_chosen: is_ticked(permission),
    };
    offered.iter().map(choice).collect()
}

fn create_page<'a>(visit: &MerchantVisit, form: &'a Form, problems: Problems) -> CreatePage<'a> {
    CreatePage {
        frame: visit.frame(Section::ApiKeys),
        typed_name: form.text("name"),
        permissions: choices(PermissionSet::FULL, |permission| {
            form.all("permissions").any(|name| name == permission.as_str())
        }),
        expiry: expiry::Choice::of(form, visit.now()),
        problems,
    }
}

fn complain(rejection: CreateApiKeyRejection, problems: &mut Problems) -> Result<(), Problem> {
    match rejection {
        CreateApiKeyRejection::Actor(rejection) => return Err(rejection.into()),
        CreateApiKeyRejection::NoPermission => problems.add("permissions", "choose at least one"),
        CreateApiKeyRejection::MorePermission => problems.add("permissions", "is more than your login opens"),
        CreateApiKeyRejection::EndNotInFuture => problems.add("expires_on", "must be in the future"),
        CreateApiKeyRejection::LaterEnd => problems.add("expires_on", "is too late"),
        CreateApiKeyRejection::TooMany => {
            problems.add("name", "you have 100 active keys, as many as there may be; revoke one first");
        }
    }
    Ok(())
}

impl From<ActorRejection> for Problem {
    fn from(rejection: ActorRejection) -> Self {
        match rejection {
            ActorRejection::Unauthenticated => {
                Self::Conflict("Your session ended meanwhile, so nothing was done. Log in and try again.")
            }
            // A login has full access.
            ActorRejection::InsufficientPermissions => Self::Fault,
        }
    }
}
