//! A connection that ends when its client is too slow between two requests, or in taking an answer.
//!
//! The HTTP library times the first head on a connection and an idle connection, and nothing else: without this, a
//! client that sends one whole request and then a byte a minute of the next, or that never reads its answers, would keep
//! its connection for ever (CWE-400; "slow-loris", "slow read"). The time of a body is its reader's: `body.rs`.

use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the first byte of a request's head to its last.
    pub(crate) head: Duration,
    /// From an answer to the first byte of the next request.
    pub(crate) idle: Duration,
    /// From the moment at which an answer no longer fits into the system's buffers until all of it does.
    pub(crate) answer: Duration,
}

/// Until when the next request's head must be there, known to the connection and to whoever serves its requests.
#[derive(Clone, Debug)]
pub(crate) struct NextHead {
    due: Rc<Cell<Option<Instant>>>,
    patience: Patience,
}

impl NextHead {
    /// Of a new connection, whose first head the HTTP library times.
    pub(crate) fn new(patience: Patience) -> Self {
        Self { due: Rc::default(), patience }
    }

    /// A request has come, and the server is at work on it.
    pub(crate) fn arrived(&self) {
        self.due.set(None);
    }

    /// The request has been answered; the client has its turn.
    pub(crate) fn awaited(&self) {
        self.due.set(Some(Instant::now() + self.patience.idle + self.patience.head));
    }

    /// Bytes have come: if they are not those of a body, a head has begun.
    fn begun(&self) {
        if let Some(due) = self.due.get() {
            self.due.set(Some(due.min(Instant::now() + self.patience.head)));
        }
    }
}

/// The connection.
pub(crate) struct DeadlineStream<Io> {
    io: Io,
    next_head: NextHead,
    /// Until when what is to be written must have been.
    answer_due: Option<Instant>,
    /// Set for the earlier deadline, or for one that has been put off since: requests move deadlines, and moving
    /// a timer each time costs more than waking once in vain.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<Io> DeadlineStream<Io> {
    pub(crate) const fn new(io: Io, next_head: NextHead) -> Self {
        Self { io, next_head, answer_due: None, timer: None }
    }

    pub(crate) const fn next_head(&self) -> &NextHead {
        &self.next_head
    }

    /// Ready when a deadline has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let deadlines = [self.next_head.due.get(), self.answer_due];
        let Some(due) = deadlines.into_iter().flatten().min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(due);
        }
    }

    /// What a write came to: one that has to wait does so until a deadline.
    fn bound<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let answer = self.next_head.patience.answer;
            self.answer_due.get_or_insert_with(|| Instant::now() + answer);
            return self.poll_deadline(cx).map(Err);
        }
        written
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for DeadlineStream<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // First, so that bytes without end put nothing off.
        if let Poll::Ready(passed) = self.poll_deadline(cx) {
            return Poll::Ready(Err(passed));
        }
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        self.next_head.begun();
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for DeadlineStream<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buffer);
        self.bound(cx, written)
    }

    /// The HTTP library flushes when it has written all it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            self.answer_due = None;
        }
        self.bound(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.bound(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        answer: Duration::from_secs(30),
    };

    fn pair(room: usize) -> (DeadlineStream<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(room);
        (DeadlineStream::new(near, NextHead::new(PATIENCE)), far)
    }

    /// How long it was until the stream ended by itself, in seconds.
    async fn end_of(stream: &mut DeadlineStream<DuplexStream>) -> u64 {
        let began = Instant::now();
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => panic!("the client ended it"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return began.elapsed().as_secs();
                }
            }
        }
    }

    /// Writes a byte every five seconds for as long as somebody reads.
    async fn dribble(far: &mut DuplexStream) {
        while far.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_request_may_begin_late_and_must_then_come_without_delay() {
        let (mut stream, mut far) = pair(64);
        stream.next_head().awaited();
        assert_eq!(end_of(&mut stream).await, 85, "idle for 75 s, and a head within 10 s");

        stream.next_head().awaited();
        let ended = tokio::select! {
            ended = end_of(&mut stream) => ended,
            () = dribble(&mut far) => unreachable!("the stream is there"),
        };
        assert_eq!(ended, 10, "bytes put nothing off");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_timed_while_a_request_is_served() {
        let (mut stream, _far) = pair(64);
        stream.next_head().awaited();
        stream.next_head().arrived();
        let waited = tokio::time::timeout(Duration::from_secs(3600), end_of(&mut stream)).await;
        assert!(waited.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_ends_the_connection_and_one_that_is_does_not() {
        let (mut stream, mut far) = pair(4);
        let began = Instant::now();
        let error = stream.write_all(b"an answer").await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));

        let (mut stream, mut other) = pair(4);
        for _ in 0..3 {
            let slow = async {
                tokio::time::sleep(Duration::from_secs(20)).await;
                other.read_exact(&mut [0; 9]).await.unwrap();
            };
            let writing = async {
                stream.write_all(b"an answer").await.unwrap();
                stream.flush().await.unwrap();
            };
            tokio::join!(writing, slow);
        }
        assert_eq!(far.read(&mut [0; 4]).await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn taking_an_answer_byte_by_byte_puts_nothing_off() {
        let (mut stream, mut far) = pair(1);
        let began = Instant::now();
        let sip = async {
            while far.read_exact(&mut [0]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        };
        let error = tokio::select! {
            written = stream.write_all(&[b'x'; 100]) => written.unwrap_err(),
            () = sip => unreachable!("the stream is there"),
        };
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
    }
}
