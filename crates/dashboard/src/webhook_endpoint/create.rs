//! Adding an endpoint.

use askama::Template;
use cryptopay_auth::Failure;
use cryptopay_payments::{CreateEndpointRejection, NewEndpoint};

use super::fields::{self, Fields};
use super::secret::shown_once;
use crate::form::Problems;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page, page_again};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "webhook_endpoint/create.html")]
struct CreatePage {
    frame: Frame,
    fields: Fields,
    problems: Problems,
}

/// The form.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    page(&create_page(&visit, Problems::default()))
}

/// Makes an endpoint and shows its secret.
pub(crate) async fn create(visit: MerchantVisit) -> Answer {
    let mut problems = Problems::default();
    let Some(typed) = fields::read(&visit.form, &mut problems) else {
        return page_again(&create_page(&visit, problems));
    };
    let new = NewEndpoint { url: typed.url, events: typed.events, description: typed.description };
    match visit.site.payments.create_endpoint(visit.principal(), new, &visit.context).await {
        Ok(made) => shown_once(&visit, &made),
        Err(Failure::Rejected(rejection)) => {
            complain(&visit, rejection, &mut problems)?;
            page_again(&create_page(&visit, problems))
        }
        Err(failure) => Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
}

fn complain(
    visit: &MerchantVisit,
    rejection: CreateEndpointRejection,
    problems: &mut Problems,
) -> Result<(), Problem> {
    match rejection {
        CreateEndpointRejection::Url(error) => fields::complain_of_url(visit, &error, problems),
        CreateEndpointRejection::TooMany => {
            problems.add("url", "you have 20 endpoints, as many as there may be; delete one first");
        }
        CreateEndpointRejection::Unauthenticated => {
            return Err(Problem::Conflict(
                "Your session ended meanwhile, so nothing was done. Log in and try again.",
            ));
        }
    }
    Ok(())
}

fn create_page(visit: &MerchantVisit, problems: Problems) -> CreatePage {
    CreatePage { frame: visit.frame(Section::Webhooks), fields: Fields::of_form(&visit.form), problems }
}
