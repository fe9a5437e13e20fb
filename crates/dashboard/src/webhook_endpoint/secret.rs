//! A secret on the only page that ever shows it, with receivers that are ready to run.

use askama::Template;
use cryptopay_payments::NewWebhookEndpoint;
use url::{Host, Url};

use super::EndpointView;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::visit::MerchantVisit;

// The very programs that `docs/webhooks.md` shows and tests run.
const EXPRESS: &str = include_str!("../../../../docs/examples/express.js");
const PYTHON: &str = include_str!("../../../../docs/examples/plain.py");
/// Where those programs take deliveries.
const EXAMPLE_PATH: &str = "/webhooks/cryptopay";
/// Where they listen when the endpoint does not say.
const EXAMPLE_PORT: u16 = 3000;

#[derive(Template)]
#[template(path = "webhook_endpoint/secret.html")]
struct SecretPage<'a> {
    frame: Frame,
    secret: &'a str,
    endpoint: EndpointView,
    express: String,
    python: &'static str,
    port: u16,
}

/// The answer to a form that made a secret, at no address of its own.
pub(crate) fn shown_once(visit: &MerchantVisit, made: &NewWebhookEndpoint) -> Answer {
    let target = Url::parse(&made.endpoint.url).ok();
    page(&SecretPage {
        frame: visit.frame(Section::Webhooks),
        secret: made.secret.expose(),
        endpoint: EndpointView::of(&made.endpoint, visit.now()),
        express: EXPRESS.replace(EXAMPLE_PATH, target.as_ref().map_or(EXAMPLE_PATH, path_to_listen_at)),
        python: PYTHON,
        port: target.as_ref().map_or(EXAMPLE_PORT, port_to_listen_on),
    })
}

/// The endpoint's path, if it is so plain that it is the same in a program's text and as Express understands it.
fn path_to_listen_at(target: &Url) -> &str {
    let path = target.path();
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_".contains(&byte));
    if is_plain { path } else { EXAMPLE_PATH }
}

/// The endpoint's port, if it is on this machine: elsewhere something stands in front of the program.
fn port_to_listen_on(target: &Url) -> u16 {
    let is_local = match target.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    target.port().filter(|_| is_local).unwrap_or(EXAMPLE_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_listens_where_the_endpoint_is_as_far_as_that_can_be_told() {
        for (url, path, port) in [
            ("http://127.0.0.1:4000/hooks/of_shop", "/hooks/of_shop", 4000),
            ("http://localhost:4000/", "/", 4000),
            ("https://shop.example:8443/hook", "/hook", EXAMPLE_PORT),
            ("http://[::1]/hook", "/hook", EXAMPLE_PORT),
            ("https://shop.example/'+process.exit()+'", EXAMPLE_PATH, EXAMPLE_PORT),
            ("https://shop.example/:any", EXAMPLE_PATH, EXAMPLE_PORT),
            ("https://shop.example/%27", EXAMPLE_PATH, EXAMPLE_PORT),
        ] {
            let target = Url::parse(url).expect("a URL");
            assert_eq!((path_to_listen_at(&target), port_to_listen_on(&target)), (path, port), "{url}");
        }
        assert_eq!(EXPRESS.matches(EXAMPLE_PATH).count(), 1);
    }
}
