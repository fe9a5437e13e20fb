//! What a Prometheus server may read: how requests were answered, and how busy the cores are. It is served on a socket of
//! its own (`/metrics`), so that the API's clients never reach it.
//!
//! Nothing that a client chooses becomes a label: routes are patterns, and methods that HTTP does not know are one.

use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::Method;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Resource};
use cryptopay_auth::Auth;
use cryptopay_auth::hasher::HashLoad;
use cryptopay_payments::{Attempts, Payments};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::config::HttpConfig;
use crate::connection_limit::{ConnectionLimit, Connections};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::mount::note_route;
use crate::request_id::RequestIds;
use crate::routes;

/// Where they are served.
pub const METRICS_PATH: &str = "/metrics";

/// OpenMetrics 1.0, which Prometheus asks for.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds. `verify` takes some ten microseconds, a login a quarter of a second and its turn in a queue.
const BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How long a scraper may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The metrics of one server. Clones are one.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Requests,
    unreadable: Unreadable,
    connections: Watched,
}

type Requests = Family<RequestLabels, Histogram, fn() -> Histogram>;

type Unreadable = Family<StatusLabel, Counter>;

/// The connections of the server, once it is there.
type Watched = Arc<OnceLock<Arc<ConnectionLimit>>>;

/// Named as in OpenTelemetry's semantic conventions for HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    /// The pattern of the route; empty, which to Prometheus is none, for a path that means nothing.
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    http_response_status_code: u16,
}

impl Metrics {
    /// Of a server of these cores.
    #[must_use]
    pub fn new(auth: &Auth, payments: &Payments) -> Self {
        let mut registry = Registry::default();
        let environment = auth.environment().to_string();
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("environment", environment)];
        registry.register("cryptopay_build", "What is running", Info::new(Vec::from(build)));
        let requests = Requests::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register_with_unit(
            "http_server_request_duration",
            "How long requests took to answer",
            Unit::Seconds,
            requests.clone(),
        );
        let unreadable = Unreadable::default();
        let about =
            "Requests that were refused because they are no HTTP, or their head was too large or too slow";
        registry.register("cryptopay_unreadable_requests", about, unreadable.clone());
        let connections = Watched::default();
        let (auth, payments) = (auth.clone(), payments.clone());
        let parts = Parts { auth, payments, connections: Arc::clone(&connections) };
        registry.register_collector(Box::new(parts));
        Self(Arc::new(Inner { registry, requests, unreadable, connections }))
    }

    /// A request of `method` to `route` was answered with `status` after `latency`.
    pub(crate) fn answered(&self, method: &Method, route: &'static str, status: u16, latency: Duration) {
        let labels = RequestLabels {
            http_request_method: known_method(method),
            http_route: route,
            http_response_status_code: status,
        };
        self.0.requests.get_or_create(&labels).observe(latency.as_secs_f64());
    }

    /// What could not be read was refused with `status`.
    pub(crate) fn unreadable(&self, status: u16) {
        self.0.unreadable.get_or_create(&StatusLabel { http_response_status_code: status }).inc();
    }

    /// Tells of these connections from now on.
    pub(crate) fn watch(&self, connections: Arc<ConnectionLimit>) {
        // There is one server of a process; a second one's would be left out.
        let _ = self.0.connections.set(connections);
    }

    /// All of them, as they are now.
    fn exposition(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

/// The methods of RFC 9110 and RFC 5789; `_OTHER`, as OpenTelemetry has it, for whatever else a client makes up.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// What is read of the server's parts when somebody asks.
struct Parts {
    auth: Auth,
    payments: Payments,
    connections: Watched,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Connections { open, refused } =
            self.connections.get().map_or(Connections { open: 0, refused: 0 }, |limit| limit.connections());
        let HashLoad { running, waiting } = self.auth.hash_load();
        for (name, about, number) in [
            ("cryptopay_open_connections", "Connections of clients.", open),
            ("cryptopay_password_hashes_running", "Passwords being hashed, or judged.", running),
            ("cryptopay_password_hashes_waiting", "Passwords that wait for a thread.", waiting),
        ] {
            let gauge = ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)?;
        }
        for (name, about, number) in [
            ("cryptopay_refused_connections", "Connections that were closed for want of a place.", refused),
            ("cryptopay_password_hashes", "Passwords hashed.", self.auth.hash_runs()),
        ] {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(name, about, None, MetricType::Counter)?)?;
        }
        let Attempts { succeeded, failed } = self.payments.attempts();
        let (name, about) =
            ("cryptopay_webhook_attempts", "Webhook requests that were sent, or could not be.");
        let mut attempts = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
        for (outcome, number) in [("succeeded", succeeded), ("failed", failed)] {
            ConstCounter::new(number).encode(attempts.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }
}

/// Serves `metrics` at [`METRICS_PATH`] on `listener`, and nothing else, until the handle of what is returned is told to
/// stop.
///
/// # Errors
/// What the operating system says when the socket cannot be used.
pub fn serve_metrics(
    listener: TcpListener,
    metrics: Metrics,
    request_ids: RequestIds,
) -> std::io::Result<Server> {
    let config = HttpConfig { request_ids, ..HttpConfig::new(0) };
    let server = HttpServer::new(move || {
        let mut app = App::new().wrap(Envelope::new(&config)).app_data(Data::new(metrics.clone()));
        for path in [METRICS_PATH.to_owned(), format!("{METRICS_PATH}/")] {
            let others = routes::method_not_allowed("GET".to_owned());
            app = app.service(Resource::new(path).route(web::get().to(scrape)).default_service(others));
        }
        app.default_service(routes::route_not_found())
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(1).client_request_timeout(HEAD_TIMEOUT);
    Ok(server.listen(listener)?.run())
}

async fn scrape(request: HttpRequest, metrics: Data<Metrics>) -> Result<HttpResponse, ApiError> {
    note_route(&request, METRICS_PATH);
    let text = metrics.exposition().map_err(|_| ApiError::Internal)?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}
