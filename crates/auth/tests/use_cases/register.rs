//! Registering.

use cryptopay_auth::RegisterRejection;
use cryptopay_testkit::{Backend, PASSWORD, TestAuth, context, login_command, on_both_databases};
use tokio::task::JoinSet;

use crate::support::{audit_of, registration, rejection};

on_both_databases! {
    a_merchant_is_kept_as_it_was_written => written;
    a_name_is_taken_in_any_case => taken;
    a_weak_password_is_refused_with_advice_and_nothing_is_kept => weak;
    a_password_may_hold_any_character_and_is_compared_in_its_compatibility_form => unicode;
    of_fifty_parallel_registrations_of_one_name_one_succeeds => one_name;
    of_fifty_parallel_registrations_of_one_address_one_succeeds => one_address;
}

async fn written(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let command = registration("Alice.B_C-9", "Alice@Example.com", PASSWORD);
    let user = test.auth.register(command, &context()).await.unwrap();
    assert!(user.id.0 > 0);
    assert_eq!((user.username.as_str(), user.email.as_str()), ("Alice.B_C-9", "Alice@Example.com"));
    assert_eq!(user.shop_name, "Test Shop");
    assert_eq!((user.created_at, user.disabled_at), (test.auth.clock().now(), None));
    let login = test.login("Alice.B_C-9").await;
    assert_eq!(login.user, user);
}

async fn taken(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.auth.register(registration("Alice", "müller@example.com", PASSWORD), &context()).await.unwrap();
    for (username, email, expected) in [
        ("alice", "other@example.com", RegisterRejection::UsernameTaken),
        ("ALICE", "other@example.com", RegisterRejection::UsernameTaken),
        ("bob", "MÜLLER@Example.COM", RegisterRejection::EmailTaken),
        ("aLiCe", "müller@example.com", RegisterRejection::UsernameTaken),
    ] {
        let outcome = test.auth.register(registration(username, email, PASSWORD), &context()).await;
        assert_eq!(rejection(outcome), expected, "{username} {email}");
    }
    assert_eq!(audit_of(&test, None).await.len(), 1);
}

async fn weak(backend: Backend) {
    let test = TestAuth::start(backend).await;
    for password in ["", "short", "password1", "alice@example.com", "Test Shop", &"x".repeat(257)] {
        let command = registration("alice", "alice@example.com", password);
        let RegisterRejection::WeakPassword(messages) =
            rejection(test.auth.register(command, &context()).await)
        else {
            panic!("{password} is weak");
        };
        assert!(!messages.is_empty(), "{password}");
        assert!(messages.iter().all(|message| password.len() < 6 || !message.contains(password)));
    }
    assert_eq!(test.auth.hash_runs(), 0, "nothing is hashed");
    assert!(audit_of(&test, None).await.is_empty());
    test.register("alice").await;
}

async fn unicode(backend: Backend) {
    let test = TestAuth::start(backend).await;
    for (name, password, typed) in [
        ("nul", "violet\0Tractor\0moss", "violet\0Tractor\0moss"),
        ("emoji", "🐎🔋📎 correct 🧷", "🐎🔋📎 correct 🧷"),
        ("ligature", "ﬁlament-Tractor-91²", "filament-Tractor-912"),
        ("accent", "caf\u{e9} Tractor 91 moss", "cafe\u{301} Tractor 91 moss"),
        ("arabic", "بنفسجي-جرار-طحلب", "بنفسجي-جرار-طحلب"),
    ] {
        let command = registration(name, &format!("{name}@example.com"), password);
        test.auth.register(command, &context()).await.unwrap();
        assert!(test.auth.login(login_command(name, typed), &context()).await.is_ok(), "{name}");
    }
    // What follows a NUL counts.
    let cut = test.auth.login(login_command("nul", "violet"), &context()).await;
    rejection(cut);
}

async fn one_name(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let outcomes = fifty(&test, |number| {
        let name = if number % 2 == 0 { "alice" } else { "Alice" };
        (name.to_owned(), format!("alice{number}@example.com"))
    })
    .await;
    assert_eq!(outcomes, (1, vec![RegisterRejection::UsernameTaken; 49]));
    assert_eq!(audit_of(&test, None).await.len(), 1, "what is not made is not recorded");
}

async fn one_address(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let outcomes = fifty(&test, |number| (format!("alice{number}"), "Alice@example.com".to_owned())).await;
    assert_eq!(outcomes, (1, vec![RegisterRejection::EmailTaken; 49]));
}

async fn fifty(
    test: &TestAuth,
    names: impl Fn(usize) -> (String, String),
) -> (usize, Vec<RegisterRejection>) {
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let (username, email) = names(number);
        let auth = test.auth.clone();
        tasks
            .spawn(async move { auth.register(registration(&username, &email, PASSWORD), &context()).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    (made.len(), refused.into_iter().map(rejection).collect())
}
