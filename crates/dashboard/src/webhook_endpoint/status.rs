//! Disabling an endpoint, and enabling it again whatever disabled it.

use cryptopay_domain::WebhookEndpointId;
use cryptopay_payments::{EndpointChange, RequestedStatus};

use super::path_of;
use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::visit::MerchantVisit;

/// Sends to it again.
pub(crate) async fn enable(visit: MerchantVisit) -> Answer {
    set(visit, RequestedStatus::Enabled, Notice::EndpointEnabled).await
}

/// Sends nothing to it any more.
pub(crate) async fn disable(visit: MerchantVisit) -> Answer {
    set(visit, RequestedStatus::Disabled, Notice::EndpointDisabled).await
}

async fn set(visit: MerchantVisit, status: RequestedStatus, notice: Notice) -> Answer {
    let id: WebhookEndpointId = visit.parameter("id")?;
    let change = EndpointChange { status: Some(status), ..EndpointChange::default() };
    visit.site.payments.change_endpoint(visit.principal(), id, change, &visit.context).await?;
    let mut response = see(&path_of(id));
    notice.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}
