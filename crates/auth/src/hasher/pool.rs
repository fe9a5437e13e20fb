//! Threads for heavy work, and a bounded queue before them.
//!
//! The work runs on threads of its own, at a lower priority: never on those that serve requests. A
//! running job holds its thread to its end, whoever stops waiting for it, so the number of jobs that run
//! at once, and with it the memory they take, has a hard bound. A thread that has had nothing to do for a
//! while ends: that is when an allocator gives back to the system what the thread has freed (mimalloc
//! would keep a block of 128 MiB for each thread for as long as nothing else happens).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use cryptopay_domain::ClientNetwork;
use tokio::sync::oneshot;

use super::{HashLoad, HasherError};

/// What bounds the pool.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Threads at most, and so jobs that run at once.
    pub(super) permits: usize,
    /// Jobs that may wait.
    pub(super) queue: usize,
    /// Jobs of one network that may wait.
    pub(super) waiting_per_network: usize,
    /// How long a job may wait.
    pub(super) deadline: Duration,
    /// How long a thread stays without a job.
    pub(super) linger: Duration,
}

/// The threads and their queue. Dropping it ends the threads, each after the job it runs.
pub(super) struct Pool(Arc<Shared>);

impl Pool {
    /// A pool without threads: they are started when there is work.
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, state: Mutex::default(), wake: Condvar::new() }))
    }

    /// Queues `work`, waits for a thread, and answers what it returned. A future that is dropped takes
    /// its work out of the queue, unless it runs already.
    ///
    /// # Errors
    /// [`HasherError::Overloaded`] at once when the queue has no room or the system no thread, or after the
    /// deadline;
    /// [`HasherError::Closed`] when the work panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        from: ClientNetwork,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        let (reply, mut answer) = oneshot::channel();
        let work = move || -> Answer {
            let done = work();
            Box::new(move || drop(reply.send(done)))
        };
        let place = self.enter(from, Box::new(work))?;
        let answer = match tokio::time::timeout(self.0.limits.deadline, &mut answer).await {
            Ok(answer) => answer,
            Err(_) if place.leave() => return Err(self.0.state().overloaded(self.0.limits)),
            Err(_) => answer.await,
        };
        answer.map_err(|_| HasherError::Closed)
    }

    /// How many jobs run and how many wait.
    pub(super) fn load(&self) -> HashLoad {
        let state = self.0.state();
        HashLoad { running: state.running, waiting: state.jobs.len() }
    }

    fn enter(&self, from: ClientNetwork, work: Work) -> Result<Place<'_>, HasherError> {
        let shared = &self.0;
        let mut state = shared.state();
        if !state.has_room(from, shared.limits) {
            return Err(state.overloaded(shared.limits));
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.jobs.push_back(Job { ticket, from, work });
        let short_of_threads = state.jobs.len() > state.threads - state.running;
        if short_of_threads && state.threads < shared.limits.permits {
            if start_thread(shared).is_ok() {
                state.threads += 1;
            } else if state.threads == 0 {
                state.jobs.pop_back();
                return Err(state.overloaded(shared.limits));
            }
        }
        drop(state);
        shared.wake.notify_one();
        Ok(Place { shared, ticket })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.wake.notify_all();
    }
}

/// A job: does its work, and leaves what tells its caller.
type Work = Box<dyn FnOnce() -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that have a job.
    running: usize,
    closed: bool,
    next_ticket: u64,
    /// How long a job has run of late: a moving average, zero before the first.
    run_time: Duration,
}

struct Job {
    ticket: u64,
    from: ClientNetwork,
    work: Work,
}

/// A job's place in the queue, given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    ticket: u64,
}

impl Shared {
    /// What each thread does until it ends.
    fn serve(&self) {
        while let Some(job) = self.next_job() {
            let start = Instant::now();
            // A panic costs its own caller an answer, and nobody else a thread.
            let answer = catch_unwind(AssertUnwindSafe(job.work));
            // First of all the job is over: whoever has its answer may come with the next one at once.
            self.state().finish(start.elapsed());
            if let Ok(answer) = answer {
                answer();
            }
        }
    }

    /// Waits for a job; none when the pool is dropped or the thread has waited long enough.
    fn next_job(&self) -> Option<Job> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let waited = self.wake.wait_timeout_while(self.state(), self.limits.linger, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let job = if state.closed { None } else { state.jobs.pop_front() };
        match job {
            Some(_) => state.running += 1,
            None => state.threads -= 1,
        }
        job
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so the state is whole whatever happened.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, from: ClientNetwork, limits: Limits) -> bool {
        // The first jobs of the queue only wait for a thread to wake up.
        let idle = limits.permits - self.running;
        let waiting = self.jobs.iter().skip(idle);
        let waiting_here = waiting.clone().filter(|job| job.from == from).count();
        self.jobs.len() < idle || (waiting.len() < limits.queue && waiting_here < limits.waiting_per_network)
    }

    fn finish(&mut self, run_time: Duration) {
        self.running -= 1;
        self.run_time = match self.run_time {
            Duration::ZERO => run_time,
            average => (average * 7 + run_time) / 8,
        };
    }

