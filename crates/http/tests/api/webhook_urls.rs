//! Where webhooks may go, and that nowhere else is saved: guarded as in production.

use cryptopay_testkit::{Backend, TestApp, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_url_that_may_not_be_posted_to_is_refused_and_nothing_is_stored => refused;
    names_are_judged_by_what_they_resolve_to => names;
    an_ordinary_url_is_saved_as_it_was_given => saved;
}

const BAD: &[&str] = &[
    "",
    "x",
    "shop.example",
    "//shop.example/hook",
    "/hook",
    "https://",
    "https:///hook",
    "https://?x",
    "https://#x",
    // No TLS, and no HTTP at all.
    "http://shop.example/hook",
    "ftp://shop.example/hook",
    "file:///etc/passwd",
    "gopher://shop.example/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "wss://shop.example/",
    "https+unix://shop.example/",
    // What is never sent, or never meant.
    "https://user@shop.example/",
    "https://user:password@shop.example/",
    "https://:@shop.example/",
    "https://@shop.example/",
    "https://shop.example/#",
    "https://shop.example/hook#fragment",
    "https://shop.example\\@127.0.0.1/",
    "https://shop.example/ hook",
    " https://shop.example/",
    "https://shop.example/\n",
    "https://shop.example/\t",
    "https://shop.example/\0",
    "https://shop.example:99999/",
    "https://shop.example:x/",
    "https://[::1/",
    "https://shop..example/",
    // Loopback, in every spelling.
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
    "https://%31%32%37.0.0.1/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://shop.localhost/",
    "https://printer.local/",
    "https://vault.internal/",
    // Private, link-local, shared, and whatever else is not public.
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://100.127.255.254/",
    "https://0.0.0.0/",
    "https://0/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    // The same behind a mapping.
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
];

async fn refused(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let good = json!({"url": "https://shop.example/hook", "events": ["*"]});
    let endpoint = app.post("/api/webhooks", &good).bearer(access.expose()).send().await.json();
    let path = format!("/api/webhooks/{}", endpoint["id"].as_str().unwrap());
    let before = app.audit_events().await;
    let long = format!("https://shop.example/{}", "x".repeat(2048 - 20));
    assert_eq!(long.len(), 2049);
    for url in BAD.iter().copied().chain([long.as_str()]) {
        let create = app.post("/api/webhooks", &json!({"url": url, "events": ["*"]}));
        let change = app.call("PATCH", &path).json(&json!({"url": url, "status": "disabled"}));
        for call in [create, change] {
            let answer = call.bearer(access.expose()).send().await;
            assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{url:?}");
            assert_eq!(answer.fields(), ["url"], "{url:?}");
            let problem = answer.json()["error"]["fields"]["url"][0].as_str().unwrap().to_owned();
            assert!(problem.starts_with("must "), "{url:?}: {problem}");
        }
    }
    assert_eq!(app.audit_events().await, before);
    let list = app.get("/api/webhooks").bearer(access.expose()).send().await.json();
    let mut expected = endpoint;
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(list["results"], json!([expected]));
}

async fn names(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    for (name, addresses, status) in [
        ("public.example", &["93.184.216.34"][..], 201),
        ("public6.example", &["2606:2800:220:1::1"], 201),
        ("private.example", &["10.0.0.1"], 400),
        ("loopback.example", &["127.0.0.1"], 400),
        ("metadata.example", &["169.254.169.254"], 400),
        ("mapped.example", &["::ffff:192.168.0.1"], 400),
        ("translated.example", &["64:ff9b::a00:1"], 400),
        ("both.example", &["93.184.216.34", "10.0.0.1"], 400),
        ("nowhere.example", &[], 201),
        ("xn--bcher-kva.example", &["93.184.216.34"], 400),
    ] {
        let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        app.names.point(name, &addresses);
        let body = json!({"url": format!("https://{name}/hook"), "events": ["*"]});
        let answer = app.post("/api/webhooks", &body).bearer(access.expose()).send().await;
        assert_eq!(answer.status, status, "{name}");
        if status == 400 {
            let problem = answer.json()["error"]["fields"]["url"][0].to_string();
            // Which address it is would tell of networks that are none of the merchant's.
            assert!(!addresses.iter().any(|address| problem.contains(&address.to_string())), "{problem}");
        }
    }
    // Spelt out it is the same name.
    let body = json!({"url": "https://b\u{fc}cher.example/", "events": ["*"]});
    let answer = app.post("/api/webhooks", &body).bearer(access.expose()).send().await;
    assert_eq!(answer.fields(), ["url"]);
}

async fn saved(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    let longest = format!("https://shop.example/{}", "x".repeat(2048 - 21));
    for url in [
        "https://shop.example",
        "https://shop.example/",
        "https://shop.example:8443/hook?shop=1&x=%20",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "HTTPS://Shop.Example/Hook",
        &longest,
    ] {
        let body = json!({"url": url, "events": ["*"]});
        let answer = app.post("/api/webhooks", &body).bearer(access.expose()).send().await;
        assert_eq!((answer.status, answer.json()["url"].as_str()), (201, Some(url)), "{answer:?}");
    }
}
