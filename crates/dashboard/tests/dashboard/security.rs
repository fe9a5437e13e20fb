//! Settings > Security.

use cryptopay_testkit::{Backend, Browser, OTHER_PASSWORD, PASSWORD, TestApp, on_both_databases};

const SECURITY: &str = "/dashboard/settings/security";
const PASSWORD_FORM: &str = "/dashboard/settings/security/password";
const OTHERS: &str = "/dashboard/settings/security/sessions/end-others";

on_both_databases! {
    a_changed_password_ends_every_other_session_and_copies_of_this_one => change_password;
    a_password_that_is_wrong_or_weak_changes_nothing => refused_password;
    sessions_are_listed_and_ended_one_by_one_or_all_others_at_once => sessions;
    another_merchants_session_is_not_found => another_merchants;
    what_happened_lately_is_told_and_refreshes_are_left_out => activity;
}

async fn change_password(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut copied = alice.clone();
    let mut elsewhere = Browser::new(&app);
    elsewhere.log_in("alice", PASSWORD).await;
    let fields = [("current_password", PASSWORD), ("new_password", OTHER_PASSWORD)];
    let shown = alice.submit(SECURITY, PASSWORD_FORM, &fields).await;
    assert_eq!((shown.status, shown.location()), (303, Some(SECURITY)), "{}", shown.html);
    assert!(alice.open(SECURITY).await.html.contains("Your password is changed"));
    assert_eq!(copied.open("/dashboard").await.status, 303);
    assert_eq!(elsewhere.open("/dashboard").await.status, 303);
    let mut again = Browser::new(&app);
    assert_eq!(again.log_in("alice", PASSWORD).await.status, 422);
    assert_eq!(again.log_in("alice", OTHER_PASSWORD).await.status, 303);
}

async fn refused_password(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for (current, new, field) in
        [("wrong", OTHER_PASSWORD, "current_password"), (PASSWORD, "password123", "new_password")]
    {
        let fields = [("current_password", current), ("new_password", new)];
        let shown = alice.submit(SECURITY, PASSWORD_FORM, &fields).await;
        assert_eq!(shown.status, 422, "{field}");
        assert!(!shown.text_of(&format!("{field}-problem")).is_empty());
        assert!(!shown.html.contains(new));
    }
    assert_eq!(Browser::new(&app).log_in("alice", PASSWORD).await.status, 303);
}

async fn sessions(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut second = Browser::new(&app);
    second.log_in("alice", PASSWORD).await;
    let third = app.core.login("alice").await;
    let shown = alice.open(SECURITY).await;
    assert_eq!(shown.html.matches("This browser").count(), 1);
    let ends: Vec<String> =
        shown.html.split('"').filter(|part| part.ends_with("/end")).map(str::to_owned).collect();
    assert_eq!(ends.len(), 2, "the session of this browser ends by logging out: {}", shown.html);
    // Newest first: the program's.
    let ended = alice.send_form(&shown, &ends[0], &[]).await;
    assert_eq!((ended.status, ended.location()), (303, Some(SECURITY)));
    assert_eq!(app.get("/api/auth/me").bearer(third.access.expose()).send().await.status, 401);
    assert_eq!(second.open("/dashboard").await.status, 200);
    assert_eq!(alice.submit(SECURITY, OTHERS, &[]).await.status, 303);
    assert_eq!(second.open("/dashboard").await.status, 303);
    assert_eq!(alice.open(SECURITY).await.status, 200);
    assert_eq!(alice.send_form(&shown, &ends[0], &[]).await.status, 404, "it has ended");
}

async fn another_merchants(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    let mut bob = Browser::logged_in(&app, "bob").await;
    let access = app.core.login("alice").await.access;
    let principal = app.core.auth.authenticate(access.expose()).await.unwrap();
    let listed = app.core.auth.list_sessions(&principal, Default::default()).await.unwrap();
    let session = listed.items[0].id;
    let token = bob.open(SECURITY).await.hidden_fields(OTHERS)[0].1.clone();
    let shown = bob.post(&format!("{SECURITY}/sessions/{session}/end"), &[("csrf", &token)]).await;
    assert_eq!(shown.status, 404);
    assert_eq!(bob.submit(SECURITY, OTHERS, &[]).await.status, 303);
    assert_eq!(alice.open("/dashboard").await.status, 200);
}

async fn activity(backend: Backend) {
    let app = TestApp::start_with_dashboard(backend).await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    Browser::logged_in(&app, "bob").await;
    Browser::new(&app).log_in("alice", "wrong").await;
    let mut refresh = app.core.login("alice").await.refresh;
    for _ in 0..60 {
        let pair = app.core.auth.refresh(refresh.expose(), &cryptopay_testkit::context()).await.unwrap();
        refresh = pair.refresh;
    }
    let shown = alice.open(SECURITY).await;
    let table = shown.html.split("<tbody>").nth(1).unwrap();
    assert_eq!(table.matches("<tr>").count(), 4, "{table}");
    assert!(table.contains("Account opened") && table.contains("Login"), "{table}");
    assert_eq!(table.matches("Refused").count(), 1, "{table}");
}
