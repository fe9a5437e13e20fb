//! The whole application behind a real socket on the loopback interface, and a client that holds every
//! answer it gets against the rules that all answers obey.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr as _;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use cryptopay_dashboard::{Dashboard, Transport};
use cryptopay_http::{HttpConfig, ServerConfig};
use cryptopay_payments::{Payments, TargetPolicy};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::auth::TestAuth;
use crate::client::client;
use crate::database::Backend;
use crate::document::Document;
use crate::payments::{TestNames, guarded_targets, payments_over};

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than that: a connection that ends was closed, and not merely idle.
const KEEP_ALIVE: Duration = Duration::from_secs(600);

/// A server on a port of its own, which stops when this is dropped.
pub struct TestApp {
    /// The core that it serves.
    pub core: TestAuth,
    /// The payments core over it, guarded as in production. It sends nothing until a test runs its deliveries.
    pub payments: Payments,
    /// What names resolve to when a webhook endpoint is made; no other name does.
    pub names: TestNames,
    /// Its OpenAPI document.
    pub document: Document,
    address: SocketAddr,
    client: Client,
    server: ServerHandle,
}

/// A request that is being put together.
#[must_use]
pub struct Call<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    request: RequestBuilder,
    errors: Errors,
}

/// Which errors an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    /// Those that the document gives the operation.
    OfTheOperation,
    /// Any that there is: the request asks for one.
    OnPurpose,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl TestApp {
    /// The application in the sandbox, without CORS and proxies.
    pub async fn start(backend: Backend) -> Self {
        Self::serve(TestAuth::start(backend).await, HttpConfig::new(7))
    }

    /// The application over a core, and with settings, of the test's choice.
    #[must_use]
    pub fn serve(core: TestAuth, config: HttpConfig) -> Self {
        Self::serve_with(core, config, ServerConfig { keep_alive: KEEP_ALIVE, ..ServerConfig::default() })
    }

    /// The same, with connections treated as the test says.
    #[must_use]
    pub fn serve_with(core: TestAuth, config: HttpConfig, server: ServerConfig) -> Self {
        let names = TestNames::default();
        let payments = payments_over(&core.auth, guarded_targets(), &names);
        Self::serve_over(core, payments, names, config, server)
    }

    /// The application with its dashboard, reached as the test says.
    #[must_use]
    pub fn with_dashboard(core: TestAuth, transport: Transport) -> Self {
        Self::with_dashboard_and(core, transport, guarded_targets())
    }

    /// The same, with webhooks that go where `targets` says.
    #[must_use]
    pub fn with_dashboard_and(core: TestAuth, transport: Transport, targets: TargetPolicy) -> Self {
        let names = TestNames::default();
        let payments = payments_over(&core.auth, targets, &names);
        let dashboard = Dashboard::new(core.auth.clone(), payments.clone(), transport);
        let config = HttpConfig { beside: Some(dashboard.mount()), ..HttpConfig::new(7) };
        let server = ServerConfig { keep_alive: KEEP_ALIVE, ..ServerConfig::default() };
        Self::serve_over(core, payments, names, config, server)
    }

    fn serve_over(
        core: TestAuth,
        payments: Payments,
        names: TestNames,
        config: HttpConfig,
        server: ServerConfig,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = ServerConfig { workers: Some(1), ..server };
        let server = cryptopay_http::serve(listener, core.auth.clone(), payments.clone(), config, server)
            .expect("a server");
        let handle = server.handle();
        tokio::spawn(server);
        let client = client();
        Self { core, payments, names, document: Document::of_the_code(), address, client, server: handle }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins a request.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let method = Method::from_str(method).expect("a method");
        let request = self.client.request(method.clone(), format!("http://{}{path}", self.address));
        Call { app: self, method, path: path.to_owned(), request, errors: Errors::OfTheOperation }
    }

    /// Begins a `GET`.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call("GET", path)
    }

    /// Begins a `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.call("POST", path).json(body)
    }

    /// Writes bytes to a connection and gives all that comes back until the server closes it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (mut reader, mut writer) =
            TcpStream::connect(self.address).await.expect("a connection").into_split();
        let bytes = bytes.to_vec();
        let writing = tokio::spawn(async move {
            // The server may close before it has read everything.
            drop(writer.write_all(&bytes).await);
            writer
        });
        let mut answer = Vec::new();
        let reading = reader.read_to_end(&mut answer);
        // A reset after the answer is an end, too.
        drop(tokio::time::timeout(PATIENCE, reading).await.expect("the connection closes"));
        drop(writing.await);
        String::from_utf8(answer).expect("text")
    }

    /// How many events the audit log holds: every change of an account, a credential or a webhook endpoint
    /// leaves one there.
    pub async fn audit_events(&self) -> usize {
        self.core.auth.store().list_audit_events(None, 10_000).await.expect("the audit log").len()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // The order to stop is given at once; nobody waits for it to be carried out.
        drop(self.server.stop(false));
    }
}

