//! Settings > API keys.

use std::time::Duration;

use cryptopay_auth::Clock as _;
use cryptopay_testkit::{Backend, Browser, PASSWORD, TestApp, on_both_databases};

const KEYS: &str = "/dashboard/settings/api-keys";
const NEW_KEY: &str = "/dashboard/settings/api-keys/new";

on_both_databases! {
    a_key_is_shown_once_and_opens_the_api => create;
    a_key_that_breaks_a_rule_is_not_made_and_what_was_typed_is_kept => refused;
    the_list_says_what_each_key_is_and_goes_on_page_by_page => list;
    an_aged_login_types_the_password_again_and_loses_nothing => password_again;
}

async fn create(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let fields =
        [("name", "web shop"), ("permissions", "read"), ("permissions", "create_payments"), ("expiry", "30")];
    let shown = alice.submit(NEW_KEY, NEW_KEY, &fields).await;
    assert_eq!(shown.status, 200);
    let key = shown.text_of("key");
    for sample in ["curl", "javascript", "python"] {
        let sample = shown.text_of(sample);
        assert!(sample.contains(&key), "{sample}");
        assert!(sample.contains(&format!("http://{}/api/auth/verify", app.address())), "{sample}");
    }
    let verified = app.get("/api/auth/verify").bearer(&key).send().await.json();
    assert_eq!(verified["user"]["permissions"], serde_json::json!(["read", "create_payments"]));
    let end = app.core.clock.now().whole_seconds().after(Duration::from_secs(30 * 86_400));
    assert_eq!(verified["expires_at"], end.to_string());
    let list = alice.open(KEYS).await;
    assert!(!list.html.contains(&key) && list.html.contains(&key[..12]), "{}", list.html);
}

async fn refused(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for (fields, problem) in [
        (&[("name", ""), ("permissions", "read"), ("expiry", "never")][..], "name"),
        (&[("name", "till"), ("expiry", "never")], "permissions"),
        (&[("name", "till"), ("permissions", "everything"), ("expiry", "never")], "permissions"),
        (&[("name", "till"), ("permissions", "read")], "expires_on"),
        (&[("name", "till"), ("permissions", "read"), ("expiry", "date")], "expires_on"),
        (
            &[("name", "till"), ("permissions", "read"), ("expiry", "date"), ("expires_on", "2001-01-01")],
            "expires_on",
        ),
    ] {
        let shown = alice.submit(NEW_KEY, NEW_KEY, fields).await;
        assert_eq!(shown.status, 422, "{fields:?}");
        assert!(!shown.text_of(&format!("{problem}-problem")).is_empty());
        let ticked = shown.html.contains("value=\"read\" checked");
        assert_eq!(ticked, fields.contains(&("permissions", "read")), "{fields:?}");
    }
    assert!(alice.open(KEYS).await.html.contains("There are no keys"));
}

async fn list(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for number in 0..25 {
        let name = format!("key number {number}.");
        let fields = [("name", name.as_str()), ("permissions", "full_access"), ("expiry", "never")];
        assert_eq!(alice.submit(NEW_KEY, NEW_KEY, &fields).await.status, 200);
    }
    let first = alice.open(KEYS).await;
    assert!(first.html.contains("key number 24.") && !first.html.contains("key number 4."));
    assert!(first.html.contains("Full Access") && !first.html.contains("Create Payments"));
    let way = |html: &str, rel: &str| {
        let link = html.split("<a ").find(|link| link.contains(&format!("rel=\"{rel}\"")))?;
        Some(link.split('"').find(|part| part.starts_with("/dashboard"))?.to_owned())
    };
    assert_eq!(way(&first.html, "prev"), None);
    let second = alice.open(&way(&first.html, "next").unwrap()).await;
    assert!(second.html.contains("key number 4.") && !second.html.contains("key number 24."));
    assert_eq!(way(&second.html, "next"), None);
    let back = alice.open(&way(&second.html, "prev").unwrap()).await;
    assert!(back.html.contains("key number 24."));
    let mut bob = Browser::logged_in(&app, "bob").await;
    assert!(bob.open(KEYS).await.html.contains("There are no keys"));
    assert!(!bob.open(&way(&first.html, "next").unwrap()).await.html.contains("key number"));
}

async fn password_again(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    app.core.clock.advance(Duration::from_secs(15 * 60));
    let fields = [
        ("name", "a & <b>"),
        ("permissions", "read"),
        ("permissions", "manage_webhooks"),
        ("expiry", "never"),
    ];
    let asked = alice.submit(NEW_KEY, NEW_KEY, &fields).await;
    assert_eq!(asked.status, 200);
    assert!(asked.html.contains("Your password again"), "{}", asked.html);
    assert!(alice.open(KEYS).await.html.contains("There are no keys"), "nothing was done yet");

    let asked = alice.send_form(&asked, NEW_KEY, &[("password_again", "wrong")]).await;
    assert_eq!(asked.status, 422);
    assert!(!asked.text_of("password_again-problem").is_empty());

    let before = alice.clone();
    let shown = alice.send_form(&asked, NEW_KEY, &[("password_again", PASSWORD)]).await;
    let verified = app.get("/api/auth/verify").bearer(&shown.text_of("key")).send().await.json();
    assert_eq!(verified["user"]["permissions"], serde_json::json!(["read", "manage_webhooks"]));
    assert!(alice.open(KEYS).await.html.contains("a &#38; &#60;b&#62;"));
    assert_eq!(alice.submit(NEW_KEY, NEW_KEY, &fields).await.status, 200, "it is recent again");
    assert_eq!({ before }.open(KEYS).await.status, 303, "the session before has ended");
}
