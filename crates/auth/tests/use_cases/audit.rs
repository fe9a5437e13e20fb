//! The audit log: each credential event writes one row that says who, what, from where and with which result.

use cryptopay_auth::operator::AccountState;
use cryptopay_auth::{ChangePasswordCommand, RequestContext};
use cryptopay_domain::api_key::ApiKeyChange;
use cryptopay_domain::{ClientAddress, DisplayName, Permission, Username};
use cryptopay_store::audit::AuditRow;
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, context, login_command, on_both_databases,
};
use secrecy::SecretString;

use crate::support::{HOUR, audit_of, make_key, principal_of, registration, rejection};

on_both_databases! {
    every_credential_event_is_one_row => one_row_each;
    what_somebody_typed_as_a_name_that_nobody_has_is_not_kept => typed_text;
    a_failed_login_records_whose_name_it_was => known_name;
}

/// What has been recorded since the last look: event, outcome, actor, subject.
struct Log<'a> {
    test: &'a TestAuth,
    seen: usize,
}

impl Log<'_> {
    async fn next(&mut self) -> AuditRow {
        let mut rows = audit_of(self.test, None).await.split_off(self.seen);
        self.seen += rows.len();
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = rows.remove(0);
        assert_eq!(row.occurred_at(), self.test.auth.clock().now());
        row
    }
}

#[track_caller]
fn assert_row(row: &AuditRow, event: &str, outcome: &str, actor: &str, subject: Option<&str>) {
    let found = (row.event.as_str(), row.outcome.as_str(), row.actor.as_str(), row.subject.as_deref());
    assert_eq!(found, (event, outcome, actor, subject));
}

async fn one_row_each(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let mut log = Log { test: &test, seen: 0 };
    let here = RequestContext {
        client: ClientAddress::new("2001:db8::7".parse().unwrap()),
        user_agent: Some("curl/8".to_owned()),
        request_id: "request-1".to_owned(),
    };
    let auth = &test.auth;

    let alice = auth.register(registration("alice", "a@example.com", PASSWORD), &here).await.unwrap().id;
    let row = log.next().await;
    assert_row(&row, "user.registered", "succeeded", "anonymous", None);
    let origin = (row.ip.as_str(), row.user_agent.as_deref(), row.request_id.as_str(), row.user_id);
    assert_eq!(origin, ("2001:db8::7", Some("curl/8"), "request-1", Some(alice.0)));

    let login = auth.login(login_command("alice", PASSWORD), &here).await.unwrap();
    let principal = principal_of(auth, login.access.expose()).await;
    let session = principal.session().unwrap().to_string();
    let by_login = format!("access_token:{session}");
    let row = log.next().await;
    assert_row(&row, "login", "succeeded", "anonymous", Some(&session));
    assert_eq!((row.ip.as_str(), row.user_id), ("2001:db8::7", Some(alice.0)));

    auth.refresh(login.refresh.expose(), &here).await.unwrap();
    let by_refresh = format!("refresh_token:{session}");
    assert_row(&log.next().await, "session.refreshed", "succeeded", &by_refresh, Some(&session));
    let pair = auth.refresh(login.refresh.expose(), &here).await.unwrap();
    assert_row(&log.next().await, "session.refresh_repeated", "succeeded", &by_refresh, Some(&session));

    auth.rename_shop(&principal, DisplayName::parse("Kiosk").unwrap(), &here).await.unwrap();
    assert_row(&log.next().await, "user.shop_renamed", "succeeded", &by_login, None);

    let made = make_key(auth, &principal, &[Permission::FullAccess]).await;
    let id = made.details.id;
    let row = log.next().await;
    assert_row(&row, "api_key.created", "succeeded", &by_login, Some(&id.to_string()));
    assert_eq!((row.ip.as_str(), row.user_id), ("192.0.2.7", Some(alice.0)));

    let key = principal_of(auth, made.key.expose()).await;
    let by_key = format!("api_key:{id}");
    let child = make_key(auth, &key, &[Permission::Read]).await.details.id.to_string();
    assert_row(&log.next().await, "api_key.created", "succeeded", &by_key, Some(&child));

    let rename = ApiKeyChange { name: Some(DisplayName::parse("till 2").unwrap()), permissions: None };
    auth.change_api_key(&principal, id, rename, &here).await.unwrap();
    assert_row(&log.next().await, "api_key.changed", "succeeded", &by_login, Some(&id.to_string()));

    let rotated = auth.rotate_api_key(&key, id, HOUR, &here).await.unwrap().details.id;
    let row = log.next().await;
    assert_row(&row, "api_key.rotated", "succeeded", &by_key, Some(&id.to_string()));
    assert_eq!(row.detail, Some(format!("successor {rotated}")));

    auth.revoke_api_key(&principal, id, &here).await.unwrap();
    assert_row(&log.next().await, "api_key.revoked", "succeeded", &by_login, Some(&id.to_string()));

    let change = |current: &str| ChangePasswordCommand {
        current_password: SecretString::from(current),
        new_password: SecretString::from(OTHER_PASSWORD),
    };
    rejection(auth.change_password(&principal, change("wrong"), &here).await);
    assert_row(&log.next().await, "user.password_changed", "refused", &by_login, None);
    auth.change_password(&principal, change(PASSWORD), &here).await.unwrap();
    assert_row(&log.next().await, "user.password_changed", "succeeded", &by_login, None);

    let other = auth.login(login_command("alice", OTHER_PASSWORD), &here).await.unwrap();
    log.next().await;
    let other = principal_of(auth, other.access.expose()).await.session().unwrap();
    auth.end_session(&principal, other, &here).await.unwrap();
    assert_row(&log.next().await, "session.ended", "succeeded", &by_login, Some(&other.to_string()));
    auth.end_other_sessions(&principal, &here).await.unwrap();
    assert_row(&log.next().await, "session.others_ended", "succeeded", &by_login, None);

    // The successor was used; after the grace the spent token is theft.
    principal_of(auth, pair.access.expose()).await;
    test.clock.advance(HOUR);
    rejection(auth.refresh(login.refresh.expose(), &here).await);
    let row = log.next().await;
    assert_row(&row, "session.ended_by_breach", "refused", &by_refresh, Some(&session));
    assert_eq!((row.ip.as_str(), row.user_id), ("2001:db8::7", Some(alice.0)));
    // What is over is refused without another row.
    rejection(auth.refresh(login.refresh.expose(), &here).await);

    let login = auth.login(login_command("alice", OTHER_PASSWORD), &here).await.unwrap();
    log.next().await;
    let principal = principal_of(auth, login.access.expose()).await;
    auth.logout(&principal, &here).await.unwrap();
    let session = principal.session().unwrap().to_string();
    let by_login = format!("access_token:{session}");
    assert_row(&log.next().await, "session.logged_out", "succeeded", &by_login, Some(&session));

    let name = Username::parse("alice").unwrap();
    auth.set_account_state(&name, AccountState::Disabled).await.unwrap();
    let row = log.next().await;
    assert_row(&row, "user.disabled", "succeeded", "operator", None);
    assert_eq!(row.user_id, Some(alice.0));
    auth.set_account_state(&name, AccountState::Enabled).await.unwrap();
    assert_row(&log.next().await, "user.enabled", "succeeded", "operator", None);
    auth.revoke_any_api_key(rotated).await.unwrap();
    // It had been revoked along with its maker: nothing happened, and nothing is recorded.
    assert_eq!(audit_of(&test, None).await.len(), log.seen);
}

