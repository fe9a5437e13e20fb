//! Sending a delivery again, and trying an endpoint.

use cryptopay_domain::{DeliveryId, WebhookEndpointId};

use super::path_of;
use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::visit::MerchantVisit;

/// Sends `webhook.test`, and leads to its delivery.
pub(crate) async fn test(visit: MerchantVisit) -> Answer {
    let endpoint: WebhookEndpointId = visit.parameter("id")?;
    let delivery = visit.site.payments.send_test(visit.principal(), endpoint).await?;
    lead_to(&visit, endpoint, delivery.id, Notice::TestSent)
}

/// Sends a delivery again.
pub(crate) async fn resend(visit: MerchantVisit) -> Answer {
    let (endpoint, delivery) = (visit.parameter("id")?, visit.parameter("delivery")?);
    visit.site.payments.resend(visit.principal(), endpoint, delivery).await?;
    lead_to(&visit, endpoint, delivery, Notice::DeliveryResent)
}

fn lead_to(
    visit: &MerchantVisit,
    endpoint: WebhookEndpointId,
    delivery: DeliveryId,
    notice: Notice,
) -> Answer {
    let mut response = see(&path_of(endpoint, delivery));
    notice.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}
