//! `kill -9` in the middle of writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cryptopay_testkit::{Backend, Installation, PASSWORD, Server, Tokens, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::PROGRAM;

/// How many times the server is killed.
const ROUNDS: usize = 3;
/// After how many acknowledged writes, each time.
const WRITES: usize = 60;

on_both_databases! {
    what_was_acknowledged_before_a_kill_is_there_after_it => kills;
}

/// What the server has said was done.
#[derive(Default)]
struct Acknowledged {
    writes: AtomicUsize,
    users: Mutex<Vec<String>>,
    kept_keys: Mutex<Vec<String>>,
    revoked_keys: Mutex<Vec<String>>,
}

async fn kills(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let mut server = Arc::new(installation.serve().await);
    let acknowledged = Arc::new(Acknowledged::default());
    let mut sessions = Vec::new();
    let mut owner = Vec::new();
    for name in ["alice", "bob"] {
        server.register(name).await;
        sessions.push(server.login(name).await);
        owner.push(server.login(name).await.access);
    }

    for round in 0..ROUNDS {
        acknowledged.writes.store(0, Ordering::Relaxed);
        let mut writers = Vec::new();
        for access in &owner {
            let (server, acknowledged) = (Arc::clone(&server), Arc::clone(&acknowledged));
            writers.push(tokio::spawn(create_and_revoke(server, acknowledged, access.clone())));
        }
        for name in 0..2 {
            let (server, acknowledged) = (Arc::clone(&server), Arc::clone(&acknowledged));
            writers.push(tokio::spawn(register(server, acknowledged, format!("user-{round}-{name}"))));
        }
        let refreshers: Vec<_> = sessions
            .iter()
            .map(|tokens| {
                let (server, acknowledged) = (Arc::clone(&server), Arc::clone(&acknowledged));
                tokio::spawn(refresh(server, acknowledged, tokens.clone()))
            })
            .collect();

        eventually("enough is written", async || acknowledged.writes.load(Ordering::Relaxed) >= WRITES).await;
        server.signal(rustix::process::Signal::KILL);
        for writer in writers {
            writer.await.unwrap();
        }
        sessions.clear();
        for refresher in refreshers {
            sessions.push(refresher.await.unwrap());
        }
        let killed = Arc::into_inner(server).expect("nobody else has it").finished().await;
        assert_eq!(killed.status.code(), None, "{killed:?}");

        server = Arc::new(installation.serve().await);
        check(&installation, &server, &acknowledged).await;
        for tokens in &mut sessions {
            // The answer to a refresh may have been lost: the token in hand is good all the same.
            *tokens = server.refresh(tokens).await;
            assert_eq!(server.verify(&tokens.access).await, "200");
        }
    }
}

async fn check(installation: &Installation, server: &Server, acknowledged: &Acknowledged) {
    let users = installation.run(&["user", "list"]).await.success();
    for username in &*acknowledged.users.lock().unwrap() {
        assert!(users.contains(&format!("\t{username}\t")), "{username} in {users}");
    }
    let kept = acknowledged.kept_keys.lock().unwrap().clone();
    for key in kept {
        assert_eq!(server.verify(&key).await, "200");
    }
    let revoked = acknowledged.revoked_keys.lock().unwrap().clone();
    for key in revoked {
        assert_eq!(server.verify(&key).await, "401 INVALID_TOKEN");
    }
    let last = acknowledged.users.lock().unwrap().last().cloned();
    if let Some(username) = last {
        server.login(&username).await;
    }
    // Each write is whole: a key that is there has everything that a key has.
    for merchant in ["alice", "bob"] {
        for row in installation.run(&["api-key", "list", merchant]).await.success().lines() {
            assert_eq!(row.split('\t').count(), 7, "{row}");
        }
    }
}

/// Makes keys and revokes four in five, until the server is gone.
async fn create_and_revoke(server: Arc<Server>, acknowledged: Arc<Acknowledged>, access: String) {
    let body = json!({"name": "key", "permissions": ["read"], "expires_at": null});
    for number in 0.. {
        let Some(created) = write(&server, &acknowledged, "POST", "/api/auth/api-keys", &access, &body).await
        else {
            return;
        };
        let text = |field: &str| created[field].as_str().unwrap().to_owned();
        if number % 5 == 0 {
            acknowledged.kept_keys.lock().unwrap().push(text("key"));
            continue;
        }
        let path = format!("/api/auth/api-keys/{}", text("id"));
        if write(&server, &acknowledged, "DELETE", &path, &access, &json!({})).await.is_none() {
            return;
        }
        acknowledged.revoked_keys.lock().unwrap().push(text("key"));
    }
}

/// Registers merchants until the server is gone.
async fn register(server: Arc<Server>, acknowledged: Arc<Acknowledged>, prefix: String) {
    for number in 0.. {
        let username = format!("{prefix}-{number}");
        let body = json!({
            "username": username, "email": format!("{username}@example.com"),
            "password": PASSWORD, "shop_name": "Shop",
        });
        if write(&server, &acknowledged, "POST", "/api/auth/register", "", &body).await.is_none() {
            return;
        }
        acknowledged.users.lock().unwrap().push(username);
    }
}

/// Refreshes, and uses each access token, until the server is gone; gives the last pair in hand.
async fn refresh(server: Arc<Server>, acknowledged: Arc<Acknowledged>, mut tokens: Tokens) -> Tokens {
    loop {
        let body = json!({"refresh": tokens.refresh});
        let Some(pair) = write(&server, &acknowledged, "POST", "/api/auth/token/refresh", "", &body).await
        else {
            return tokens;
        };
        let text = |field: &str| pair[field].as_str().unwrap().to_owned();
        tokens = Tokens { access: text("access"), refresh: text("refresh") };
        if server.try_send("GET", "/api/auth/verify", &tokens.access, None).await.is_err() {
            return tokens;
        }
    }
}

/// The answer to a write; `None` when the server is gone before it is there.
async fn write(
    server: &Server,
    acknowledged: &Acknowledged,
    method: &str,
    path: &str,
    bearer: &str,
    body: &Value,
) -> Option<Value> {
    let answer = server.try_send(method, path, bearer, Some(body)).await.ok()?;
    assert!(answer.status < 300, "{method} {path}: {answer:?}");
    acknowledged.writes.fetch_add(1, Ordering::Relaxed);
    Some(answer.json())
}