async fn typed_text(backend: Backend) {
    let test = TestAuth::start(backend).await;
    for typed in [PASSWORD, "Nobody-Knows-Me", "nobody@example.com", "x\0y"] {
        rejection(test.auth.login(login_command(typed, OTHER_PASSWORD), &context()).await);
        // The same name is recognised again, in any case.
        rejection(test.auth.login(login_command(&typed.to_uppercase(), PASSWORD), &context()).await);
    }
    let rows = audit_of(&test, None).await;
    assert_eq!(rows.len(), 8);
    for pair in rows.chunks(2) {
        let detail = pair[0].detail.as_deref().unwrap();
        assert!(detail.starts_with("unknown name "), "{detail}");
        assert_eq!(pair[0].detail, pair[1].detail);
        assert_eq!((pair[0].user_id, pair[0].subject.as_deref()), (None, None));
    }
    let kept = format!("{rows:?}").to_lowercase();
    for typed in [PASSWORD, OTHER_PASSWORD, "nobody"] {
        assert!(!kept.contains(&typed.to_lowercase()));
    }
    assert_ne!(rows[0].detail, rows[2].detail);
}

async fn known_name(backend: Backend) {
    let test = TestAuth::start(backend).await;
    let alice = test.register("alice").await;
    rejection(test.auth.login(login_command("ALICE", OTHER_PASSWORD), &context()).await);
    let rows = audit_of(&test, Some(alice.id)).await;
    let row = rows.last().unwrap();
    assert_row(row, "login", "refused", "anonymous", None);
    assert_eq!((row.user_id, row.detail.as_deref(), row.ip.as_str()), (Some(alice.id.0), None, "192.0.2.7"));
    assert_eq!((row.request_id.as_str(), row.user_agent.as_deref()), ("test-request", Some("test/1.0")));
}
