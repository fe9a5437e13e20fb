//! Fields that are wrong in every way a field can be wrong, at every route that takes a body: the exact
//! answer, and nothing written.

use cryptopay_testkit::{Backend, on_both_databases};
use serde_json::{Value, json};

use crate::scene::Scene;

on_both_databases! {
    every_field_is_strict_at_every_route => fields;
    values_out_of_their_rules_name_their_field => values;
}

async fn fields(backend: Backend) {
    let scene = Scene::set(backend).await;
    for route in &scene.routes {
        let invalid = "400 VALIDATION_ERROR";
        let with = |name: &str, value: &str| {
            let mut fields: Vec<String> = route
                .good
                .as_object()
                .unwrap()
                .iter()
                .filter(|(other, _)| *other != name)
                .map(|(name, value)| format!("\"{name}\": {value}"))
                .collect();
            fields.push(format!("\"{name}\": {value}"));
            format!("{{{}}}", fields.join(", "))
        };
        for name in ["unknown", "Username", "expire_at", "__proto__", ""] {
            scene.refuse(route, with(name, "1"), invalid, &[name]).await;
        }
        scene.refuse(route, with("unknown", "1e999"), invalid, &["unknown"]).await;
        for required in route.required {
            let mut body = route.good.clone();
            body.as_object_mut().unwrap().remove(*required);
            scene.refuse(route, body.to_string(), invalid, &[required]).await;
        }
        for name in route.required.iter().chain(route.optional) {
            let twice = format!("{},\"{name}\": {}}}", with(name, "\"x\"").trim_end_matches('}'), "\"x\"");
            scene.refuse(route, twice, invalid, &[name]).await;
            for wrong in
                ["{\"x\": 1}", "true", "1e999", "-1", "0.5", "123456789012345678901234567890", "[[]]", "[1]"]
            {
                scene.refuse(route, with(name, wrong), invalid, &[name]).await;
            }
            if *name != "metadata" {
                scene.refuse(route, with(name, "{}"), invalid, &[name]).await;
            }
            if !["expires_at", "description", "metadata"].contains(name) {
                scene.refuse(route, with(name, "null"), invalid, &[name]).await;
            }
        }
        if !route.required.is_empty() {
            let mut all: Vec<&str> = route.required.to_vec();
            all.sort_unstable();
            scene.refuse(route, "{}", invalid, &all).await;
        }
    }
}

async fn values(backend: Backend) {
    let scene = Scene::set(backend).await;
    for route in scene.routes.iter().filter(|route| route.path != "/api/auth/login") {
        for name in route.required.iter().chain(route.optional) {
            for bad in bad_values(name) {
                let mut body = route.good.clone();
                body[*name] = bad;
                let (audited, before) = scene.traces().await;
                let call = scene.app.call(route.method, &route.path).bearer(&scene.access);
                let answer = call.json(&body).send().await;
                let what = format!("{} {body}", route.path);
                assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{what}");
                assert_eq!(answer.fields(), [*name], "{what}");
                // A wrong present password is an event of its own; nothing else is.
                let noted = usize::from(*name == "current_password");
                assert_eq!(scene.traces().await, (audited + noted, before), "{what}");
            }
        }
    }
}

/// Values of the right type that break the rules of the field.
fn bad_values(name: &str) -> Vec<Value> {
    let long = "x".repeat(501);
    let texts: &[&str] = match name {
        "username" => &["", "ab", "with blank", "nul\0", "\u{e4}\u{e4}\u{e4}", &long, "a/b"],
        "email" => &["", "x", "@", "a@", "a@b@c", "nul\0@example.com", &long, "a b@example.com"],
        "password" | "new_password" => &["", "short", "password", "12345678", "alice123", &long],
        "shop_name" | "name" => &["", "   ", "nul\0", "line\nbreak", &long],
        "current_password" => &["", "wrong", "nul\0", &long],
        "expires_at" => &[
            "",
            "tomorrow",
            "2020-01-01T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-01",
            "-1",
            "2030-01-01T00:00:00",
        ],
        "amount" => &[
            "",
            "0",
            "0.00",
            "-1",
            "+1",
            "1e3",
            "1E3",
            "1,000",
            "1_000",
            "01",
            "1.",
            ".5",
            " 1",
            "1 ",
            "1\n",
            "0x10",
            "NaN",
            "Infinity",
            "\u{661}",
            "1234567890123456789",
            "1.1234567890123456789",
            "1.2.3",
            "1\0",
        ],
        "currency" => &["", "usd", "Usd", "US", "USDD", "XXX", "XTS", "XAU", "DOGE", "U\0D", "USD "],
        "description" => &["nul\0", &long],
        "status" => &["", "pending", "Paid", "PAID", "deleted", "enable", "paid\0"],
        "signature" => &[&long],
        "url" => &["", "x", "nul\0", "/hook", "shop.example", "http://shop.example/", &long],
        "metadata" => return bad_metadata(),
        "events" => {
            return vec![
                json!([]),
                json!(["payment_order.refunded"]),
                json!(["payment_order.paid", "*"]),
                json!(["*", "*"]),
                json!(["PAYMENT_ORDER.PAID"]),
                json!(["payment_order.paid\0"]),
                json!([""]),
                json!([null]),
                json!("*"),
            ];
        }
        _ => &[],
    };
    texts.iter().map(|text| Value::from(*text)).collect()
}

fn bad_metadata() -> Vec<Value> {
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    vec![
        Value::Object(many),
        json!({"k": {"nested": "v"}}),
        json!({"k": ["v"]}),
        json!({"k": null}),
        json!({"k": 1}),
        json!({"k": true}),
        json!({"k": "nul\0"}),
        json!({"k\0": "v"}),
        json!({"k".repeat(101): "v"}),
        json!({"k": "v".repeat(1001)}),
        json!([["k", "v"]]),
        json!("k=v"),
    ]
}
