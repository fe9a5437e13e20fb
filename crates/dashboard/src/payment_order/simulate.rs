//! Letting a pending order be paid, expire or fail, in the sandbox.

use cryptopay_domain::PaymentOrderId;
use cryptopay_domain::payment_order::SimulatedOutcome;
use cryptopay_payments::SimulateRejection;

use super::path_of;
use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// Moves it on, as if by the payer.
pub(crate) async fn simulate(visit: MerchantVisit) -> Answer {
    let id: PaymentOrderId = visit.parameter("id")?;
    let outcome = visit.form.text("status").parse::<SimulatedOutcome>().map_err(|_| Problem::BadRequest)?;
    visit.site.payments.simulate(visit.principal(), id, outcome).await?;
    let mut response = see(&path_of(id));
    Notice::OrderMovedOn.send(&visit.jar, &visit.held.token, &mut response);
    Ok(response)
}

impl From<SimulateRejection> for Problem {
    fn from(rejection: SimulateRejection) -> Self {
        match rejection {
            SimulateRejection::NotFound | SimulateRejection::OnlyInSandbox => Self::NotFound,
            SimulateRejection::NotPending(_) => {
                Self::Conflict("This order is no longer pending, so it stays as it is. Make another one.")
            }
        }
    }
}
