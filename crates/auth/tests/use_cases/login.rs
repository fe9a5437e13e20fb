//! Logging in.

use cryptopay_auth::hasher::ScryptCost;
use cryptopay_auth::operator::AccountState;
use cryptopay_auth::{ChangePasswordCommand, LoginRejection};
use cryptopay_domain::Username;
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context, login_command, on_both_databases,
    unthrottled_config,
};
use secrecy::SecretString;
use tokio::task::JoinSet;

use crate::support::{audit_of, is_accepted, principal_of, rejection};

on_both_databases! {
    a_merchant_logs_in_by_name_and_by_address_in_any_case => any_case;
    every_refused_login_is_the_same_value_after_one_hash_and_one_record => refused;
    a_login_at_another_cost_hashes_the_password_anew_once => rehash;
    parallel_logins_after_the_cost_moved_on_all_succeed => parallel_rehash;
    no_session_begins_on_a_password_that_is_being_changed => against_password_change;
    no_session_begins_on_an_account_that_is_being_disabled => against_disabling;
}

async fn any_case(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let user = test.register("Alice").await;
    for typed in ["Alice", "alice", "ALICE", "Alice@example.com", "aLICE@EXAMPLE.COM"] {
        let login = test.auth.login(login_command(typed, PASSWORD), &context()).await.unwrap();
        assert_eq!(login.user, user, "{typed}");
        let principal = principal_of(&test.auth, login.access.expose()).await;
        assert_eq!((principal.user_id, principal.username.as_str()), (user.id, "Alice"));
    }
}

async fn refused(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    test.register("mallory").await;
    let mallory = Username::parse("mallory").unwrap();
    test.auth.set_account_state(&mallory, AccountState::Disabled).await.unwrap();
    let long_name = "x".repeat(100_000);
    let long_password = "x".repeat(100_000);
    for (username, password) in [
        ("alice", OTHER_PASSWORD),
        ("alice", ""),
        ("alice", long_password.as_str()),
        ("alice@example.com", OTHER_PASSWORD),
        ("mallory", PASSWORD),
        ("mallory", OTHER_PASSWORD),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("", PASSWORD),
        ("alice\0", PASSWORD),
        (" alice", PASSWORD),
        ("ａｌｉｃｅ", PASSWORD),
        ("alice' OR '1'='1", PASSWORD),
        (long_name.as_str(), PASSWORD),
    ] {
        let (hashes, records) = (test.auth.hash_runs(), audit_of(&test, None).await.len());
        let outcome = test.auth.login(login_command(username, password), &context()).await;
        assert_eq!(rejection(outcome), LoginRejection::WrongCredentials, "{username:.40}");
        assert_eq!(test.auth.hash_runs(), hashes + 1, "{username:.40}");
        let recorded = audit_of(&test, None).await.split_off(records);
        let [record] = recorded.as_slice() else { panic!("{recorded:?}") };
        assert_eq!((record.event.as_str(), record.outcome.as_str()), ("login", "refused"), "{username:.40}");
    }
}

async fn rehash(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let dearer = at_another_cost(&test).await;
    assert!(dearer.login(login_command("alice", OTHER_PASSWORD), &context()).await.is_err());
    assert_eq!(dearer.hash_runs(), 1, "only a right password is hashed anew");
    dearer.login(login_command("alice", PASSWORD), &context()).await.unwrap();
    assert_eq!(dearer.hash_runs(), 3);
    dearer.login(login_command("alice", PASSWORD), &context()).await.unwrap();
    assert_eq!(dearer.hash_runs(), 4, "the new hash is at today's cost");
}

async fn parallel_rehash(backend: Backend) {
    let test = TestAuth::start_with(backend, unthrottled_config()).await;
    test.register("alice").await;
    let dearer = at_another_cost(&test).await;
    let mut logins = JoinSet::new();
    for _ in 0..20 {
        let auth = dearer.clone();
        logins.spawn(async move { auth.login(login_command("alice", PASSWORD), &context()).await });
    }
    for login in logins.join_all().await {
        let login = login.expect("the password is right");
        assert!(is_accepted(&dearer, login.access.expose()).await);
    }
}

async fn at_another_cost(test: &TestAuth) -> cryptopay_auth::Auth {
    let mut config = test.auth.config().clone();
    config.hasher.cost = ScryptCost { log_n: 5, r: 8, p: 1 };
    test.replica_with(config).await
}

async fn against_password_change(backend: Backend) {
    let test = TestAuth::start_with(backend, unthrottled_config()).await;
    let principal = test.principal("alice").await;
    let logins = logins_during(&test, {
        let auth = test.auth.clone();
        async move {
            let command = ChangePasswordCommand {
                current_password: SecretString::from(PASSWORD),
                new_password: SecretString::from(OTHER_PASSWORD),
            };
            auth.change_password(&principal, command, &context()).await.unwrap();
        }
    })
    .await;
    for access in logins {
        assert!(!is_accepted(&test.auth, &access).await, "a session on the old password");
    }
    rejection(test.auth.login(login_command("alice", PASSWORD), &context()).await);
    assert!(test.auth.login(login_command("alice", OTHER_PASSWORD), &context()).await.is_ok());
}

async fn against_disabling(backend: Backend) {
    let test = TestAuth::start_with(backend, unthrottled_config()).await;
    test.register("alice").await;
    let logins = logins_during(&test, {
        let auth = test.auth.clone();
        async move {
            let alice = Username::parse("alice").unwrap();
            auth.set_account_state(&alice, AccountState::Disabled).await.unwrap();
        }
    })
    .await;
    for access in logins {
        assert!(!is_accepted(&test.auth, &access).await, "a session of a disabled account");
    }
}

/// The access tokens of logins before, during and after `change`.
async fn logins_during(test: &TestAuth, change: impl Future<Output = ()> + Send + 'static) -> Vec<String> {
    let mut logins = JoinSet::new();
    for _ in 0..40 {
        let auth = test.auth.clone();
        logins.spawn(async move {
            let login = auth.login(login_command("alice", PASSWORD), &context()).await;
            login.ok().map(|login| login.access.expose().to_owned())
        });
    }
    let change = tokio::spawn(change);
    let accesses = logins.join_all().await.into_iter().flatten().collect();
    change.await.unwrap();
    accesses
}
