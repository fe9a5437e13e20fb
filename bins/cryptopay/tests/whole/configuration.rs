//! The configuration: what each variable does, and how a wrong one is refused.

use cryptopay_testkit::{Backend, Installation};
use serde_json::{Value, json};

use crate::PROGRAM;

/// What can be given by itself or as the content of a file.
const SECRET_SETTINGS: [&str; 4] =
    ["CRYPTOPAY_DATABASE_URL", "CRYPTOPAY_SIGNING_KEYS", "CRYPTOPAY_ENCRYPTION_KEYS", "CRYPTOPAY_REDIS_URL"];

async fn installation() -> Installation {
    Installation::new(PROGRAM, Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_unsafe_in_production_is_named_at_once() {
    let unsafe_one = installation()
        .await
        .with("CRYPTOPAY_ENVIRONMENT", "production")
        .with("CRYPTOPAY_LISTEN", "0.0.0.0:0")
        .with("CRYPTOPAY_METRICS_LISTEN", "0.0.0.0:9464")
        .with("CRYPTOPAY_TLS_KEY_FILE", "/nowhere/key.pem")
        .with("CRYPTOPAY_TRUSTED_PROXIES", "127.0.0.1,::/0")
        .with("CRYPTOPAY_CORS_ORIGINS", "https://shop.example.com/path,https://good.example.com")
        .with("CRYPTOPAY_ACCESS_TTL", "3600")
        .with("CRYPTOPAY_REFRESH_TTL", "60")
        .with("CRYPTOPAY_DATABASE_URL", "mysql://user:hunter2@localhost/db")
        .with("CRYPTOPAY_SIGNING_KEYS", "k4.secret.hunter3")
        .with("CRYPTOPAY_ENCRYPTION_KEYS", "k4.local.hunter4")
        .with("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "true")
        .with("CRYPTOPAY_RATE_LIMITS", "off")
        .with("CRYPTOPAY_REDIS_URL", "http://user:hunter5@localhost");
    let error = unsafe_one.run(&["serve"]).await.failure();
    let report = unsafe_one.run(&["doctor"]).await;
    assert_eq!(report.status.code(), Some(1), "{report:?}");
    for part in [
        "CRYPTOPAY_PUBLIC_URL",
        "CRYPTOPAY_TLS_KEY_FILE needs its certificate",
        "CRYPTOPAY_TRUSTED_PROXIES holds ::/0",
        "--behind-proxy when a proxy in front ends TLS",
        "0.0.0.0:9464 would show metrics to everybody",
        "https://shop.example.com/path",
        "CRYPTOPAY_ACCESS_TTL (3600)",
        "'mysql' is neither",
        "key 1 of CRYPTOPAY_SIGNING_KEYS",
        "key 1 of CRYPTOPAY_ENCRYPTION_KEYS",
        "CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE",
        "CRYPTOPAY_RATE_LIMITS=off",
        "CRYPTOPAY_REDIS_URL cannot be used",
    ] {
        assert!(error.contains(part), "{part} in {error}");
        assert!(report.stdout.contains(part), "{part} in {report:?}");
    }
    for told in [error, format!("{report:?}")] {
        assert!(!told.contains("hunter") && !told.contains("good.example.com"), "{told}");
    }
    assert!(!unsafe_one.data_dir().join("cryptopay.db").exists(), "it was refused before anything was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_served_behind_a_proxy_under_https_alone() {
    let production = installation().await.with("CRYPTOPAY_ENVIRONMENT", "production");
    let plain = production.clone().with("CRYPTOPAY_PUBLIC_URL", "http://api.example.com");
    let error = plain.run(&["serve"]).await.failure();
    assert!(error.contains("https://") && error.contains("'http://api.example.com'"), "{error}");

    let server = production
        .with("CRYPTOPAY_PUBLIC_URL", "https://api.example.com")
        .with("CRYPTOPAY_LISTEN", "0.0.0.0:0")
        .with("CRYPTOPAY_BEHIND_PROXY", "true")
        .serve()
        .await;
    assert!(server.banner().contains("environment  production"));
    let sandbox_key = format!("cp_test_{}", "A".repeat(49));
    assert_eq!(server.verify(&sandbox_key).await, "401 INVALID_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_to_private_addresses_are_allowed_in_the_sandbox_alone() {
    let allowed = installation().await.with("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "true");
    allowed.run(&["user", "list"]).await.success();
    let production = allowed
        .with_other_data_dir()
        .with("CRYPTOPAY_ENVIRONMENT", "production")
        .with("CRYPTOPAY_PUBLIC_URL", "https://api.example.com");
    let error = production.run(&["serve"]).await.failure();
    assert!(error.contains("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE"), "{error}");
    let report = production.run(&["doctor"]).await;
    assert!(report.stdout.contains("FAIL  configuration:"), "{report:?}");
    assert!(report.stdout.contains("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE"), "{report:?}");
    assert!(!production.data_dir().join("cryptopay.db").exists(), "it was refused before anything was made");
    let forbidden = production.with("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "false");
    forbidden.run(&["user", "list"]).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_is_an_origin_or_below_one() {
    for url in ["nonsense", "ftp://a.example", "https://a.example/", "https://u:p@a.example", "https://a?b=c"]
    {
        let error = installation().await.with("CRYPTOPAY_PUBLIC_URL", url).run(&["serve"]).await.failure();
        assert!(error.contains("CRYPTOPAY_PUBLIC_URL"), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_and_its_file_exclude_each_other() {
    let installation = installation().await;
    let file = installation.secret_file("secret", "postgres://localhost/hunter2");
    for setting in SECRET_SETTINGS {
        let both = installation.clone().with(setting, "hunter3").with(&format!("{setting}_FILE"), &file);
        let error = both.run(&["serve"]).await.failure();
        assert!(error.contains("cannot be used with") && !error.contains("hunter"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_cannot_be_read_is_named() {
    let installation = installation().await;
    let absent = installation.directory().join("absent").to_string_lossy().into_owned();
    for setting in SECRET_SETTINGS {
        let setting = &format!("{setting}_FILE");
        let error = installation.clone().with(setting, &absent).run(&["serve"]).await.failure();
        assert!(error.contains(&absent) && error.contains(setting), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_kind_is_quoted() {
    for (variable, value) in [
        ("CRYPTOPAY_ENVIRONMENT", "staging"),
        ("CRYPTOPAY_LISTEN", "nowhere"),
        ("CRYPTOPAY_ACCESS_TTL", "24h"),
        ("CRYPTOPAY_ACCESS_TTL", "0"),
        ("CRYPTOPAY_REFRESH_GRACE", "100000"),
        ("CRYPTOPAY_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CRYPTOPAY_TRUSTED_PROXIES", "proxy.example.com"),
        ("CRYPTOPAY_LOG_FORMAT", "xml"),
        ("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "perhaps"),
        ("CRYPTOPAY_LOG", "cryptopay=shout"),
        ("CRYPTOPAY_RATE_LIMITS", "maybe"),
        ("CRYPTOPAY_RATE_LIMIT_LOGIN", "20 per minute"),
        ("CRYPTOPAY_RATE_LIMIT_ADDRESS", "0/60"),
    ] {
        let error = installation().await.with(variable, value).run(&["serve"]).await.failure();
        assert!(error.contains(value) || error.contains(variable), "{variable}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_empty_counts_as_absent() {
    let mut installation = installation().await;
    for variable in [
        "ENVIRONMENT",
        "PUBLIC_URL",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "SIGNING_KEYS",
        "SIGNING_KEYS_FILE",
        "ENCRYPTION_KEYS",
        "ENCRYPTION_KEYS_FILE",
        "WEBHOOK_ALLOW_PRIVATE",
        "ACCESS_TTL",
        "HASH_THREADS",
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "BEHIND_PROXY",
        "RATE_LIMITS",
        "RATE_LIMIT_ADDRESS",
        "REDIS_URL",
        "REDIS_URL_FILE",
        "LOG",
        "LOG_FORMAT",
    ] {
        installation = installation.with(&format!("CRYPTOPAY_{variable}"), "");
    }
    installation.serve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_issuer_origins_and_proxies_are_what_the_variables_say() {
    let installation = installation().await;
    let url = format!("sqlite://{}", installation.directory().join("elsewhere.db").display());
    let file = installation.secret_file("database-url", &format!("{url}\n"));
    let server = installation
        .clone()
        .with("CRYPTOPAY_DATABASE_URL_FILE", &file)
        .with("CRYPTOPAY_PUBLIC_URL", "https://sandbox.example.com")
        .with("CRYPTOPAY_ACCESS_TTL", "600")
        .with("CRYPTOPAY_REFRESH_TTL", "1200")
        .with("CRYPTOPAY_REFRESH_GRACE", "0")
        .with("CRYPTOPAY_CORS_ORIGINS", "https://one.example.com, https://two.example.com")
        .with("CRYPTOPAY_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1, ::1")
        .serve()
        .await;
    assert!(installation.directory().join("elsewhere.db").exists());
    server.register("alice").await;

    let client = cryptopay_testkit::client();
    let login = client
        .post(format!("http://{}/api/auth/login", server.address()))
        .header("x-forwarded-for", "203.0.113.9")
        .header("origin", "https://two.example.com")
        .header("content-type", "application/json")
        .body(json!({"username": "alice", "password": cryptopay_testkit::PASSWORD}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(login.headers()["access-control-allow-origin"], "https://two.example.com");
    let login: Value = login.json().await.unwrap();
    let (access, refresh) = (login["access"].as_str().unwrap(), login["refresh"].as_str().unwrap());

    let now = i64::try_from(
        std::fs::metadata(installation.secret_file("now", ""))
            .unwrap()
            .modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
    .unwrap();
    let until = |text: &Value| {
        let end = cryptopay_domain::Timestamp::parse(text.as_str().unwrap()).unwrap();
        end.unix_micros() / 1_000_000 - now
    };
    let verified = server.get("/api/auth/verify", access).await.json();
    assert!((540..=600).contains(&until(&verified["expires_at"])), "{verified}");
    let sessions = server.get("/api/auth/sessions", access).await.json();
    let session = &sessions["results"][0];
    assert!((1140..=1200).contains(&until(&session["expires_at"])), "{session}");
    assert_eq!(session["ip"], "203.0.113.9");

    // Without grace a spent token is theft as soon as its successor has been used.
    let tokens = cryptopay_testkit::Tokens { access: access.to_owned(), refresh: refresh.to_owned() };
    let second = server.refresh(&tokens).await;
    assert_eq!(server.verify(&second.access).await, "200");
    let reuse = server.post("/api/auth/token/refresh", "", &json!({"refresh": refresh})).await;
    assert_eq!(reuse.verdict(), "401 INVALID_TOKEN");
    assert_eq!(server.verify(&second.access).await, "401 INVALID_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_variables_everything_is_in_the_folder_data() {
    let installation = installation().await;
    let mut command = installation.command(&["user", "list"]);
    command.env_remove("CRYPTOPAY_DATA_DIR").stdout(std::process::Stdio::null());
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    assert!(status.success());
    assert!(installation.directory().join("data/cryptopay.db").exists());
    assert!(installation.directory().join("data/signing-keys.json").exists());
    assert!(installation.directory().join("data/encryption-keys.json").exists());
}
