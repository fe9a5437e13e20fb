//! The `curl` commands that merchants read, sent by `curl` itself.

use std::process::Command;

use cryptopay_testkit::{Backend, Installation, Server, on_both_databases};
use serde_json::Value;

use crate::PROGRAM;

const REGISTER: &str = r#"curl -X POST /api/auth/register \
-H "Content-Type: application/json" \
-d '{
"username": "your-username",
"email": "your-email@example.com",
"password": "your-secure-password",
"shop_name": "Your Business Name"
}'"#;
const LOGIN: &str = r#"curl -X POST /api/auth/login \
-H "Content-Type: application/json" \
-d '{
"username": "your-username",
"password": "your-password"
}'"#;
const LIST_ORDERS: &str = r#"curl -X GET /api/payment-orders/ \
-H "Authorization: Bearer YOUR_ACCESS_TOKEN" \
-H "Content-Type: application/json""#;
const REFRESH: &str = r#"curl -X POST /api/auth/token/refresh/ \
-H "Content-Type: application/json" \
-d '{
"refresh": "your-refresh-token"
}'"#;
const VERIFY: &str = r#"# Test API key validity
curl -X GET /api/auth/verify/ \
-H "Authorization: Bearer YOUR_API_KEY""#;

on_both_databases! {
    every_curl_example_works_as_it_is_printed => every_example;
}

async fn every_example(backend: Backend) {
    let server = Installation::new(PROGRAM, backend).await.serve().await;

    let (status, registered) = curl(&server, REGISTER);
    assert_eq!(status, 201, "{registered}");
    assert_eq!(registered["user"]["shop_name"], "Your Business Name");

    // The page logs in with another password than it registers with: an illustration.
    let (status, refused) = curl(&server, LOGIN);
    assert_eq!((status, refused["error"]["code"].as_str()), (401, Some("INVALID_CREDENTIALS")));
    let (status, login) = curl(&server, &LOGIN.replace("your-password", "your-secure-password"));
    assert_eq!(status, 200, "{login}");
    assert_eq!(login["user"]["username"], "your-username");
    assert_eq!(login["user"]["email"], "your-email@example.com");
    assert_eq!(login["user"]["id"], registered["user"]["id"]);
    let text = |value: &Value| value.as_str().expect("text").to_owned();

    let (status, orders) = curl(&server, &LIST_ORDERS.replace("YOUR_ACCESS_TOKEN", &text(&login["access"])));
    assert_eq!((status, &orders["results"]), (200, &serde_json::json!([])));

    let (status, refreshed) = curl(&server, &REFRESH.replace("your-refresh-token", &text(&login["refresh"])));
    assert_eq!(status, 200, "{refreshed}");
    assert_ne!(refreshed["refresh"], login["refresh"]);

    let access = text(&refreshed["access"]);
    let permissions = ["read", "create_payments"];
    let (_, key) = server.create_api_key(&access, &permissions).await;
    for (credential, kind) in [(&key, "api_key"), (&access, "access_token")] {
        let (status, verified) = curl(&server, &VERIFY.replace("YOUR_API_KEY", credential));
        assert_eq!((status, &verified["valid"]), (200, &Value::Bool(true)));
        assert_eq!(verified["user"]["username"], "your-username");
        assert_eq!(verified["credential"]["type"], kind);
    }
    let (_, verified) = curl(&server, &VERIFY.replace("YOUR_API_KEY", &key));
    assert_eq!(verified["user"]["permissions"], serde_json::json!(permissions));

    // As they stand, with their placeholders.
    for (example, expected) in [(LIST_ORDERS, 401), (REFRESH, 401), (VERIFY, 401), (REGISTER, 409)] {
        let (status, answer) = curl(&server, example);
        assert_eq!(status, expected, "{answer}");
    }
}

/// Runs an example in a shell, with the base URL put before its path: status and JSON.
fn curl(server: &Server, example: &str) -> (u16, Value) {
    let base = format!(" http://{}/api/", server.address());
    let command = example.replacen("curl ", "curl -sS --noproxy '*' -w '\\n%{http_code}' ", 1);
    let command = command.replacen(" /api/", &base, 1);
    let output = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    let (body, status) = text.rsplit_once('\n').expect("body and status");
    (status.parse().expect("a status"), serde_json::from_str(body).expect("JSON"))
}
