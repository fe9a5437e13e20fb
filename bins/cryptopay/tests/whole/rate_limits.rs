//! Rate limits as an operator configures them.

use std::time::Duration;

use cryptopay_testkit::{Backend, Installation, TestRedis, eventually};
use serde_json::json;

use crate::PROGRAM;

const VERIFY: &str = "/api/auth/verify";
const REFUSED: &str = "401 INVALID_TOKEN";
const LIMITED: &str = "429 RATE_LIMITED";

async fn limited() -> Installation {
    Installation::new(PROGRAM, Backend::Sqlite).await.with("CRYPTOPAY_RATE_LIMITS", "on")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_limited_by_default_and_each_limit_is_what_its_variable_says() {
    let server = limited()
        .await
        .with("CRYPTOPAY_RATE_LIMIT_LOGIN", "1/3600")
        .with("CRYPTOPAY_RATE_LIMIT_PASSWORD", "7/70")
        .serve()
        .await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let again = server.post("/api/auth/login", "", &json!({"username": "alice", "password": "x"})).await;
    assert_eq!(again.verdict(), LIMITED);
    let policies = r#""address";q=3000;w=60, "login";q=1;w=3600"#;
    assert_eq!(again.header("ratelimit-policy"), Some(policies));
    let answer = server.post("/api/auth/password", &tokens.access, &json!({})).await;
    let policies = r#""address";q=3000;w=60, "credential";q=6000;w=60, "password";q=7;w=70"#;
    assert_eq!(answer.header("ratelimit-policy"), Some(policies));
}

#[tokio::test(flavor = "multi_thread")]
async fn off_is_said_in_the_log_and_limits_nothing() {
    let server = limited()
        .await
        .with("CRYPTOPAY_RATE_LIMITS", "off")
        .with("CRYPTOPAY_RATE_LIMIT_ADDRESS", "1/3600")
        .serve()
        .await;
    for _ in 0..3 {
        let answer = server.get(VERIFY, "").await;
        assert_eq!((answer.verdict().as_str(), answer.header("ratelimit")), (REFUSED, None));
    }
    assert_eq!(wrong_passwords(&server, 12).await, ["401 INVALID_CREDENTIALS"; 12]);
    assert!(server.log().contains("nothing is limited"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_wrong_passwords_make_the_next_one_wait() {
    let server = limited().await.serve().await;
    // Here real time passes, on a machine that may be busy: the eighteenth would have to wait for two minutes.
    let verdicts = wrong_passwords(&server, 18).await;
    assert_eq!(verdicts[..10], ["401 INVALID_CREDENTIALS"; 10]);
    assert!(verdicts[10..].iter().any(|verdict| verdict == LIMITED), "{verdicts:?}");
}

async fn wrong_passwords(server: &cryptopay_testkit::Server, count: usize) -> Vec<String> {
    let mut verdicts = Vec::new();
    for _ in 0..count {
        let body = json!({"username": "nobody", "password": "guessed"});
        verdicts.push(server.post("/api/auth/login", "", &body).await.verdict());
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_listed_with_its_default_and_how_it_is_written() {
    let help = limited().await.run(&["serve", "--help"]).await.success();
    for text in [
        "CRYPTOPAY_RATE_LIMITS",
        "<requests>/<seconds>",
        "CRYPTOPAY_RATE_LIMIT_ADDRESS",
        "3000/60",
        "CRYPTOPAY_RATE_LIMIT_CREDENTIAL",
        "6000/60",
        "CRYPTOPAY_RATE_LIMIT_LOGIN",
        "20/60",
        "CRYPTOPAY_RATE_LIMIT_REGISTER",
        "20/3600",
        "CRYPTOPAY_RATE_LIMIT_PASSWORD",
        "10/3600",
        "CRYPTOPAY_RATE_LIMIT_REFRESH",
        "1200/60",
        "CRYPTOPAY_REDIS_URL",
        "CRYPTOPAY_REDIS_URL_FILE",
    ] {
        assert!(help.contains(text), "{text} in {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_together_in_redis_and_say_once_that_it_is_away_and_once_that_it_is_back() {
    let mut redis = TestRedis::start();
    // Each on a database of its own, and with several threads: what they share is Redis alone.
    let replica = async || {
        let installation = limited().await.with("CRYPTOPAY_RATE_LIMIT_ADDRESS", "200/86400");
        let url = installation.secret_file("redis-url", &redis.url());
        installation.with("CRYPTOPAY_REDIS_URL_FILE", &url).with("CRYPTOPAY_WORKERS", "3").serve().await
    };
    let (one, other) = (replica().await, replica().await);
    let left = async |server: &cryptopay_testkit::Server| {
        let answer = server.get(VERIFY, "").await;
        assert_eq!(answer.verdict(), REFUSED);
        let standing = answer.header("ratelimit").unwrap();
        standing.split_once(";r=").unwrap().1.split(';').next().unwrap().parse::<u32>().unwrap()
    };
    for _ in 0..5 {
        assert_eq!(left(&one).await, left(&other).await + 1);
    }

    redis.kill();
    for server in [&one, &other] {
        assert_eq!(left(server).await, 199, "it counts by itself");
        for _ in 0..20 {
            left(server).await;
        }
        assert_eq!(server.log().matches("Redis is away").count(), 1, "{}", server.log());
        assert!(!server.log().contains("Redis is back"));
    }

    redis.restart();
    for server in [&one, &other] {
        eventually("Redis is back", async || server.log().contains("Redis is back")).await;
    }
    assert_eq!(left(&one).await, left(&other).await + 1);
    for server in [&one, &other] {
        assert_eq!(server.log().matches("Redis is back").count(), 1, "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_holds_no_request_up() {
    let redis = TestRedis::start();
    let server = limited().await.with("CRYPTOPAY_REDIS_URL", &redis.url()).serve().await;
    redis.pause();
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get(VERIFY, "").await.verdict(), REFUSED);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(server.log().contains("no answer within 250 ms"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_redis_could_be_counted_in() {
    let mut redis = TestRedis::start();
    let installation = limited().await.with("CRYPTOPAY_REDIS_URL", &redis.url());
    let report = installation.run(&["doctor"]).await;
    assert!(report.status.success() && report.stdout.contains("ok    redis:"), "{report:?}");
    redis.kill();
    let report = installation.run(&["doctor"]).await;
    assert!(!report.status.success() && report.stdout.contains("FAIL  redis:"), "{report:?}");
}
