//! `GET /api/payment-orders`: an empty list until orders can be made

use actix_web::HttpResponse;
use cryptopay_domain::Page;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::cursor::{ListBody, ListRequest, Listed, PageParameters};

/// A payment order.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentOrder)]
pub(crate) struct PaymentOrderBody {
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
}

/// Identifies a payment order in cursors.
#[derive(Clone, Copy)]
pub(crate) struct PaymentOrderId(Uuid);

impl Listed for PaymentOrderId {
    const TAG: u8 = 3;
    const PATH: &'static str = "/api/payment-orders";

    fn to_uuid(self) -> Uuid {
        self.0
    }

    fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

/// Lists the payment orders
#[utoipa::path(
    get, path = "/api/payment-orders", operation_id = "listPaymentOrders", tag = "payment orders",
    params(PageParameters),
    responses((status = 200, description = "The orders, newest first.", body = ListBody<PaymentOrderBody>)),
)]
pub(crate) async fn list(list: ListRequest<PaymentOrderId>) -> HttpResponse {
    let none = Page { items: Vec::<PaymentOrderBody>::new(), next: None, previous: None };
    HttpResponse::Ok().json(list.answer(none, |order| order))
}
