//! Changing where an endpoint is, what it is called and what it hears of.

use cryptopay_auth::Failure;
use cryptopay_payments::{ChangeEndpointRejection, EndpointChange};

use super::fields::{self, Fields};
use super::show::endpoint_page;
use super::{find, path_of};
use crate::form::Problems;
use crate::notice::Notice;
use crate::page::{Answer, page_again, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// Changes what was typed anew.
pub(crate) async fn change(visit: MerchantVisit) -> Answer {
    let endpoint = find(&visit).await?;
    let mut problems = Problems::default();
    let Some(typed) = fields::read(&visit.form, &mut problems) else {
        return again(&visit, problems).await;
    };
    let change = EndpointChange {
        url: Some(typed.url).filter(|url| *url != endpoint.url),
        events: Some(typed.events).filter(|events| *events != endpoint.events),
        description: Some(typed.description).filter(|description| *description != endpoint.description),
        status: None,
    };
    match visit.site.payments.change_endpoint(visit.principal(), endpoint.id, change, &visit.context).await {
        Ok(_) => {
            let mut response = see(&path_of(endpoint.id));
            Notice::EndpointChanged.send(&visit.jar, &visit.held.token, &mut response);
            Ok(response)
        }
        Err(Failure::Rejected(ChangeEndpointRejection::Url(error))) => {
            fields::complain_of_url(&visit, &error, &mut problems);
            again(&visit, problems).await
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn again(visit: &MerchantVisit, problems: Problems) -> Answer {
    let endpoint = find(visit).await?;
    page_again(&endpoint_page(visit, &endpoint, Fields::of_form(&visit.form), problems).await?)
}

impl From<ChangeEndpointRejection> for Problem {
    fn from(rejection: ChangeEndpointRejection) -> Self {
        match rejection {
            ChangeEndpointRejection::NotFound => Self::NotFound,
            ChangeEndpointRejection::Url(_) => Self::BadRequest,
        }
    }
}
