//! Lists, page by page.

use std::time::Duration;

use cryptopay_domain::Permission;
use cryptopay_testkit::{Backend, TestApp, on_both_databases};
use serde_json::{Value, json};

use crate::objects::{payment_order, webhook_endpoint};

on_both_databases! {
    a_list_is_walked_both_ways_and_stays_put_while_it_grows => walk;
    what_is_no_page_of_this_list_is_refused => strangers;
    an_empty_list_is_one_empty_page => empty;
    orders_endpoints_and_deliveries_are_walked_both_ways => payments;
    a_cursor_belongs_to_the_deliveries_of_one_endpoint => deliveries;
}

fn ids(page: &Value) -> Vec<String> {
    let results = page["results"].as_array().unwrap();
    results.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Follows `next` or `previous` to its end.
async fn follow(app: &TestApp, access: &str, from: &str, link: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = Some(from.to_owned());
    while let Some(here) = path {
        assert!(here.starts_with("/api/"), "{here}");
        let answer = app.get(&here).bearer(access).send().await;
        assert_eq!(answer.status, 200, "{here}");
        let page = answer.json();
        pages.push(ids(&page));
        path = page[link].as_str().map(str::to_owned);
    }
    pages
}

async fn walk(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access.expose().to_owned();
    let mut made = Vec::new();
    for _ in 0..7 {
        // Some in the same instant, some not.
        app.core.clock.advance(Duration::from_millis(made.len() as u64 % 2));
        made.insert(0, app.core.api_key(&alice, &[Permission::Read], None).await.details.id.to_string());
    }
    let path = "/api/auth/api-keys";
    for limit in [1, 2, 3, 6, 7, 8, 100] {
        let pages = follow(&app, &access, &format!("{path}/?limit={limit}"), "next").await;
        assert_eq!(pages.concat(), made, "{limit}");
        assert!(pages.iter().all(|page| page.len() <= limit && !page.is_empty()), "{pages:?}");
    }
    assert_eq!(follow(&app, &access, path, "next").await, [made.clone()]);

    // A key that is made in the middle of the walk moves nothing.
    let first = app.get(&format!("{path}?limit=3")).bearer(&access).send().await.json();
    assert_eq!((ids(&first), &first["previous"]), (made[..3].to_vec(), &Value::Null));
    let newest = app.core.api_key(&alice, &[Permission::Read], None).await.details.id.to_string();
    let second = app.get(first["next"].as_str().unwrap()).bearer(&access).send().await.json();
    assert_eq!(ids(&second), made[3..6]);
    let third = app.get(second["next"].as_str().unwrap()).bearer(&access).send().await.json();
    assert_eq!((ids(&third), &third["next"]), (made[6..].to_vec(), &Value::Null));
    let back = follow(&app, &access, third["previous"].as_str().unwrap(), "previous").await;
    assert_eq!(
        back.iter().rev().flatten().collect::<Vec<_>>(),
        [&newest].into_iter().chain(&made[..6]).collect::<Vec<_>>()
    );

    for _ in 0..24 {
        app.core.login("alice").await;
    }
    let sessions = follow(&app, &access, "/api/auth/sessions", "next").await;
    assert_eq!(sessions.iter().map(Vec::len).collect::<Vec<_>>(), [20, 6], "the default limit is 20");
}

async fn strangers(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut next = Vec::new();
    for name in ["alice", "bob"] {
        let maker = app.core.principal(name).await;
        let access = app.core.login(name).await.access.expose().to_owned();
        for _ in 0..2 {
            app.core.api_key(&maker, &[Permission::Read], None).await;
        }
        for list in ["/api/auth/api-keys", "/api/auth/sessions"] {
            let page = app.get(&format!("{list}?limit=1")).bearer(&access).send().await.json();
            next.push(page["next"].as_str().unwrap().to_owned());
        }
    }
    let access = app.core.login("alice").await.access;
    let cursor = |path: &str| path.split("cursor=").nth(1).unwrap().to_owned();
    let [keys, sessions, bobs_keys, bobs_sessions] = [0, 1, 2, 3].map(|list| cursor(&next[list]));
    let refused = |path: String, fields: Vec<&'static str>| {
        let call = app.get(&path).bearer(access.expose());
        async move {
            let answer = call.send().await;
            assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{path}");
            assert_eq!(answer.fields(), fields, "{path}");
        }
    };
    for (list, strange) in [
        ("/api/auth/api-keys", [&sessions, &bobs_keys, &bobs_sessions]),
        ("/api/auth/sessions", [&keys, &bobs_keys, &bobs_sessions]),
        ("/api/payment-orders", [&keys, &sessions, &bobs_keys]),
        ("/api/webhooks", [&keys, &sessions, &bobs_keys]),
        // Before anyone asks whether there is such an endpoint.
        ("/api/webhooks/0193f1b2c3d4700089abcdef01234567/deliveries", [&keys, &sessions, &bobs_keys]),
        ("/api/webhooks/x/deliveries", [&keys, &sessions, &bobs_keys]),
    ] {
        for cursor in strange {
            refused(format!("{list}?cursor={cursor}"), vec!["cursor"]).await;
        }
        for cursor in ["", "x", "%00", "AAAA", "null", &format!("{keys}A"), &keys[1..], &format!("{keys}=")] {
            refused(format!("{list}/?cursor={cursor}"), vec!["cursor"]).await;
        }
        for limit in ["", "0", "101", "-1", "%2B5", "1.5", "1e1", "0x10", "05", "ten", "18446744073709551617"]
        {
            refused(format!("{list}?limit={limit}"), vec!["limit"]).await;
        }
        refused(format!("{list}?limit=5&limit=5"), vec!["limit"]).await;
        refused(format!("{list}?cursor=x&cursor=x"), vec!["cursor"]).await;
        refused(format!("{list}?page=2"), vec!["page"]).await;
        refused(format!("{list}?Limit=2"), vec!["Limit"]).await;
        refused(format!("{list}?x"), vec!["x"]).await;
    }
    for path in ["/api/auth/me", "/api/openapi.json"] {
        refused(format!("{path}?x=1"), vec!["x"]).await;
    }
    for path in ["/healthz?x=1", "/readyz/?x=1&x=2", "/.well-known/paseto-keys?v=1"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
}

async fn empty(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    for list in ["/api/auth/api-keys", "/api/payment-orders/?limit=100", "/api/webhooks"] {
        let answer = app.get(list).bearer(access.expose()).send().await;
        assert_eq!(answer.json(), json!({"results": [], "next": null, "previous": null}), "{list}");
    }
}

async fn payments(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access.expose().to_owned();
    let endpoint = webhook_endpoint(&app, &alice).await;
    let deliveries = format!("/api/webhooks/{endpoint}/deliveries");
    for number in 0..7 {
        app.core.clock.advance(Duration::from_millis(number % 2));
        payment_order(&app, &alice).await;
        app.payments.send_test(&alice, endpoint).await.unwrap();
    }
    for (path, count) in [("/api/payment-orders", 7), (deliveries.as_str(), 15)] {
        let made = follow(&app, &access, path, "next").await.concat();
        assert_eq!(made.len(), count, "{path}");
        assert!(made.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {made:?}");
        for limit in [1, 3, 7, 100] {
            let pages = follow(&app, &access, &format!("{path}?limit={limit}"), "next").await;
            assert_eq!(pages.concat(), made, "{path} {limit}");
        }
        let first = app.get(&format!("{path}/?limit=3")).bearer(&access).send().await.json();
        // What is made in the middle of the walk moves nothing.
        let order = payment_order(&app, &alice).await.to_string();
        let second = app.get(first["next"].as_str().unwrap()).bearer(&access).send().await.json();
        assert_eq!(ids(&second), made[3..6], "{path}");
        let back = follow(&app, &access, second["previous"].as_str().unwrap(), "previous").await;
        let back: Vec<_> = back.into_iter().rev().flatten().collect();
        assert_eq!(back[1..], made[..3], "{path}");
        assert!(back[0] == order || path == deliveries, "{path}");
    }
}

async fn deliveries(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access.expose().to_owned();
    let mut lists = Vec::new();
    for _ in 0..2 {
        let body = json!({"url": "https://shop.example", "events": ["*"]});
        let made = app.post("/api/webhooks", &body).bearer(&access).send().await.json();
        lists.push(format!("/api/webhooks/{}/deliveries", made["id"].as_str().unwrap()));
    }
    for _ in 0..2 {
        payment_order(&app, &alice).await;
    }
    for (mine, other) in [(0, 1), (1, 0)] {
        let page = app.get(&format!("{}?limit=1", lists[mine])).bearer(&access).send().await.json();
        let next = page["next"].as_str().unwrap();
        assert!(next.starts_with(&lists[mine]), "{next}");
        assert_eq!(app.get(next).bearer(&access).send().await.status, 200);
        let foreign = next.replace(&lists[mine], &lists[other]);
        let answer = app.get(&foreign).bearer(&access).send().await;
        assert_eq!(answer.verdict(), "400 VALIDATION_ERROR");
        assert_eq!(answer.fields(), ["cursor"]);
    }
}
