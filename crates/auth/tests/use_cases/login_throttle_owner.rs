//! The login throttle and the owner of the account: whoever is not guessing does not pay for those who are.

use cryptopay_auth::EncryptionKeyFile;
use cryptopay_testkit::{Backend, TestAuth, on_both_databases};
use ring::rand::SystemRandom;
use tokio::task::JoinSet;

use crate::login_throttle::{Attempt, OWNER, guess, log_in, use_up};
use crate::support::{DAY, MINUTE, SECOND};

on_both_databases! {
    an_owner_at_a_new_address_waits_for_minutes_and_is_known_from_then_on => new_address;
    a_network_stays_known_for_thirty_days_under_both_names => thirty_days;
    right_passwords_alone_never_wait => right_passwords;
    counts_outlive_a_restart_and_a_known_network_another_encryption_key => restart;
}

async fn new_address(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    // Ten hours of it, at a guess every ten seconds.
    for number in 0..3600 {
        guess(&test.auth, "alice", &format!("203.0.113.{}", number % 200)).await;
        test.clock.advance(10 * SECOND);
    }
    let Attempt::Throttled(wait) = log_in(&test.auth, "alice", OWNER).await else { panic!("no wait") };
    assert!(wait > SECOND && wait <= 15 * MINUTE, "{wait:?}");
    test.clock.advance(wait);
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
    // From then on strangers may do what they like.
    use_up(&test, "alice").await;
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
    // A known network has a budget, too, and the same waits.
    for _ in 0..20 {
        assert_eq!(guess(&test.auth, "alice", OWNER).await, Attempt::Wrong);
    }
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::Throttled(SECOND));
    test.clock.advance(SECOND);
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
}

async fn thirty_days(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("Alice").await;
    assert_eq!(log_in(&test.auth, "ALICE", "2001:db8:0:7::1").await, Attempt::In);
    for name in ["alice", "Alice@Example.com"] {
        use_up(&test, name).await;
    }
    test.clock.advance(30 * DAY - SECOND);
    for (name, address, expected) in [
        ("alice", "2001:db8:0:7::99", true),
        ("ALICE@example.com", "2001:db8:0:7::99", true),
        ("alice", "2001:db8:0:8::1", false),
        ("alice@example.com", OWNER, false),
    ] {
        use_up(&test, name).await;
        let outcome = log_in(&test.auth, name, address).await;
        assert_eq!(outcome == Attempt::In, expected, "{name} from {address}: {outcome:?}");
    }
    // Each login counts anew.
    for days in [29, 29, 29] {
        test.clock.advance(days * DAY);
        use_up(&test, "alice").await;
        assert_eq!(log_in(&test.auth, "alice", "2001:db8:0:7::1").await, Attempt::In);
    }
    test.clock.advance(30 * DAY);
    use_up(&test, "alice").await;
    assert!(matches!(log_in(&test.auth, "alice", "2001:db8:0:7::1").await, Attempt::Throttled(_)));
}

async fn right_passwords(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    // From one network after the other, and many times from each.
    for number in 0..60 {
        assert_eq!(log_in(&test.auth, "alice", &format!("203.0.113.{}", number % 30)).await, Attempt::In);
    }
    // Programs of hers, all at once.
    let mut logins = JoinSet::new();
    for _ in 0..20 {
        let auth = test.auth.clone();
        logins.spawn(async move { log_in(&auth, "alice", "203.0.113.1").await });
    }
    for outcome in logins.join_all().await {
        assert_eq!(outcome, Attempt::In);
    }
    // Other merchants of the same network.
    for number in 0..40 {
        let name = format!("shop-{number}");
        test.register(&name).await;
        assert_eq!(log_in(&test.auth, &name, "203.0.113.1").await, Attempt::In);
    }
    // And all that left nothing behind that would make a stranger wait sooner.
    for _ in 0..10 {
        assert_eq!(guess(&test.auth, "alice", "192.0.2.99").await, Attempt::Wrong);
    }
}

async fn restart(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    assert_eq!(log_in(&test.auth, "alice", OWNER).await, Attempt::In);
    use_up(&test, "alice").await;
    let restarted = test.replica().await;
    assert_eq!(guess(&restarted, "alice", "192.0.2.1").await, Attempt::Throttled(SECOND));
    assert_eq!(log_in(&restarted, "alice", OWNER).await, Attempt::In);

    let file = EncryptionKeyFile::in_directory(test.database.directory());
    file.rotate(&SystemRandom::new()).unwrap();
    let rotated = test.replica().await;
    let rotated = TestAuth { auth: rotated, ..test.clone() };
    use_up(&rotated, "alice").await;
    assert_eq!(log_in(&rotated.auth, "alice", OWNER).await, Attempt::In);
    // Its wrong passwords are still its own.
    for _ in 0..20 {
        assert_eq!(guess(&rotated.auth, "alice", OWNER).await, Attempt::Wrong);
    }
    assert_eq!(guess(&rotated.auth, "alice", OWNER).await, Attempt::Throttled(SECOND));
}
