//! What the tests of orders, endpoints and deliveries share.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{Amount, Currency, Delivery, Description, Metadata, PageRequest, PaymentOrder};
use cryptopay_payments::NewOrder;
use cryptopay_testkit::{Browser, Shown, TestApp, eventually};

pub(crate) const WEBHOOKS: &str = "/dashboard/settings/webhooks";
pub(crate) const NEW_ENDPOINT: &str = "/dashboard/settings/webhooks/new";
pub(crate) const ORDERS: &str = "/dashboard/payment-orders";

/// Adds an endpoint for all events: its page, and its secret.
pub(crate) async fn add_endpoint(browser: &mut Browser, url: &str) -> (String, String) {
    let shown = browser.submit(NEW_ENDPOINT, NEW_ENDPOINT, &[("url", url), ("scope", "all")]).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    let secret = shown.text_of("secret");
    (link(&shown, |path| path.starts_with(WEBHOOKS) && path.len() > WEBHOOKS.len()), secret)
}

/// The first link of a page that is as the test wants it.
pub(crate) fn link(shown: &Shown, is_wanted: impl Fn(&str) -> bool) -> String {
    let links = shown.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut wanted = links.filter(|path| is_wanted(path));
    wanted.next().unwrap_or_else(|| panic!("no such link: {}", shown.html)).to_owned()
}

/// Presses a button on the page at `page`.
pub(crate) async fn press(browser: &mut Browser, page: &str, what: &str) -> Shown {
    browser.submit(page, &format!("{page}/{what}"), &[]).await
}

/// An order of this merchant's; gives its page.
pub(crate) async fn make_order(app: &TestApp, username: &str, description: Option<&str>) -> String {
    make_order_with(app, username, description, Vec::new()).await
}

/// The same, with metadata.
pub(crate) async fn make_order_with(
    app: &TestApp,
    username: &str,
    description: Option<&str>,
    metadata: Vec<(String, String)>,
) -> String {
    let access = app.core.login(username).await.access;
    let principal = app.core.auth.authenticate(access.expose()).await.unwrap();
    let new = NewOrder {
        amount: Amount::parse("49.90").unwrap(),
        currency: Currency::parse("USD").unwrap(),
        description: description.map(|text| Description::parse(text).unwrap()),
        metadata: Metadata::new(metadata).unwrap(),
    };
    let id = |order: &PaymentOrder| order.id.to_string().into_bytes();
    let id = app.payments.create_order(&principal, new, None, id).await.unwrap();
    format!("{ORDERS}/{}", String::from_utf8(id).unwrap())
}

/// Waits until the newest delivery of the endpoint at `page` stands so, and gives it.
pub(crate) async fn newest_is(app: &TestApp, username: &str, page: &str, status: DeliveryStatus) -> Delivery {
    let access = app.core.login(username).await.access;
    let principal = app.core.auth.authenticate(access.expose()).await.unwrap();
    let endpoint = page.rsplit('/').next().unwrap().parse().unwrap();
    let mut newest = None;
    eventually("the newest delivery stands so", async || {
        let page = app.payments.list_deliveries(&principal, endpoint, PageRequest::default()).await.unwrap();
        newest = page.items.into_iter().next().filter(|delivery| delivery.status == status);
        newest.is_some()
    })
    .await;
    newest.unwrap()
}
