//! Payment orders.

pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod simulate;

use cryptopay_domain::payment_order::OrderStatus;
use cryptopay_domain::{PaymentOrder, PaymentOrderId};

use crate::frame::Section;
use crate::moment::Moment;

/// An order as pages show it.
pub(crate) struct OrderView {
    pub(crate) id: PaymentOrderId,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) description: Option<String>,
    pub(crate) status: OrderStatus,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
}

impl OrderView {
    /// Of an order.
    pub(crate) fn of(order: &PaymentOrder) -> Self {
        let description = order.description.as_ref().map(|text| text.as_str().to_owned());
        Self {
            id: order.id,
            amount: order.amount.as_str().to_owned(),
            currency: order.currency.as_str().to_owned(),
            description: description.filter(|text| !text.is_empty()),
            status: order.status,
            created_at: Moment(order.created_at),
            updated_at: Moment(order.updated_at),
        }
    }

    /// Where its page lies.
    pub(crate) fn path(&self) -> String {
        path_of(self.id)
    }

    /// The status in one word, for eyes and ears.
    pub(crate) const fn status_label(&self) -> &'static str {
        match self.status {
            OrderStatus::Pending => "Pending",
            OrderStatus::Paid => "Paid",
            OrderStatus::Expired => "Expired",
            OrderStatus::Failed => "Failed",
        }
    }
}

/// Where an order's page lies.
pub(crate) fn path_of(id: PaymentOrderId) -> String {
    format!("{}/{id}", Section::PaymentOrders.path())
}
