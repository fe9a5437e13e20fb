//! Refreshing: nobody is logged out by accident, and a thief ends the session.

use std::sync::Arc;
use std::time::Duration;

use cryptopay_auth::{Auth, KeySources, RefreshRejection, Store, StoreConfig, TokenPair};
use cryptopay_domain::PageRequest;
use cryptopay_store::DatabaseUrl;
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases, test_config};
use ring::rand::SystemRandom;
use tokio::task::JoinSet;

use crate::support::{DAY, HOUR, MINUTE, SECOND, audit_of, is_accepted, principal_of, rejection};

on_both_databases! {
    a_spent_refresh_token_returns_the_same_successor => same_successor;
    fifty_parallel_refreshes_of_one_token_give_one_successor => fifty_at_once;
    an_answer_may_be_lost_for_as_long_as_the_spent_token_lives => lost_answer;
    a_successor_is_used_when_it_is_presented => successor_presented;
    a_successor_is_used_when_its_access_token_is_presented => access_presented;
    a_successor_is_used_when_its_expired_access_token_is_presented => expired_access_presented;
    a_sighting_that_is_not_written_yet_counts_here_and_a_written_one_everywhere => sighting;
    a_repeated_answers_access_token_counts_as_use => repeated_access;
    an_access_token_from_before_the_refresh_does_not_count_as_use => earlier_access;
    the_grace_is_what_the_configuration_says => configured_grace;
    a_refresh_token_past_its_own_life_is_refused_and_ends_nothing => past_its_life;
    a_refresh_moves_the_sessions_end_and_use => moves_session;
    a_rolled_back_database_ends_the_session => rolled_back;
    nothing_of_a_session_survives_a_logout_during_its_refreshes => against_logout;
    text_that_is_no_refresh_token_is_refused => malformed;
}

async fn refresh(test: &TestAuth, token: &str) -> TokenPair {
    test.auth.refresh(token, &context()).await.expect("a pair")
}

/// The token is refused, its whole session is over, and the audit log says why.
async fn assert_theft(test: &TestAuth, token: &str, accesses: &[&TokenPair]) {
    assert_eq!(rejection(test.auth.refresh(token, &context()).await), RefreshRejection);
    for pair in accesses {
        assert!(!is_accepted(&test.auth, pair.access.expose()).await, "an access token of an ended session");
        rejection(test.auth.refresh(pair.refresh.expose(), &context()).await);
    }
    let events = audit_of(test, None).await;
    let ended: Vec<_> = events.iter().filter(|row| row.event == "session.ended_by_breach").collect();
    let [ended] = ended.as_slice() else { panic!("{events:?}") };
    assert_eq!(ended.outcome, "refused");
    assert!(ended.detail.as_deref().unwrap().contains("after its successor was in use"));
}

async fn same_successor(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    assert_ne!(first.refresh.expose(), login.refresh.expose());
    test.clock.advance(HOUR);
    let other = test.replica().await;
    for auth in [&test.auth, &other] {
        let again = auth.refresh(login.refresh.expose(), &context()).await.unwrap();
        assert_eq!(again.refresh.expose(), first.refresh.expose());
        assert_ne!(again.access.expose(), first.access.expose(), "the access token is a fresh one");
        let end = principal_of(auth, again.access.expose()).await.expires_at;
        assert_eq!(end, Some(test.auth.clock().now().after(DAY)));
        // The successor was used just now; the second look is within the grace.
    }
}

async fn fifty_at_once(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let replica = test.replica().await;
    let mut refreshes = JoinSet::new();
    for number in 0..50 {
        let auth = if number % 2 == 0 { test.auth.clone() } else { replica.clone() };
        let token = login.refresh.expose().to_owned();
        refreshes.spawn(async move {
            let pair = auth.refresh(&token, &context()).await.expect("every one is answered");
            assert!(is_accepted(&auth, pair.access.expose()).await);
            pair.refresh.expose().to_owned()
        });
    }
    let successors = refreshes.join_all().await;
    assert!(successors.iter().all(|successor| *successor == successors[0]));
    let events = audit_of(&test, None).await;
    assert_eq!(events.iter().filter(|row| row.event == "session.refreshed").count(), 1, "one line");
    let principal = principal_of(&test.auth, login.access.expose()).await;
    let sessions = test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap();
    assert_eq!((sessions.items.len(), sessions.items[0].line.counter), (1, 1));
}

async fn lost_answer(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    test.clock.advance(10 * DAY);
    let lost = refresh(&test, login.refresh.expose()).await;
    test.clock.advance(20 * DAY - SECOND);
    let found = refresh(&test, login.refresh.expose()).await;
    assert_eq!(found.refresh.expose(), lost.refresh.expose());
    test.clock.advance(SECOND);
    assert_eq!(rejection(test.auth.refresh(login.refresh.expose(), &context()).await), RefreshRejection);
    refresh(&test, lost.refresh.expose()).await;
}

