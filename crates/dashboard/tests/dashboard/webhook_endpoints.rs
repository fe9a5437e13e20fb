//! Settings > Webhooks: endpoints from the first to the last thing that is done to them.

use std::time::Duration;

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_testkit::{Backend, Behaviour, Browser, PASSWORD, TestApp, TestReceiver, on_both_databases};

use crate::shop::{NEW_ENDPOINT, WEBHOOKS, add_endpoint, link, make_order, newest_is, press};

on_both_databases! {
    an_endpoint_is_added_and_its_secret_shown_once_with_receivers_ready_to_run => add;
    an_endpoint_that_breaks_a_rule_is_not_added_and_what_was_typed_is_kept => refused;
    the_list_says_how_each_endpoint_is => list;
    an_endpoint_is_changed_and_what_was_not_typed_anew_stays => change;
    an_endpoint_is_disabled_and_enabled_again => status;
    a_rotated_secret_is_shown_once_and_the_old_one_signs_for_as_long_as_was_chosen => rotate;
    an_endpoint_is_deleted_after_a_question_with_its_log => delete;
    another_merchants_endpoint_is_not_found_on_any_page => another_merchants;
    every_change_of_where_events_go_wants_a_recent_password => recent;
    nobody_sees_endpoints_or_orders_without_a_login => anonymous;
}

const URL: &str = "https://shop.example/hooks/cryptopay";

async fn add(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let fields = [
        ("url", URL),
        ("description", "two\r\nlines"),
        ("scope", "some"),
        ("events", "payment_order.paid"),
        ("events", "payment_order.failed"),
    ];
    let shown = alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &fields).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let secret = shown.text_of("secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert!(shown.text_of("express").contains("app.post('/hooks/cryptopay'"), "{}", shown.text_of("express"));
    assert!(shown.text_of("python").contains("hmac.compare_digest"));
    for command in ["run-express", "run-python"] {
        assert!(shown.text_of(command).contains(&format!("WEBHOOK_SECRET='{secret}'")));
    }
    let page = link(&shown, |path| path.starts_with(WEBHOOKS) && path.len() > WEBHOOKS.len());
    for path in [WEBHOOKS, &page] {
        let shown = alice.open(path).await;
        assert!(!shown.html.contains(&secret) && shown.html.contains(URL), "{}", shown.html);
        assert!(shown.html.contains("Order paid") && shown.html.contains("Payment failed"), "{}", shown.html);
    }
    let id = page.rsplit('/').next().unwrap();
    let access = app.core.login("alice").await.access;
    let told = app.get(&format!("/api/webhooks/{id}")).bearer(access.expose()).send().await.json();
    assert_eq!(told["events"], serde_json::json!(["payment_order.paid", "payment_order.failed"]));
    assert_eq!(told["description"], "two\nlines");
}

async fn refused(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for (url, scope, problem) in [
        ("", "all", "url"),
        ("http://shop.example/", "all", "url"),
        ("https://10.0.0.1/", "all", "url"),
        ("javascript:alert(1)", "all", "url"),
        (URL, "some", "events"),
    ] {
        let fields = [("url", url), ("scope", scope), ("description", "my words")];
        let shown = alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &fields).await;
        assert_eq!(shown.status, 422, "{url}");
        assert!(!shown.text_of(&format!("{problem}-problem")).is_empty(), "{url}");
        assert!(shown.html.contains(&format!("value=\"{url}\"")) && shown.html.contains("my words"));
    }
    let shown = alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &[("url", "https://10.0.0.1/")]).await;
    assert!(shown.text_of("url-problem").contains("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE=true"), "the way out");
    assert!(alice.open(WEBHOOKS).await.html.contains("There are no endpoints"));
    for number in 0..20 {
        add_endpoint(&mut alice, &format!("{URL}/{number}")).await;
    }
    let shown = alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &[("url", URL)]).await;
    assert_eq!(shown.status, 422);
    assert!(shown.text_of("url-problem").contains("20 endpoints"));
}

