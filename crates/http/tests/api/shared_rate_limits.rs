//! Replicas that count together in Redis, and what happens when that goes away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cryptopay_http::{HttpConfig, RateLimiter, RateLimits, RedisServer};
use cryptopay_testkit::{Answer, Backend, TestApp, TestAuth, TestRedis, eventually};
use futures_util::future::join_all;

const VERIFY: &str = "/api/auth/verify/";
const REFUSED: &str = "401 INVALID_TOKEN";
const LIMITED: &str = "429 RATE_LIMITED";

/// One of several replicas: a limiter of its own, and one database.
fn replica(core: &TestAuth, redis: &TestRedis, limits: &RateLimits) -> TestApp {
    let server = RedisServer::parse(&redis.url()).unwrap();
    let mut config = HttpConfig::new(7);
    config.rate_limiter = Some(RateLimiter::new(limits.clone()).shared_through(server));
    TestApp::serve(core.clone(), config)
}

fn by_address(limit: &str) -> RateLimits {
    RateLimits { address: limit.parse().unwrap(), ..RateLimits::default() }
}

async fn verify(app: &TestApp) -> Answer {
    app.get(VERIFY).send().await
}

fn left(answer: &Answer) -> u32 {
    let standing = answer.header("ratelimit").unwrap();
    let left = standing.split_once(";r=").unwrap().1;
    left.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_every_limit() {
    let redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    let limits = RateLimits { credential: "4/86400".parse().unwrap(), ..by_address("7/86400") };
    let replicas = [replica(&core, &redis, &limits), replica(&core, &redis, &limits)];
    for (number, expected) in [6, 5, 4].into_iter().enumerate() {
        let answer = verify(&replicas[number % 2]).await;
        assert_eq!((answer.verdict().as_str(), left(&answer)), (REFUSED, expected));
    }
    core.register("alice").await;
    let access = core.login("alice").await.access;
    let verify_as_alice = async |app: &TestApp| app.get(VERIFY).bearer(access.expose()).send().await;
    for (number, standings) in [
        r#""address";r=3;t=12342, "credential";r=3;t=21600"#,
        r#""address";r=2;t=12342, "credential";r=2;t=21599"#,
        r#""address";r=1;t=12342, "credential";r=1;t=21599"#,
        r#""address";r=0;t=12342, "credential";r=0;t=21599"#,
    ]
    .into_iter()
    .enumerate()
    {
        let answer = verify_as_alice(&replicas[number % 2]).await;
        assert_eq!(answer.verdict(), "200");
        // The seconds pass by themselves here.
        let without_seconds = |text: &str| {
            let items = text.split(", ").map(|item| item.rsplit_once(";t=").unwrap());
            items
                .map(|(item, seconds)| {
                    assert!(seconds.parse::<u32>().unwrap() > 12_000, "{text}");
                    item.to_owned()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(without_seconds(answer.header("ratelimit").unwrap()), without_seconds(standings));
    }
    for app in &replicas {
        let answer = verify(app).await;
        assert_eq!(answer.verdict(), LIMITED);
        let retry_after = answer.header("retry-after").unwrap().parse::<u32>().unwrap();
        assert!((12_000..=12_343).contains(&retry_after), "{retry_after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_requests_at_once_to_two_replicas_the_burst_is_let_in_exactly() {
    let redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    let replicas = [0, 1].map(|_| replica(&core, &redis, &by_address("300/86400")));
    let ask = async |number: usize| {
        let mut admitted = 0;
        for _ in 0..50 {
            admitted += usize::from(verify(&replicas[number % 2]).await.verdict() == REFUSED);
        }
        admitted
    };
    let admitted = join_all((0..20).map(ask)).await;
    assert_eq!(admitted.into_iter().sum::<usize>(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_goes_away_each_replica_counts_by_itself_and_together_again_when_it_is_back() {
    let mut redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    let replicas = [0, 1].map(|_| replica(&core, &redis, &by_address("100/86400")));
    for (number, expected) in [99, 98, 97].into_iter().enumerate() {
        assert_eq!(left(&verify(&replicas[number % 2]).await), expected);
    }

    redis.kill();
    for app in &replicas {
        for expected in [99, 98, 97] {
            let answer = verify(app).await;
            assert_eq!((answer.verdict().as_str(), left(&answer)), (REFUSED, expected));
        }
    }

    redis.restart();
    // Together again: what one counts, the other sees.
    let began = Instant::now();
    loop {
        let (one, other) = (left(&verify(&replicas[0]).await), left(&verify(&replicas[1]).await));
        if other + 1 == one && one >= 98 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "Redis is back, but {one} and {other} are left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_never_there_stops_nobody() {
    let mut redis = TestRedis::start();
    redis.kill();
    let core = TestAuth::start(Backend::Sqlite).await;
    let app = replica(&core, &redis, &by_address("2/86400"));
    for verdict in [REFUSED, REFUSED, LIMITED] {
        assert_eq!(verify(&app).await.verdict(), verdict);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_limits_of_a_request_are_one_script_when_its_credential_is_remembered() {
    let redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    core.register("alice").await;
    let access = core.login("alice").await.access;
    let app = replica(&core, &redis, &RateLimits::default());
    let verify = async || app.get(VERIFY).bearer(access.expose()).send().await;
    assert_eq!(verify().await.verdict(), "200");
    let before = redis.scripts_run();
    for _ in 0..10 {
        assert_eq!(verify().await.verdict(), "200");
    }
    assert_eq!(redis.scripts_run(), before + 10);
    assert_eq!(app.get("/api/auth/me").bearer(access.expose()).send().await.verdict(), "200");
    assert_eq!(redis.scripts_run(), before + 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ended_is_made_anew_and_the_count_goes_on() {
    let redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    let app = replica(&core, &redis, &by_address("100/86400"));
    for expected in [99, 98, 97] {
        assert_eq!(left(&verify(&app).await), expected);
        redis.drop_connections();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_redis_comes_and_goes() {
    let mut redis = TestRedis::start();
    let core = TestAuth::start(Backend::Sqlite).await;
    let app = replica(&core, &redis, &by_address("1000000/1"));
    let asked = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let ask = async |_| {
        while !is_over.load(Ordering::Relaxed) {
            let answer = verify(&app).await;
            assert_eq!(answer.verdict(), REFUSED);
            assert!(answer.header("ratelimit").is_some());
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let come_and_go = async {
        // So many requests each time, whatever the time that takes.
        let some_are_asked = async || {
            let before = asked.load(Ordering::Relaxed);
            eventually("requests are answered", async || asked.load(Ordering::Relaxed) > before + 50).await;
        };
        for _ in 0..2 {
            some_are_asked().await;
            redis.kill();
            some_are_asked().await;
            redis.restart();
        }
        some_are_asked().await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..8).map(ask)), come_and_go);
}
