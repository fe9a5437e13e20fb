//! The server: the application behind a listening socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use cryptopay_auth::Auth;
use cryptopay_payments::Payments;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::config::HttpConfig;
use crate::connection_limit::ConnectionLimit;
use crate::deadline_stream::{DeadlineStream, NextHead, Patience};
use crate::metrics::Metrics;
use crate::refusal_stream::RefusalStream;
use crate::request_id::RequestIds;
use crate::tls::Tls;

/// A connection as the HTTP library has it.
type Connection = RefusalStream<DeadlineStream<Transport>>;

/// What is read from and written to.
type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// How a server treats its connections.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// TLS of the server's own; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// How many connections may be open in all, trusted proxies' included; more are closed unanswered.
    pub connections: usize,
    /// How many connections one client (an IPv4 address or an IPv6 /64) may hold open. Trusted proxies may
    /// hold any number.
    pub connections_per_client: usize,
    /// Threads that serve requests; as many as there are processors when absent.
    pub workers: Option<usize>,
    /// How long a client may take to send a request's head, and to agree on TLS before it.
    pub head_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a client may take to make room for an answer that it does not read.
    pub answer_timeout: Duration,
    /// How long requests that are being served at shutdown may take.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tls: None,
            connections: 16_384,
            connections_per_client: 1024,
            workers: None,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            answer_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves the application on `listener` until the handle of what is returned is told to stop.
///
/// It does what `HttpServer` does, and two things more, which need a hand on the connection itself: requests that the
/// HTTP library cannot read are refused in the contract's shape, and a client that is slow at any point is not waited
/// for without end.
///
/// # Errors
/// What the operating system says when the socket cannot be used.
pub fn serve(
    listener: TcpListener,
    auth: Auth,
    payments: Payments,
    http: HttpConfig,
    config: ServerConfig,
) -> std::io::Result<Server> {
    let mut server = Server::build()
        .disable_signals()
        .shutdown_timeout(config.drain.as_secs())
        // Of each worker: that of the door, over all of them, is reached first.
        .max_concurrent_connections(config.connections.saturating_add(1));
    if let Some(workers) = config.workers {
        server = server.workers(workers);
    }
    let stopping = server.graceful_shutdown_signal();
    let exempt = http.trusted_proxies.clone();
    let limit = Arc::new(ConnectionLimit::new(config.connections, config.connections_per_client, exempt));
    if let Some(metrics) = &http.metrics {
        metrics.watch(Arc::clone(&limit));
    }
    let door = Arc::new(Door {
        limit,
        tls: config.tls,
        patience: Patience {
            head: config.head_timeout,
            idle: config.keep_alive,
            answer: config.answer_timeout,
        },
        request_ids: http.request_ids.clone(),
        metrics: http.metrics.clone(),
    });
    let server = server.listen("http", listener, move || {
        let (stopping, door) = (stopping.clone(), Arc::clone(&door));
        let app = crate::app(auth.clone(), payments.clone(), http.clone());
        let service = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(config.head_timeout)
            .client_disconnect_timeout(Duration::from_secs(1))
            .keep_alive(config.keep_alive)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.get_ref().next_head().clone());
            })
            .finish(apply_fn_factory(
                map_config(app.into_factory(), |()| AppConfig::default()),
                |request: Request, app| {
                    let next_head = request.conn_data::<NextHead>().cloned();
                    next_head.iter().for_each(NextHead::arrived);
                    let answering = app.call(request);
                    async move {
                        let answered = answering.await;
                        next_head.iter().for_each(NextHead::awaited);
                        answered
                    }
                },
            ));
        fn_service(move |stream: TcpStream| {
            let door = Arc::clone(&door);
            async move {
                let peer = stream.peer_addr()?;
                let connection = door.open(stream, peer).await?;
                Ok((connection, Protocol::Http1, Some(peer)))
            }
        })
        .map_err(DispatchError::Io)
        .and_then(service)
    })?;
    Ok(server.run())
}

/// What every connection comes through.
struct Door {
    limit: Arc<ConnectionLimit>,
    tls: Option<Tls>,
    patience: Patience,
    request_ids: RequestIds,
    metrics: Option<Metrics>,
}

impl Door {
    /// Lets a connection in, or closes it: there is nobody to tell yet, so the only answer is the end.
    async fn open(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<Connection> {
        let place = self.limit.admit(peer.ip()).ok_or(io::ErrorKind::QuotaExceeded)?;
        // An answer is one write: waiting for more only delays it.
        stream.set_nodelay(true)?;
        let transport = match &self.tls {
            None => Either::Left(stream),
            Some(tls) => {
                let agreeing = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
                Either::Right(Box::new(timeout(self.patience.head, agreeing).await??))
            }
        };
        let timed = DeadlineStream::new(transport, NextHead::new(self.patience));
        Ok(RefusalStream::new(timed, self.request_ids.clone(), self.metrics.clone(), place))
    }
}