async fn list(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (gone, failing) = (
        TestReceiver::behaving(Behaviour::Answer(410)).await,
        TestReceiver::behaving(Behaviour::Answer(500)).await,
    );
    let workers = app.payments.run_deliveries();
    for (receiver, status, state, words) in [
        (&gone, DeliveryStatus::Failed, "Disabled", "It answered 410 Gone"),
        (&failing, DeliveryStatus::Pending, "Failing", "Deliveries have failed since"),
    ] {
        let (page, _) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
        press(&mut alice, &page, "test").await;
        receiver.wait_for(1).await;
        newest_is(&app, "alice", &page, status).await;
        for path in [WEBHOOKS, page.as_str()] {
            cryptopay_testkit::eventually("the endpoint's state is told", async || {
                let shown = alice.open(path).await;
                shown.html.contains(words) && shown.html.contains(&format!(">{state}</span>"))
            })
            .await;
        }
        let overview = alice.open("/dashboard").await;
        assert!(overview.html.contains("Webhook endpoints in trouble"), "{}", overview.html);
        assert!(overview.html.contains(&format!("<a href=\"{page}\">{}</a>", receiver.url("/hook"))));
    }
    workers.stop().await;
}

async fn change(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, URL).await;
    let form = format!("{page}/change");
    let fields = [
        ("url", "https://shop.example/other"),
        ("description", "the shop"),
        ("scope", "some"),
        ("events", "payment_order.paid"),
    ];
    let shown = alice.submit(&page, &form, &fields).await;
    assert_eq!((shown.status, shown.location()), (303, Some(page.as_str())), "{}", shown.html);
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("<h1>https://shop.example/other</h1>") && shown.html.contains("is changed"));
    assert_eq!(shown.text_of("description").trim_start(), "the shop");
    assert!(shown.html.contains("value=\"payment_order.paid\" checked"), "{}", shown.html);
    assert!(!shown.html.contains("value=\"payment_order.failed\" checked"));
    let shown = alice.submit(&page, &form, &[("url", "http://nowhere"), ("scope", "all")]).await;
    assert_eq!(shown.status, 422);
    assert!(!shown.text_of("url-problem").is_empty() && shown.html.contains("value=\"http://nowhere\""));
    assert!(alice.open(&page).await.html.contains("<h1>https://shop.example/other</h1>"));
}

async fn status(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, URL).await;
    let csrf = alice.open(&page).await.hidden_fields(&format!("{page}/test"))[0].1.clone();
    assert_eq!(press(&mut alice, &page, "disable").await.location(), Some(page.as_str()));
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("You disabled it: nothing is sent.") && !shown.html.contains("Send test"));
    let overview = alice.open("/dashboard").await;
    assert!(!overview.html.contains("in trouble"), "it is as its merchant wants it");
    let refused = alice.post(&format!("{page}/test"), &[("csrf", &csrf)]).await;
    assert!(refused.status == 409 && refused.html.contains("Enable it first"), "{}", refused.html);
    press(&mut alice, &page, "enable").await;
    assert!(alice.open(&page).await.html.contains("Send test"));
}

async fn rotate(backend: Backend) {
    let app = TestApp::start_with_dashboard_and_receivers(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let receiver = TestReceiver::start().await;
    let (page, old) = add_endpoint(&mut alice, &receiver.url("/hook")).await;
    let workers = app.payments.run_deliveries();
    let form = format!("{page}/rotate-secret");
    let shown = alice.submit(&page, &form, &[("overlap", "3600")]).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    let new = shown.text_of("secret");
    assert!(new != old && shown.html.contains("the old secret signs"), "{}", shown.html);
    assert!(alice.open(&page).await.html.contains("The old secret signs, too, until"));
    let signed_with = async |alice: &mut Browser, count: usize, secret: &str| {
        press(alice, &page, "test").await;
        let received = receiver.wait_for(count).await.remove(count - 1);
        received.header("x-webhook-signature") == cryptopay_testkit::page_signature(secret, &received.body)
    };
    assert!(signed_with(&mut alice, 1, &old).await);
    app.core.clock.advance(Duration::from_secs(3600));
    assert!(signed_with(&mut alice, 2, &new).await);
    assert!(!alice.open(&page).await.html.contains("The old secret signs, too"));
    let fields = [("overlap", "1"), ("password_again", PASSWORD)];
    assert_eq!(alice.submit(&page, &form, &fields).await.status, 400, "a span that is none");
    workers.stop().await;
}

async fn delete(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, URL).await;
    press(&mut alice, &page, "test").await;
    let question = format!("{page}/delete");
    let shown = alice.open(&question).await;
    assert!(shown.status == 200 && shown.html.contains("Delete this endpoint?"));
    assert_eq!(alice.open(&page).await.status, 200, "a question deletes nothing");
    let shown = alice.send_form(&shown, &question, &[]).await;
    assert_eq!((shown.status, shown.location()), (303, Some(WEBHOOKS)));
    let list = alice.open(WEBHOOKS).await;
    assert!(list.html.contains("is deleted") && !list.html.contains(URL), "{}", list.html);
    for path in [page.clone(), question, format!("{page}/deliveries")] {
        assert_eq!(alice.open(&path).await.status, 404, "{path}");
    }
}