async fn successor_presented(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    test.clock.advance(HOUR);
    let second = refresh(&test, first.refresh.expose()).await;
    test.clock.advance(29 * SECOND);
    let answered = refresh(&test, login.refresh.expose()).await;
    assert_eq!(answered.refresh.expose(), second.refresh.expose(), "the session's current token");
    test.clock.advance(SECOND);
    // The second one's answer still counts as lost, however late; only what is spent for good is theft.
    refresh(&test, first.refresh.expose()).await;
    assert_theft(&test, login.refresh.expose(), &[&first, &second, &answered]).await;
}

async fn access_presented(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    test.clock.advance(HOUR);
    assert!(is_accepted(&test.auth, first.access.expose()).await);
    test.clock.advance(20 * SECOND);
    assert!(is_accepted(&test.auth, first.access.expose()).await, "only the first presentation counts");
    test.clock.advance(9 * SECOND);
    let answered = refresh(&test, login.refresh.expose()).await;
    assert_eq!(answered.refresh.expose(), first.refresh.expose());
    test.clock.advance(SECOND);
    assert_theft(&test, login.refresh.expose(), &[&first, &answered]).await;
}

async fn expired_access_presented(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    test.clock.advance(2 * DAY);
    assert!(!is_accepted(&test.auth, first.access.expose()).await, "it has expired");
    test.clock.advance(29 * SECOND);
    refresh(&test, login.refresh.expose()).await;
    test.clock.advance(SECOND);
    assert_theft(&test, login.refresh.expose(), &[&first]).await;
}

async fn sighting(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    let other = test.replica().await;
    assert!(is_accepted(&test.auth, first.access.expose()).await);
    test.clock.advance(MINUTE);
    // The other replica cannot know yet.
    let answered = other.refresh(login.refresh.expose(), &context()).await.unwrap();
    assert_eq!(answered.refresh.expose(), first.refresh.expose());
    test.auth.write_uses().await.unwrap();
    assert_eq!(rejection(other.refresh(login.refresh.expose(), &context()).await), RefreshRejection);
    assert!(!is_accepted(&other, first.access.expose()).await);
}

async fn repeated_access(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    let repeated = refresh(&test, login.refresh.expose()).await;
    assert!(is_accepted(&test.auth, repeated.access.expose()).await);
    test.clock.advance(30 * SECOND);
    assert_theft(&test, login.refresh.expose(), &[&first, &repeated]).await;
}

async fn earlier_access(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let first = refresh(&test, login.refresh.expose()).await;
    assert!(is_accepted(&test.auth, login.access.expose()).await);
    test.auth.write_uses().await.unwrap();
    test.clock.advance(HOUR);
    let again = refresh(&test, login.refresh.expose()).await;
    assert_eq!(again.refresh.expose(), first.refresh.expose());
}

async fn configured_grace(backend: Backend) {
    for grace in [0, 1, 3_600] {
        let mut config = test_config();
        config.refresh.grace = Duration::from_secs(grace);
        let test = TestAuth::start_with(backend, config).await;
        test.register("alice").await;
        let login = test.login("alice").await;
        let first = refresh(&test, login.refresh.expose()).await;
        test.clock.advance(HOUR);
        refresh(&test, login.refresh.expose()).await;
        let second = refresh(&test, first.refresh.expose()).await;
        if grace > 0 {
            test.clock.advance(Duration::from_secs(grace - 1));
            let answered = refresh(&test, login.refresh.expose()).await;
            assert_eq!(answered.refresh.expose(), second.refresh.expose());
            test.clock.advance(SECOND);
        }
        assert_theft(&test, login.refresh.expose(), &[&first, &second]).await;
    }
}

async fn past_its_life(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    test.clock.advance(29 * DAY);
    let first = refresh(&test, login.refresh.expose()).await;
    assert!(is_accepted(&test.auth, first.access.expose()).await);
    test.clock.advance(DAY);
    // Spent, its successor long in use, and past its own 30 days: plainly refused.
    assert_eq!(rejection(test.auth.refresh(login.refresh.expose(), &context()).await), RefreshRejection);
    let second = refresh(&test, first.refresh.expose()).await;
    assert!(is_accepted(&test.auth, second.access.expose()).await);
    // Never used, and past its own 30 days to the second.
    test.clock.advance(30 * DAY - SECOND);
    let third = refresh(&test, second.refresh.expose()).await;
    test.clock.advance(30 * DAY);
    assert_eq!(rejection(test.auth.refresh(third.refresh.expose(), &context()).await), RefreshRejection);
    let events = audit_of(&test, None).await;
    assert!(events.iter().all(|row| row.event != "session.ended_by_breach"));
}

