//! When the server cannot answer, or is broken.

use cryptopay_auth::DatabaseUrl;
use cryptopay_auth::hasher::{HasherConfig, ScryptCost};
use cryptopay_domain::Permission;
use cryptopay_http::HttpConfig;
use cryptopay_testkit::postgres::PrivateCluster;
use cryptopay_testkit::{Backend, PASSWORD, TestApp, TestAuth, TestDatabase, on_both_databases, test_config};
use serde_json::json;

on_both_databases! {
    a_full_queue_of_hashes_is_a_503_that_says_when_to_come_back => overloaded;
    a_fault_says_nothing_of_the_inside => fault;
}

async fn overloaded(backend: Backend) {
    let mut config = test_config();
    let cost = ScryptCost { log_n: 15, r: 8, p: 1 };
    config.hasher = HasherConfig { cost, permits: 1, queue: 0, ..config.hasher };
    let app = TestApp::serve(TestAuth::start_with(backend, config).await, HttpConfig::new(1));
    app.core.register("alice").await;
    let login = || app.post("/api/auth/login", &json!({"username": "alice", "password": PASSWORD})).send();
    let answers = tokio::join!(login(), login(), login(), login(), login(), login());
    let answers: [_; 6] = answers.into();
    let count = |verdict: &str| answers.iter().filter(|answer| answer.verdict() == verdict).count();
    let (served, refused) = (count("200"), count("503 OVERLOADED"));
    assert!(served >= 1 && refused >= 1 && served + refused == 6, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status == 503) {
        // `TestApp` has seen that the header and the body agree.
        assert!(answer.json()["retry_after"].as_u64().unwrap() >= 1);
    }
    // Hashes are what is short; everything else goes on.
    assert_eq!(app.get("/readyz").send().await.status, 200);
    assert_eq!(login().await.status, 200);
}

async fn fault(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.insert_user_with_a_damaged_password("alice").await;
    let body = json!({"username": "alice", "password": PASSWORD});
    let answer = app.post("/api/auth/login", &body).header("x-request-id", "find-me").send().await;
    assert_eq!(answer.verdict(), "500 INTERNAL_ERROR");
    assert_eq!(answer.header("x-request-id"), Some("find-me"));
    let told = answer.json();
    assert_eq!(told["error"].as_object().unwrap().len(), 2, "{told}");
    let words = told.to_string().to_lowercase();
    for inside in ["hash", "scrypt", "password", "alice", "sql", "diesel", "stored", "corrupt"] {
        assert!(!words.contains(inside), "{told}");
    }
}

/// A cluster of its own, since it goes away under the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_out_of_reach_is_a_503_until_it_is_back() {
    let mut cluster = PrivateCluster::start();
    let url = DatabaseUrl::parse(&cluster.create_database().await).unwrap();
    let core = TestAuth::start_on(TestDatabase::at(url), test_config()).await;
    let app = TestApp::serve(core, HttpConfig::new(1));
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access;
    let key = app.core.api_key(&alice, &[Permission::Read], None).await;
    let login = json!({"username": "alice", "password": PASSWORD});
    let verdicts = async || {
        [
            app.get("/healthz").send().await.verdict(),
            app.get("/api/auth/verify").send().await.verdict(),
            app.get("/api/auth/verify").bearer(access.expose()).send().await.verdict(),
            app.get("/readyz").send().await.verdict(),
            app.post("/api/auth/login", &login).send().await.verdict(),
            app.get("/api/auth/sessions").bearer(access.expose()).send().await.verdict(),
            app.get("/api/auth/verify").bearer(key.key.expose()).send().await.verdict(),
        ]
    };
    cluster.stop();
    let (known, lost) = ("200", "503 OVERLOADED");
    // What needs no store goes on; an access token proves itself while the feed is fresh.
    assert_eq!(verdicts().await, [known, "401 INVALID_TOKEN", known, lost, lost, lost, lost]);
    cluster.start_again();
    assert_eq!(verdicts().await, [known, "401 INVALID_TOKEN", known, known, known, known, known]);
}
