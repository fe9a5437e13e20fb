//! Payment orders on the wire.

use std::collections::BTreeMap;

use cryptopay_domain::PaymentOrder;
use serde::Serialize;
use utoipa::ToSchema;

/// Where an order stands: it begins `pending` and leaves that once.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = PaymentOrderStatus)]
#[expect(dead_code, reason = "only describes the values")]
enum StatusName {
    Pending,
    Paid,
    Expired,
    Failed,
}

/// A payment order.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentOrder)]
pub(crate) struct PaymentOrderBody {
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    /// As it was given.
    #[schema(example = "49.90")]
    amount: String,
    #[schema(example = "USD")]
    currency: &'static str,
    #[schema(required, example = "Order 1042")]
    description: Option<String>,
    #[schema(example = json!({"order": "1042"}))]
    metadata: BTreeMap<String, String>,
    #[schema(value_type = StatusName, example = "pending")]
    status: &'static str,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
    /// When its status last changed.
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    updated_at: String,
}

impl From<PaymentOrder> for PaymentOrderBody {
    fn from(order: PaymentOrder) -> Self {
        Self {
            id: order.id.to_string(),
            amount: order.amount.as_str().to_owned(),
            currency: order.currency.as_str(),
            description: order.description.map(|text| text.as_str().to_owned()),
            metadata: order.metadata.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            status: order.status.as_str(),
            created_at: order.created_at.to_string(),
            updated_at: order.updated_at.to_string(),
        }
    }
}