async fn another_merchants(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, URL).await;
    let delivery = press(&mut alice, &page, "test").await.location().unwrap().to_owned();
    let order = make_order(&app, "alice", None).await;
    let mut bob = Browser::logged_in(&app, "bob").await;
    let (own, _) = add_endpoint(&mut bob, URL).await;
    let csrf = bob.open(NEW_ENDPOINT).await.hidden_fields(NEW_ENDPOINT)[0].1.clone();
    let beside = delivery.replace(&page, &own);
    for path in [&page, &format!("{page}/delete"), &format!("{page}/deliveries"), &delivery, &beside, &order]
    {
        assert_eq!(bob.open(path).await.status, 404, "{path}");
    }
    let fields =
        [("csrf", csrf.as_str()), ("url", URL), ("scope", "all"), ("overlap", "0"), ("status", "paid")];
    let actions = ["change", "enable", "disable", "rotate-secret", "delete", "test"];
    let actions = actions.map(|action| format!("{page}/{action}"));
    let further = [format!("{delivery}/resend"), format!("{beside}/resend"), format!("{order}/simulate")];
    for path in actions.iter().chain(&further) {
        assert_eq!(bob.post(path, &fields).await.status, 404, "{path}");
    }
    let shown = alice.open(&page).await;
    assert!(shown.html.contains("Enabled") && shown.html.contains("Pending"), "{}", shown.html);
    assert!(alice.open(&order).await.html.contains("Pending"));
    assert!(!bob.open(WEBHOOKS).await.html.contains(&page));
    assert!(bob.open("/dashboard/payment-orders").await.html.contains("Make the first one"));
}

async fn recent(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, secret) = add_endpoint(&mut alice, URL).await;
    app.core.clock.advance(Duration::from_secs(15 * 60));
    let elsewhere = [("url", "https://evil.example/"), ("scope", "all"), ("description", "a\n<b>")];
    let question = format!("{page}/delete");
    for (form, action, fields) in [
        (NEW_ENDPOINT, NEW_ENDPOINT, &elsewhere[..]),
        (&page, &format!("{page}/change"), &elsewhere),
        (&page, &format!("{page}/rotate-secret"), &[("overlap", "0")]),
        (&question, &question, &[]),
    ] {
        let shown = alice.submit(form, action, fields).await;
        assert!(shown.html.contains("Your password again"), "{action}: {}", shown.html);
        assert!(!shown.html.contains("whsec_"), "{action}");
    }
    let list = alice.open(WEBHOOKS).await;
    assert!(list.html.contains(URL) && !list.html.contains("evil.example"), "{}", list.html);
    // What sends nothing anywhere new does not ask.
    assert_eq!(press(&mut alice, &page, "test").await.status, 303);
    // What was typed is carried along.
    let asked = alice.submit(NEW_ENDPOINT, NEW_ENDPOINT, &elsewhere).await;
    let shown = alice.send_form(&asked, NEW_ENDPOINT, &[("password_again", PASSWORD)]).await;
    assert!(shown.text_of("secret") != secret && shown.html.contains("https://evil.example/"));
}

async fn anonymous(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let (page, _) = add_endpoint(&mut alice, URL).await;
    let delivery = press(&mut alice, &page, "test").await.location().unwrap().to_owned();
    let order = make_order(&app, "alice", None).await;
    let log = format!("{page}/deliveries");
    let mut stale = alice.clone();
    press_log_out(&mut alice).await;
    for browser in [&mut Browser::new(&app), &mut alice, &mut stale] {
        for path in [WEBHOOKS, NEW_ENDPOINT, &page, &log, &delivery, "/dashboard/payment-orders", &order] {
            let shown = browser.open(path).await;
            let login = format!("/dashboard/login?next={path}");
            assert_eq!((shown.status, shown.location()), (303, Some(login.as_str())), "{path}");
            assert_eq!(shown.header("cache-control"), Some("no-store"), "{path}");
            assert!(!shown.html.contains("shop.example"), "{path}");
        }
    }
}

async fn press_log_out(browser: &mut Browser) {
    assert_eq!(browser.submit("/dashboard", "/dashboard/logout", &[]).await.status, 303);
}
