//! The login throttle: how fast passwords can be guessed.

use std::time::Duration;

use cryptopay_auth::hasher::ScryptCost;
use cryptopay_auth::{Auth, Failure, LoggedIn, LoginRejection, Outcome};
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context_from, login_command, on_both_databases, test_config,
    unthrottled_config,
};
use tokio::task::JoinSet;

use crate::support::{HOUR, MINUTE, SECOND, audit_of};

on_both_databases! {
    a_thousand_guesses_from_a_hundred_addresses_are_slowed_down_and_the_owner_logs_in_throughout => thousand;
    guesses_at_once_count_one_by_one_on_every_replica => at_once;
    a_list_of_stolen_passwords_is_tried_slowly_from_one_network => stuffing;
    names_that_exist_are_throttled_like_names_that_do_not => alike;
    an_account_of_ones_own_buys_no_more_guesses => own_account;
    an_attempt_that_was_never_looked_at_is_taken_back => never_looked_at;
    that_attempts_have_to_wait_is_recorded_once => recorded;
    switched_off_nobody_waits => off;
}

pub(crate) const OWNER: &str = "198.51.100.7";

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    In,
    Wrong,
    Throttled(Duration),
}

fn attempt(outcome: Outcome<LoggedIn, LoginRejection>) -> Attempt {
    match outcome {
        Ok(_) => Attempt::In,
        Err(Failure::Rejected(LoginRejection::WrongCredentials)) => Attempt::Wrong,
        Err(Failure::Rejected(LoginRejection::Throttled(throttled))) => {
            Attempt::Throttled(throttled.retry_after)
        }
        Err(other) => panic!("{other:?}"),
    }
}

async fn try_password(auth: &Auth, name: &str, password: &str, address: &str) -> Attempt {
    attempt(auth.login(login_command(name, password), &context_from(address)).await)
}

pub(crate) async fn guess(auth: &Auth, name: &str, address: &str) -> Attempt {
    try_password(auth, name, OTHER_PASSWORD, address).await
}

pub(crate) async fn log_in(auth: &Auth, name: &str, address: &str) -> Attempt {
    try_password(auth, name, PASSWORD, address).await
}

/// Uses up what strangers may try of a name, from networks that do nothing else.
pub(crate) async fn use_up(test: &TestAuth, name: &str) {
    for number in 0..100 {
        if guess(&test.auth, name, &format!("203.0.113.{number}")).await != Attempt::Wrong {
            return;
        }
    }
    panic!("a hundred guesses at {name}, and nobody has to wait");
}

async fn thousand(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
    let mut verified = 0;
    for number in 0..1000 {
        // Under every name that leads to the account.
        let name = ["alice", "ALICE", "alice@example.com", "Alice@Example.COM"][number % 4];
        let hashes = test.auth.hash_runs();
        let outcome = guess(&test.auth, name, &format!("203.0.113.{}", number % 100)).await;
        assert_ne!(outcome, Attempt::In);
        assert_eq!(test.auth.hash_runs() - hashes, u64::from(outcome == Attempt::Wrong));
        verified += test.auth.hash_runs() - hashes;
        if number % 20 == 0 {
            let name = ["alice", "alice@example.com"][number / 20 % 2];
            assert_eq!(log_in(&test.auth, name, OWNER).await, Attempt::In, "at guess {number}");
        }
        test.clock.advance(HOUR / 1000);
    }
    assert!(verified < 100, "{verified}");
    // What the documentation says: 23 in the first hour for each of two names.
    assert!((40..=46).contains(&verified), "{verified}");
}

async fn at_once(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
    let replicas = [test.auth.clone(), test.replica().await];
    for name in ["alice", "nobody"] {
        let hashes: u64 = replicas.iter().map(Auth::hash_runs).sum();
        let mut guesses = JoinSet::new();
        for number in 0..50 {
            let auth = replicas[number % 2].clone();
            guesses.spawn(async move { guess(&auth, name, &format!("203.0.113.{number}")).await });
        }
        let outcomes = guesses.join_all().await;
        let wrong = outcomes.iter().filter(|outcome| **outcome == Attempt::Wrong).count();
        let throttled = outcomes.iter().filter(|outcome| **outcome == Attempt::Throttled(SECOND)).count();
        assert_eq!((wrong, throttled), (10, 40), "{name}");
        assert_eq!(replicas.iter().map(Auth::hash_runs).sum::<u64>() - hashes, 10, "{name}");
    }
    assert_eq!(log_in(&replicas[1], "alice", OWNER).await, Attempt::In);
}

async fn stuffing(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("bob").await;
    assert_eq!(log_in(&test.auth, "alice", "2001:db8:0:7::1").await, Attempt::In);
    let (mut tried, mut longest) = (0, Duration::ZERO);
    for number in 0..3600 {
        // Any address of a network is the same one.
        match guess(&test.auth, &format!("shop-{number}"), &format!("2001:db8:0:7::{number:x}")).await {
            Attempt::Wrong => tried += 1,
            Attempt::Throttled(wait) => longest = longest.max(wait),
            Attempt::In => panic!("nobody is called that"),
        }
        test.clock.advance(SECOND);
    }
    // What the documentation says, but for the twenty that may come at the same moment.
    assert!((50..=56).contains(&tried), "{tried}");
    assert!(longest > MINUTE && longest <= 2 * MINUTE, "{longest:?}");
    // Elsewhere nobody notices, nor does whoever is known there.
    assert_eq!(log_in(&test.auth, "bob", "2001:db8:0:8::1").await, Attempt::In);
    assert_eq!(log_in(&test.auth, "alice", "2001:db8:0:7::2").await, Attempt::In);
}

