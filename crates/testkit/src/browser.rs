//! A browser without a screen: it keeps cookies, follows nothing by itself, and fills in forms as they were shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::{
    CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, SET_COOKIE,
};
use reqwest::{Client, RequestBuilder, Url};

use crate::app::TestApp;
use crate::auth::{PASSWORD, TestAuth};
use crate::client::client;
use crate::payments::open_targets;

/// One browser, with its cookies.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    address: SocketAddr,
    /// Its cookies by name. A test may change them, as an attacker would.
    pub cookies: BTreeMap<String, String>,
    headers: HeaderMap,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The page.
    pub html: String,
}

impl Browser {
    /// A browser on the machine of the server, with nothing in it.
    #[must_use]
    pub fn new(app: &TestApp) -> Self {
        let origin = format!("http://{}", app.address()).parse().expect("an origin");
        let headers = HeaderMap::from_iter([(ORIGIN, origin)]);
        Self { client: client(), address: app.address(), cookies: BTreeMap::new(), headers }
    }

    /// A browser in which `username`, who is registered here, has logged in.
    pub async fn logged_in(app: &TestApp, username: &str) -> Self {
        app.core.register(username).await;
        let mut browser = Self::new(app);
        let shown = browser.log_in(username, PASSWORD).await;
        assert_eq!((shown.status, shown.location()), (303, Some("/dashboard")), "{}", shown.html);
        browser
    }

    /// Sends a header with every form from now on, instead of the one of that name.
    pub fn insist_on(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), value.parse().expect("a header value"));
    }

    /// Sends a header no more.
    pub fn leave_out(&mut self, name: &str) {
        self.headers.remove(name);
    }

    /// Opens a page.
    pub async fn open(&mut self, path: &str) -> Shown {
        let request = self.client.get(format!("http://{}{path}", self.address));
        self.send(request).await
    }

    /// Fills in the login.
    pub async fn log_in(&mut self, username: &str, password: &str) -> Shown {
        let fields = [("username", username), ("password", password)];
        self.submit("/dashboard/login", "/dashboard/login", &fields).await
    }

    /// Opens the page at `page`, and sends the form on it whose action is `action` with its hidden fields and these.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Shown {
        let shown = self.open(page).await;
        self.send_form(&shown, action, fields).await
    }

    /// Sends the form of a page that was shown whose action is `action`, with its hidden fields and these.
    pub async fn send_form(&mut self, shown: &Shown, action: &str, fields: &[(&str, &str)]) -> Shown {
        let mut all = shown.hidden_fields(action);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let all: Vec<(&str, &str)> =
            all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &all).await
    }

    /// Sends these fields and nothing else.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let request = self.client.post(format!("http://{}{path}", self.address));
        let encoded = Url::parse_with_params("http://form.invalid/", fields).expect("fields");
        let request = request
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded.query().unwrap_or_default().to_owned());
        self.send(request).await
    }

    async fn send(&mut self, request: RequestBuilder) -> Shown {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = match HeaderValue::from_str(&cookies.join("; ")) {
            Ok(cookies) if !cookies.is_empty() => request.header(COOKIE, cookies),
            _ => request,
        };
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            self.take_cookie(cookie.to_str().expect("text"));
        }
        Shown { status, headers, html: response.text().await.expect("a whole page") }
    }

    fn take_cookie(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').expect("a cookie");
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Shown {
    /// Where it leads.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.header(LOCATION.as_str())
    }

    /// A header's first value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The hidden fields of the form whose action is `action`.
    #[must_use]
    pub fn hidden_fields(&self, action: &str) -> Vec<(String, String)> {
        let form = self.html.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")));
        let form = form.unwrap_or_else(|| panic!("no form for {action}: {} {}", self.status, self.html));
        let form = form.split("</form>").next().unwrap_or_default();
        let hidden = form.split("<input").filter(|input| input.contains("type=\"hidden\""));
        hidden.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
    }

    /// The text of the element with this `id`, as long as nothing lies in it but text.
    #[must_use]
    pub fn text_of(&self, id: &str) -> String {
        let marker = format!("id=\"{id}\"");
        let at = self.html.find(&marker).unwrap_or_else(|| panic!("no element {id}: {}", self.html));
        let rest = &self.html[at..];
        let text = rest.split_once('>').and_then(|(_, rest)| rest.split_once("</"));
        unescape(text.expect("an element").0)
    }
}

/// An attribute of a tag.
fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    unescape(value.map(|(value, _)| value).unwrap_or_default())
}

fn unescape(text: &str) -> String {
    let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
    text.replace("&#38;", "&")
}

impl TestApp {
    /// The application with its dashboard, reached in plain on this machine.
    pub async fn start_with_dashboard(backend: crate::database::Backend) -> Self {
        Self::with_dashboard(TestAuth::start(backend).await, cryptopay_dashboard::Transport::Plain)
    }

    /// The same, with webhooks that may go to this machine.
    pub async fn start_with_dashboard_and_receivers(backend: crate::database::Backend) -> Self {
        let core = TestAuth::start(backend).await;
        Self::with_dashboard_and(core, cryptopay_dashboard::Transport::Plain, open_targets())
    }
}