async fn moves_session(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    test.clock.advance(5 * DAY);
    let pair = refresh(&test, login.refresh.expose()).await;
    let now = test.auth.clock().now();
    let principal = principal_of(&test.auth, pair.access.expose()).await;
    let sessions = test.auth.list_sessions(&principal, PageRequest::default()).await.unwrap();
    assert_eq!((sessions.items[0].last_used_at, sessions.items[0].expires_at), (now, now.after(30 * DAY)));
    assert_eq!(sessions.items[0].created_at, now.before(5 * DAY));
}

async fn rolled_back(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let restored = match test.database.url() {
        DatabaseUrl::Sqlite(path) => {
            let copy = test.database.directory().join("copy.db");
            for suffix in ["", "-wal"] {
                let name = |path: &std::path::Path| format!("{}{suffix}", path.display());
                std::fs::copy(name(path), name(&copy)).unwrap();
            }
            let pair = refresh(&test, login.refresh.expose()).await;
            let url = DatabaseUrl::Sqlite(copy);
            (start_on(&test, &url).await, pair)
        }
        DatabaseUrl::Postgres(url) => {
            let client = connect(url).await;
            client.batch_execute("CREATE TABLE kept AS SELECT * FROM sessions").await.unwrap();
            let pair = refresh(&test, login.refresh.expose()).await;
            let put_back = "DELETE FROM sessions; INSERT INTO sessions SELECT * FROM kept";
            client.batch_execute(put_back).await.unwrap();
            (start_on(&test, test.database.url()).await, pair)
        }
    };
    let (auth, pair) = restored;
    assert!(is_accepted(&auth, pair.access.expose()).await);
    assert_eq!(rejection(auth.refresh(pair.refresh.expose(), &context()).await), RefreshRejection);
    assert!(!is_accepted(&auth, pair.access.expose()).await, "the whole session is over");
    rejection(auth.refresh(login.refresh.expose(), &context()).await);
    let events = auth.store().list_audit_events(None, 100).await.unwrap();
    let ended = events.iter().find(|row| row.event == "session.ended_by_breach").unwrap();
    assert!(ended.detail.as_deref().unwrap().contains("rolled back"));
}

async fn start_on(test: &TestAuth, url: &DatabaseUrl) -> Auth {
    let config = StoreConfig { connections: 4, readers: 1 };
    let store = Store::open(url, config, tokio::runtime::Handle::current()).unwrap();
    let keys = KeySources::in_directory(test.database.directory());
    let (clock, random) = (Arc::new(test.clock.clone()), Arc::new(SystemRandom::new()));
    let auth = Auth::start(test.auth.config().clone(), store, keys, clock, random).await.unwrap();
    auth.load_revocations().await.unwrap();
    auth
}

async fn against_logout(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    for _ in 0..5 {
        let login = test.login("alice").await;
        let principal = principal_of(&test.auth, login.access.expose()).await;
        let mut refreshes = JoinSet::new();
        for _ in 0..10 {
            let (auth, token) = (test.auth.clone(), login.refresh.expose().to_owned());
            refreshes.spawn(async move { auth.refresh(&token, &context()).await });
        }
        assert_eq!(test.auth.logout(&principal, &context()).await.unwrap(), 1);
        for refreshed in refreshes.join_all().await {
            match refreshed {
                Ok(pair) => {
                    assert!(!is_accepted(&test.auth, pair.access.expose()).await);
                    rejection(test.auth.refresh(pair.refresh.expose(), &context()).await);
                }
                refused => assert_eq!(rejection(refused), RefreshRejection),
            }
        }
    }
}

async fn malformed(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let login = test.login("alice").await;
    let token = login.refresh.expose();
    let mut wrong: Vec<String> = ["", " ", "x", "\0", "null"].into_iter().map(str::to_owned).collect();
    wrong.extend([format!(" {token}"), format!("{token}="), token.to_ascii_lowercase(), token.repeat(1_000)]);
    wrong.extend((0..token.len()).step_by(7).map(|end| token[..end].to_owned()));
    // Every place of the token is under its authentication code.
    for place in (0..token.len()).step_by(5) {
        let mut altered = token.to_owned().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        wrong.push(String::from_utf8(altered).unwrap());
    }
    for wrong in wrong {
        assert_eq!(rejection(test.auth.refresh(&wrong, &context()).await), RefreshRejection, "{wrong:.120}");
    }
    refresh(&test, token).await;
}