async fn alike(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let long = "x".repeat(50_000);
    let mut seen = Vec::new();
    for (which, name) in ["alice", "alice@example.com", "nobody", "nobody@example.com", "", "x\0y", &long]
        .into_iter()
        .enumerate()
    {
        let mut outcomes = Vec::new();
        for number in 0..20 {
            let (hashes, records) = (test.auth.hash_runs(), audit_of(&test, None).await.len());
            let password = if number == 16 { PASSWORD } else { OTHER_PASSWORD };
            // The clock stands still for eleven attempts; then each waits as long as it was told.
            let outcome = try_password(&test.auth, name, password, &format!("10.{which}.0.{number}")).await;
            let (hashed, recorded) =
                (test.auth.hash_runs() - hashes, audit_of(&test, None).await.len() - records);
            outcomes.push((outcome, hashed, recorded));
            if let Attempt::Throttled(wait) = outcome
                && number % 2 == 0
            {
                test.clock.advance(wait);
            }
        }
        seen.push(outcomes);
    }
    assert_eq!(seen[0][..9], [(Attempt::Wrong, 1, 1); 9]);
    assert_eq!(seen[0][9], (Attempt::Wrong, 1, 2));
    assert_eq!(seen[0][10], (Attempt::Throttled(SECOND), 0, 0));
    // A right password that comes too early is not looked at either.
    assert!(matches!(seen[0][16], (Attempt::Throttled(_), 0, 0)), "{:?}", seen[0]);
    for outcomes in &seen[1..] {
        assert_eq!(*outcomes, seen[0]);
    }
}

async fn own_account(backend: Backend) {
    let guesses = async |with_own_account: bool| {
        let test = TestAuth::start(backend).await;
        let mut tried = 0;
        for number in 0..600 {
            if with_own_account && number % 3 == 0 {
                let own = format!("mallory-{}", number % 30);
                if number < 30 {
                    test.register(&own).await;
                }
                log_in(&test.auth, &own, "203.0.113.1").await;
            }
            let outcome = guess(&test.auth, &format!("shop-{number}"), "203.0.113.1").await;
            tried += u32::from(outcome == Attempt::Wrong);
            test.clock.advance(SECOND);
        }
        tried
    };
    let (alone, with_own_account) = (guesses(false).await, guesses(true).await);
    assert!(with_own_account <= alone && alone < 40, "{with_own_account} of {alone}");
}

async fn never_looked_at(backend: Backend) {
    let mut config = test_config();
    // Long enough for the others to find the hasher busy.
    config.hasher.cost = ScryptCost { log_n: 15, r: 8, p: 1 };
    (config.hasher.permits, config.hasher.queue) = (1, 0);
    let test = TestAuth::start_with(backend, config).await;
    let mut guesses = JoinSet::new();
    for _ in 0..8 {
        let auth = test.auth.clone();
        guesses.spawn(async move {
            auth.login(login_command("alice", OTHER_PASSWORD), &context_from(OWNER)).await
        });
    }
    let outcomes = guesses.join_all().await;
    let looked_at = test.auth.hash_runs();
    let unavailable = outcomes.iter().filter(|o| matches!(o, Err(Failure::Unavailable { .. }))).count();
    assert_eq!(u64::try_from(unavailable).unwrap() + looked_at, 8);
    assert!(unavailable > 0, "nothing was refused, so nothing is shown");
    for _ in looked_at..10 {
        assert_eq!(guess(&test.auth, "alice", OWNER).await, Attempt::Wrong);
    }
    assert_eq!(guess(&test.auth, "alice", OWNER).await, Attempt::Throttled(SECOND));
}

async fn recorded(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.register("alice").await;
    for (name, owner) in [("alice", Some(alice.id.0)), ("nobody", None)] {
        let before = audit_of(&test, None).await.len();
        for number in 0..60 {
            guess(&test.auth, name, &format!("203.0.113.{number}")).await;
        }
        let rows = audit_of(&test, None).await.split_off(before);
        // Ten that were looked at; then, once, that the others have to wait.
        let events: Vec<_> = rows.iter().map(|row| row.event.as_str()).collect();
        assert_eq!(events, [vec!["login"; 10], vec!["password.throttled"]].concat(), "{name}");
        let row = &rows[10];
        assert_eq!((row.outcome.as_str(), row.subject.as_deref()), ("refused", Some("account")));
        assert_eq!((row.user_id, row.detail.is_some()), (owner, owner.is_none()));
        assert_eq!(row.ip, "203.0.113.9");
    }
    let before = audit_of(&test, None).await.len();
    for number in 0..60 {
        guess(&test.auth, &format!("shop-{number}"), "192.0.2.1").await;
    }
    let rows = audit_of(&test, None).await.split_off(before);
    assert_eq!((rows.len(), rows[20].event.as_str()), (21, "password.throttled"));
    assert_eq!((rows[20].subject.as_deref(), rows[20].ip.as_str()), (Some("network"), "192.0.2.1"));
}

async fn off(backend: Backend) {
    let test = TestAuth::start_with(backend, unthrottled_config()).await;
    test.register("alice").await;
    for _ in 0..60 {
        assert_eq!(guess(&test.auth, "alice", OWNER).await, Attempt::Wrong);
    }
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
}