    fn overloaded(&self, limits: Limits) -> HasherError {
        HasherError::Overloaded { retry_after: time_to_clear(self.jobs.len(), limits.permits, self.run_time) }
    }
}

impl Place<'_> {
    /// Takes the job out of the queue; false if it is no longer there.
    fn leave(&self) -> bool {
        let mut state = self.shared.state();
        let index = state.jobs.iter().position(|job| job.ticket == self.ticket);
        let job = index.and_then(|index| state.jobs.remove(index));
        drop(state);
        job.is_some()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How long `permits` threads need for `waiting` jobs, in whole seconds, one at least.
fn time_to_clear(waiting: usize, permits: usize, run_time: Duration) -> Duration {
    let rounds = u32::try_from(waiting.div_ceil(permits.max(1))).unwrap_or(u32::MAX);
    let seconds = run_time.saturating_mul(rounds).as_millis().div_ceil(1000);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX).max(1))
}

fn start_thread(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let serve = move || {
        yield_to_requests();
        shared.serve();
    };
    thread::Builder::new().name("hasher".to_owned()).spawn(serve).map(drop)
}

/// Lowers the priority of the calling thread. Linux alone has priorities of threads; elsewhere the call
/// would slow the whole process.
fn yield_to_requests() {
    /// A tenth of a request thread's share when both want one core.
    #[cfg(target_os = "linux")]
    const NICENESS: i32 = 10;
    // Without it hashing still works, so a refusal is no reason to stop.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use cryptopay_domain::ClientAddress;

    use super::*;

    const LIMITS: Limits = Limits {
        permits: 1,
        queue: 2,
        waiting_per_network: 2,
        deadline: Duration::from_secs(10),
        linger: Duration::from_secs(2),
    };

    fn network(last: u8) -> ClientNetwork {
        ClientAddress::new([192, 0, 2, last].into()).network()
    }

    /// Polls once, which queues the work.
    fn enter<F: Future>(run: Pin<&mut F>) -> Poll<F::Output> {
        run.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn refused<T>(answer: &Poll<Result<T, HasherError>>) -> bool {
        matches!(answer, Poll::Ready(Err(HasherError::Overloaded { .. })))
    }

    /// Work that tells when it runs, and then waits to be let go.
    fn gate() -> (impl FnOnce() + Send + 'static, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (started, running) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let work = move || {
            started.send(()).unwrap();
            let _ = gate.recv();
        };
        (work, running, open)
    }

    #[tokio::test]
    async fn whoever_has_an_answer_finds_the_room_it_took() {
        let pool = Pool::new(Limits { queue: 0, ..LIMITS });
        for turn in 0..1000 {
            assert_eq!(pool.run(network(1), move || turn).await.unwrap(), turn);
        }
    }

    #[tokio::test]
    async fn work_runs_on_a_named_thread_of_lower_priority() {
        let pool = Pool::new(LIMITS);
        let seen = pool.run(network(1), || {
            let niceness = rustix::process::getpriority_process(None);
            (thread::current().name().map(str::to_owned), niceness.unwrap())
        });
        let (name, niceness) = seen.await.unwrap();
        assert_eq!(name.as_deref(), Some("hasher"));
        assert!(!cfg!(target_os = "linux") || niceness > rustix::process::getpriority_process(None).unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = Pool::new(LIMITS);
        let (work, running, _open) = gate();
        let mut held = pin!(pool.run(network(1), work));
        assert!(enter(held.as_mut()).is_pending());
        running.recv().unwrap();

        let (mut first, mut second) = (pin!(pool.run(network(1), || ())), pin!(pool.run(network(2), || ())));
        assert!(enter(first.as_mut()).is_pending());
        assert!(enter(second.as_mut()).is_pending());
        assert!(refused(&enter(pin!(pool.run(network(3), || ())))));
        assert_eq!(pool.load(), HashLoad { running: 1, waiting: 2 });
    }

    #[tokio::test]
    async fn one_network_cannot_fill_the_queue() {
        let pool = Pool::new(Limits { queue: 9, ..LIMITS });
        let (work, running, _open) = gate();
        let mut held = pin!(pool.run(network(1), work));
        assert!(enter(held.as_mut()).is_pending());
        running.recv().unwrap();

        let (mut first, mut second) = (pin!(pool.run(network(1), || ())), pin!(pool.run(network(1), || ())));
        assert!(enter(first.as_mut()).is_pending());
        assert!(enter(second.as_mut()).is_pending());
        assert!(refused(&enter(pin!(pool.run(network(1), || ())))));
        assert!(enter(pin!(pool.run(network(2), || ()))).is_pending());
    }

    #[tokio::test]
    async fn an_idle_thread_needs_no_room_in_the_queue() {
        let pool = Pool::new(Limits { queue: 0, waiting_per_network: 0, ..LIMITS });
        let (work, running, _open) = gate();
        let mut held = pin!(pool.run(network(1), work));
        assert!(enter(held.as_mut()).is_pending());
        running.recv().unwrap();
        assert!(refused(&enter(pin!(pool.run(network(2), || ())))));
    }

    #[tokio::test]
    async fn a_waiter_that_is_dropped_leaves_and_its_work_is_never_done() {
        let pool = Pool::new(Limits { queue: 1, ..LIMITS });
        let (work, running, open) = gate();
        let mut held = pin!(pool.run(network(1), work));
        assert!(enter(held.as_mut()).is_pending());
        running.recv().unwrap();

        let (done, told) = mpsc::channel();
        let mut abandoned = Box::pin(pool.run(network(1), move || done.send(())));
        assert!(enter(abandoned.as_mut()).is_pending());
        drop(abandoned);
        assert_eq!(told.recv(), Err(mpsc::RecvError), "the work was dropped undone");

        let mut next = pin!(pool.run(network(1), || 7));
        assert!(enter(next.as_mut()).is_pending(), "its place is free again");
        open.send(()).unwrap();
        assert_eq!(next.await, Ok(7));
    }

    #[tokio::test]
    async fn a_caller_who_stops_waiting_does_not_free_the_thread_early() {
        let pool = Pool::new(Limits { queue: 0, ..LIMITS });
        let (work, running, open) = gate();
        let mut abandoned = Box::pin(pool.run(network(1), work));
        assert!(enter(abandoned.as_mut()).is_pending());
        running.recv().unwrap();
        drop(abandoned);
        assert!(refused(&enter(pin!(pool.run(network(1), || ())))));
        drop(open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_waits_too_long_is_refused_and_one_that_runs_is_not() {
        let pool = Pool::new(LIMITS);
        let (work, running, open) = gate();
        let mut held = pin!(pool.run(network(1), work));
        assert!(enter(held.as_mut()).is_pending());
        running.recv().unwrap();

        let (done, told) = mpsc::channel();
        let began = tokio::time::Instant::now();
        let waited = pool.run(network(1), move || done.send(())).await;
        assert!(matches!(waited, Err(HasherError::Overloaded { .. })));
        assert_eq!(began.elapsed(), LIMITS.deadline);
        assert_eq!(told.recv(), Err(mpsc::RecvError));

        assert!(enter(held.as_mut()).is_pending(), "the running job is past the deadline as well");
        open.send(()).unwrap();
        assert_eq!(held.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let pool = Pool::new(LIMITS);
        assert_eq!(pool.run(network(1), || panic!("on purpose")).await, Err::<(), _>(HasherError::Closed));
        assert_eq!(pool.run(network(1), || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn dropping_the_pool_ends_its_threads_after_the_running_job() {
        let pool = Pool::new(Limits { permits: 3, ..LIMITS });
        let (work, running, open) = gate();
        let mut abandoned = Box::pin(pool.run(network(1), work));
        assert!(enter(abandoned.as_mut()).is_pending());
        running.recv().unwrap();
        drop(abandoned);
        let threads = Arc::downgrade(&pool.0);
        drop(pool);
        assert!(threads.strong_count() > 0, "the job still runs");
        drop(open);
        while threads.strong_count() > 0 {
            thread::yield_now();
        }
    }

    #[tokio::test]
    async fn an_idle_thread_ends_and_the_next_job_starts_another() {
        let pool = Pool::new(Limits { linger: Duration::ZERO, ..LIMITS });
        for job in 0..3 {
            assert_eq!(pool.run(network(1), move || job).await, Ok(job));
            while pool.0.state().threads > 0 {
                thread::yield_now();
            }
        }
    }

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_there_are_permits() {
        let pool = Pool::new(Limits { permits: 2, ..LIMITS });
        let gates: Vec<_> = (0..4).map(|_| gate()).collect();
        let (mut runs, mut ends) = (Vec::new(), Vec::new());
        for (work, running, open) in gates {
            runs.push(Box::pin(pool.run(network(1), work)));
            ends.push((running, open));
        }
        assert!(runs.iter_mut().all(|run| enter(run.as_mut()).is_pending()));
        ends[0].0.recv().unwrap();
        ends[1].0.recv().unwrap();
        assert_eq!(pool.0.state().threads, 2);
        assert_eq!(ends[2].0.try_recv(), Err(mpsc::TryRecvError::Empty));
        ends[1].1.send(()).unwrap();
        ends[2].0.recv().unwrap();
        assert_eq!(ends[3].0.try_recv(), Err(mpsc::TryRecvError::Empty));
    }

    #[test]
    fn retry_after_is_the_time_the_queue_takes_to_clear() {
        let quarter = Duration::from_millis(250);
        for (waiting, permits, run_time, seconds) in [
            (0, 1, Duration::ZERO, 1),
            (128, 2, Duration::ZERO, 1),
            (3, 1, quarter, 1),
            (4, 1, quarter, 1),
            (5, 1, quarter, 2),
            (128, 2, quarter, 16),
            (9, 2, quarter, 2),
        ] {
            assert_eq!(time_to_clear(waiting, permits, run_time), Duration::from_secs(seconds));
        }
    }
}
