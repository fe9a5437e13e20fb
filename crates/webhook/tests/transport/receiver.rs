//! A merchant's server, which treats each connection as the test says, and a transport that may reach it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cryptopay_webhook::{Addresses, Exchange, Resolver, Schemes, Target, TargetPolicy, Timeouts, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::names::NoNames;

/// Long enough for any machine, and shorter than a test may take.
pub(crate) const PATIENT: Timeouts = Timeouts {
    total: Duration::from_secs(30),
    connect: Duration::from_secs(30),
    body: Duration::from_secs(30),
};

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// A receiver that hands every connection to `treat`.
    pub(crate) async fn start<Treat, Treated>(treat: Treat) -> Self
    where
        Treat: Fn(TcpStream) -> Treated + Send + 'static,
        Treated: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(treat(stream));
            }
        });
        Self { address, connections }
    }

    /// A receiver that answers every request of every connection with these bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        break;
                    }
                }
            }
        })
        .await
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks?shop=1", self.address)
    }
}

/// The next request of a connection, head and body, unless the connection has ended.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let end_of_head = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(request[..end_of_head].to_vec()).unwrap().to_lowercase();
    let (_, after) = head.split_once("content-length: ").expect("a length");
    let length: usize = after.split("\r\n").next().unwrap().parse().unwrap();
    while request.len() < end_of_head + length {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8(request).unwrap())
}

pub(crate) fn any_address() -> TargetPolicy {
    TargetPolicy { schemes: Schemes::HttpAndHttps, addresses: Addresses::AnyAddress, own: Vec::new() }
}

pub(crate) fn public_only() -> TargetPolicy {
    TargetPolicy { addresses: Addresses::PublicOnly, own: vec![OWN], ..any_address() }
}

/// A public address that is the server's own.
pub(crate) const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(8, 8, 4, 4));

/// A transport to anywhere, for literal addresses.
pub(crate) fn transport(timeouts: Timeouts) -> Transport {
    Transport::new(Resolver::new(any_address(), Arc::new(NoNames)), timeouts).unwrap()
}

pub(crate) async fn post(transport: &Transport, url: &str) -> Exchange {
    let target = Target::parse(url, &any_address()).unwrap();
    transport.post(&target, &[], Bytes::from_static(b"{}")).await
}

/// What a patient post to a receiver ends in.
pub(crate) async fn outcome(receiver: &Receiver) -> Exchange {
    post(&transport(PATIENT), &receiver.url()).await
}