impl Call<'_> {
    /// Adds a header, beside those of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        self.request = self.request.header(name, value);
        self
    }

    /// Adds a bearer credential.
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// Asks for an error.
    pub fn sandbox_error(mut self, code: &str) -> Self {
        self.errors = Errors::OnPurpose;
        self.header("x-sandbox-error", code)
    }

    /// Sends JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Sends bytes, undeclared.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.body(body.into());
        self
    }

    /// Sends it, and checks what is true of every answer: its headers, and that its JSON is what the OpenAPI
    /// document says.
    pub async fn send(self) -> Answer {
        let response = self.request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer").to_vec();
        let answer = Answer { status, headers, body };
        answer.check(&self.method, &self.path);
        answer.check_against(&self.app.document, &self.method, &self.path, self.errors);
        answer
    }
}

impl Answer {
    /// The body.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Status and error code, such as `401 INVALID_TOKEN`; the status alone when it is no error.
    #[must_use]
    pub fn verdict(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match body["error"]["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }

    /// The names of the fields that are complained about.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let body = self.json();
        body["error"]["fields"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// A header's only value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().expect("text");
        assert!(values.next().is_none(), "{name} is there twice");
        Some(value)
    }

    fn check(&self, method: &Method, path: &str) {
        let what = format!("{method} {path}: {self:?}");
        assert!(!(300..400).contains(&self.status) && self.status != 204, "{what}");
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{what}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert_eq!(self.header("referrer-policy"), Some("no-referrer"), "{what}");
        assert!(self.header("content-security-policy").is_some(), "{what}");
        assert!(self.header("cache-control").is_some(), "{what}");
        let is_document = path.starts_with("/api/openapi.json");
        if path.starts_with("/api/") && !is_document || self.status >= 400 {
            assert_eq!(self.header("cache-control"), Some("no-store"), "{what}");
        }
        if !self.has_json(method, path) {
            return;
        }
        assert_eq!(self.header("content-type"), Some("application/json"), "{what}");
        let body = self.json();
        assert!(body.is_object(), "{what}");
        let retry_after = body["retry_after"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!(self.header("retry-after"), retry_after.as_deref(), "{what}");
        assert_eq!(retry_after.is_some(), matches!(self.status, 429 | 503), "{what}");
        assert_eq!(self.header("allow").is_some(), self.status == 405, "{what}");
        let is_validation = body["error"]["code"] == "VALIDATION_ERROR";
        assert_eq!(body["error"].get("fields").is_some(), is_validation, "{what}");
    }

    fn check_against(&self, document: &Document, method: &Method, path: &str, errors: Errors) {
        if !self.has_json(method, path) {
            return;
        }
        match errors {
            Errors::OnPurpose if self.status >= 400 => document.check_error(&self.json()),
            _ => document.check(method.as_str(), path, self.status, &self.json()),
        }
    }

    fn has_json(&self, method: &Method, path: &str) -> bool {
        let may_be_empty = method == Method::HEAD || method == Method::OPTIONS;
        !(self.body.is_empty() && may_be_empty || path.starts_with("/docs") && self.status == 200)
    }
}
