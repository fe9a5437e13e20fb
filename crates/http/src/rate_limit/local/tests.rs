use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use cryptopay_domain::ClientAddress;

use super::super::few::ROOM;
use super::*;

/// A limiter and the milliseconds it goes by.
struct Scene {
    local: Local,
    now: Arc<AtomicU64>,
}

impl Scene {
    fn new(limits: &RateLimits, capacity: usize) -> Self {
        let now = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&now);
        let time = Time::Told(Arc::new(move || Duration::from_millis(told.load(Ordering::Relaxed))));
        Self { local: Local::with_capacity(limits, time, capacity), now }
    }

    fn of_address(limit: &str) -> Self {
        let limits = RateLimits { address: limit.parse().unwrap(), ..RateLimits::default() };
        Self::new(&limits, CAPACITY)
    }

    fn at(&self, millis: u64) -> &Self {
        self.now.store(millis, Ordering::Relaxed);
        self
    }

    /// `left/seconds` when let in, the milliseconds to wait when not.
    fn ask(&self, client: Subject) -> Result<String, u128> {
        let mut standings = Few::new();
        let verdict = self.local.decide(&buckets(&[(Policy::Address, client)]), &mut standings);
        let standing = standings.iter().next().unwrap();
        match verdict {
            Ok(()) => Ok(format!("{}/{}", standing.remaining, standing.reset)),
            Err(exhausted) => {
                assert_eq!(*standing, Standing::exhausted(Policy::Address, exhausted.retry_after));
                Err(exhausted.retry_after.as_millis())
            }
        }
    }

    fn counted(&self) -> usize {
        self.local.policies[Policy::Address as usize].store.counted()
    }
}

fn buckets(items: &[(Policy, Subject)]) -> Few<Bucket> {
    let mut buckets = Few::new();
    items.iter().for_each(|&(policy, subject)| buckets.push(Bucket { policy, subject }));
    buckets
}

fn client(number: u32) -> Subject {
    Subject::Client(ClientAddress::new(std::net::Ipv4Addr::from_bits(number).into()).network())
}

#[test]
fn a_burst_is_let_in_and_then_one_each_interval() {
    let fast = Scene::of_address("3/1");
    let slow = Scene::of_address("2/60");
    for (scene, millis, expected) in [
        (&fast, 0, Ok("2/1")),
        (&fast, 0, Ok("1/1")),
        (&fast, 0, Ok("0/1")),
        (&fast, 0, Err(333)),
        (&fast, 333, Err(0)),
        (&fast, 334, Ok("0/1")),
        (&fast, 334, Err(332)),
        (&fast, 1334, Ok("2/1")),
        (&slow, 0, Ok("1/30")),
        (&slow, 10_000, Ok("0/20")),
        (&slow, 10_000, Err(20_000)),
        (&slow, 29_999, Err(1)),
        (&slow, 30_000, Ok("0/30")),
        (&slow, 90_000, Ok("1/30")),
        (&slow, 10_000_000, Ok("1/30")),
    ] {
        assert_eq!(scene.at(millis).ask(client(1)), expected.map(str::to_owned), "after {millis} ms");
    }
}

#[test]
fn clients_are_counted_apart() {
    let scene = Scene::of_address("1/60");
    assert!(scene.ask(client(1)).is_ok());
    assert!(scene.ask(client(1)).is_err());
    assert!(scene.ask(client(2)).is_ok());
}

#[test]
fn the_first_bucket_that_has_nothing_left_decides_and_later_ones_are_not_counted() {
    let limits = RateLimits {
        address: "2/60".parse().unwrap(),
        login: "1/60".parse().unwrap(),
        ..RateLimits::default()
    };
    let scene = Scene::new(&limits, CAPACITY);
    let login = buckets(&[(Policy::Address, client(1)), (Policy::Login, client(1))]);
    let decide = || {
        let mut standings = Few::new();
        let verdict = scene.local.decide(&login, &mut standings);
        let left = standings.iter().map(|standing| (standing.policy, standing.remaining)).collect::<Vec<_>>();
        (verdict.is_ok(), left)
    };
    assert_eq!(decide(), (true, vec![(Policy::Address, 1), (Policy::Login, 0)]));
    assert_eq!(decide(), (false, vec![(Policy::Address, 0), (Policy::Login, 0)]));
    assert_eq!(decide(), (false, vec![(Policy::Address, 0)]));
}

#[test]
fn a_thousand_requests_at_once_are_let_in_up_to_the_burst_exactly() {
    let scene = Scene::of_address("300/3600");
    let admitted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    admitted.fetch_add(usize::from(scene.ask(client(1)).is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 300);
}

#[test]
fn whoever_has_recovered_is_forgotten_and_nobody_else() {
    let scene = Scene::of_address("2/60");
    (0..10).for_each(|number| drop(scene.at(0).ask(client(number))));
    drop(scene.at(50_000).ask(client(0)));
    assert_eq!(scene.counted(), 10);
    scene.at(61_000).local.sweep();
    assert_eq!(scene.counted(), 1);
    assert_eq!(scene.ask(client(0)), Ok("0/19".to_owned()));
    scene.at(200_000).local.sweep();
    assert_eq!(scene.counted(), 0);
}

#[test]
fn twenty_thousand_clients_take_less_than_32_mib() {
    let scene = Scene::new(&RateLimits::default(), CAPACITY);
    for number in 0..20_000 {
        let subject = client(number);
        let all = Policy::ALL.map(|policy| (policy, subject));
        for some in all.chunks(ROOM) {
            scene.local.decide(&buckets(some), &mut Few::new()).unwrap();
        }
    }
    // A slot of the map is a subject and its count, and one byte to find it by.
    let slot = size_of::<(Subject, governor::state::InMemoryState)>() + 1;
    let slots: usize = scene.local.policies.iter().map(|limited| limited.store.allocated()).sum();
    let shared = Policy::ALL.len() * super::super::store::SHARED * size_of::<u64>();
    let bytes = slots * slot * 8 / 7 + shared;
    assert!(slots >= 6 * 20_000 && bytes < 32 * 1024 * 1024, "{slots} slots, {bytes} bytes");
}

#[test]
fn a_flood_of_networks_is_bounded_and_whoever_was_there_before_is_not_affected() {
    let limits = RateLimits { address: "5/3600".parse().unwrap(), ..RateLimits::default() };
    let scene = Scene::new(&limits, 100);
    let shop = client(u32::from(std::net::Ipv4Addr::new(198, 51, 100, 7)));
    assert_eq!(scene.ask(shop), Ok("4/720".to_owned()));
    // One site's /64s, each of them once.
    let site = |number: u128| {
        let address = (0x2001_0db8_0000_u128 << 80) | (number << 64);
        Subject::Client(ClientAddress::new(std::net::Ipv6Addr::from_bits(address).into()).network())
    };
    let admitted = (0..10_000).filter(|number| scene.ask(site(*number)).is_ok()).count();
    assert_eq!(scene.counted(), 100);
    assert_eq!(admitted, 99 + 5, "those that found no room are counted as one site");
    assert_eq!(scene.ask(shop), Ok("3/720".to_owned()));
    // Once the others have recovered there is room again.
    scene.at(3_600_000).local.sweep();
    assert_eq!(scene.ask(site(20_000)), Ok("4/720".to_owned()));
    assert_eq!(scene.counted(), 1);
}
