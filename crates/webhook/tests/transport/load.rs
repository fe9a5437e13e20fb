//! Many posts at once.

use std::time::Duration;

use cryptopay_webhook::Timeouts;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::receiver::{PATIENT, Receiver, post, read_request, transport};

/// Both ends of a connection are this process's, and many systems allow 1024 open files.
const HANGING: usize = 400;

/// Resident pages of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn receivers_that_hang_delay_nobody_and_take_little_memory() {
    let healthy = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let dead = Receiver::start(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            arrived.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let transport = transport(Timeouts { total: Duration::from_secs(60), ..PATIENT });
    assert_eq!(post(&transport, &healthy.url()).await.status_code, Some(200));
    let before = resident();
    let mut hanging = JoinSet::new();
    for _ in 0..HANGING {
        let (transport, url) = (transport.clone(), dead.url());
        hanging.spawn(async move { post(&transport, &url).await });
    }
    for _ in 0..HANGING {
        arrivals.recv().await.unwrap();
    }
    for _ in 0..100 {
        assert_eq!(post(&transport, &healthy.url()).await.status_code, Some(200));
    }
    let each = resident().saturating_sub(before) / HANGING;
    assert!(each < 64 * 1024, "{each} bytes for each of them, its receiver included");
    assert_eq!(hanging.len(), HANGING);
    assert_eq!(dead.connections(), HANGING);
    assert_eq!(healthy.connections(), 1);
}
