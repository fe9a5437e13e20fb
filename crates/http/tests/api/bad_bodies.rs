//! Bodies that are no JSON object, or not declared to be one, at every route that takes one: the exact
//! answer, and nothing written.

use cryptopay_testkit::{Backend, on_both_databases};

use crate::scene::Scene;

on_both_databases! {
    what_is_no_json_object_is_refused_at_every_route => no_json;
    a_content_type_is_needed_where_there_is_a_body => content_types;
}

async fn no_json(backend: Backend) {
    let scene = Scene::set(backend).await;
    let deep =
        |open: &str, close: &str| format!(r#"{{"x": {}{}}}"#, open.repeat(10_000), close.repeat(10_000));
    for route in &scene.routes {
        let good = route.good.to_string();
        let bodies: Vec<Vec<u8>> = vec![
            b" ".to_vec(),
            b"null".to_vec(),
            b"[]".to_vec(),
            format!("[{good}]").into_bytes(),
            b"\"text\"".to_vec(),
            b"12".to_vec(),
            b"true".to_vec(),
            b"{".to_vec(),
            b"username=alice".to_vec(),
            format!("{good}x").into_bytes(),
            format!("{good}{good}").into_bytes(),
            format!("{good}\0").into_bytes(),
            good.as_bytes()[..good.len() - 1].to_vec(),
            [b"\xef\xbb\xbf", good.as_bytes()].concat(),
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            b"{\"x\": \"\xff\"}".to_vec(),
            b"{\"x\": \"\xed\xa0\x80\"}".to_vec(),
            br#"{"x": "\ud800"}"#.to_vec(),
            br#"{"\udc00": 1}"#.to_vec(),
            b"{\"x\": \"\n\"}".to_vec(),
            b"{\"x\": NaN}".to_vec(),
            b"{\"x\": 01}".to_vec(),
            b"{'x': 1}".to_vec(),
            b"{\"x\": 1,}".to_vec(),
            b"{\"x\": 1 /* y */}".to_vec(),
            deep("[", "]").into_bytes(),
            deep("{\"x\":", "}").into_bytes(),
            "[".repeat(60_000).into_bytes(),
        ];
        for body in bodies {
            scene.refuse(route, body, "400 INVALID_JSON", &[]).await;
        }
        if !route.required.is_empty() {
            scene.refuse(route, "", "400 INVALID_JSON", &[]).await;
        }
    }
}

async fn content_types(backend: Backend) {
    let scene = Scene::set(backend).await;
    let wrong = [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonp",
        "",
        "*/*",
        "application/json, text/plain",
    ];
    for route in &scene.routes {
        let call = || scene.app.call(route.method, &route.path).bearer(&scene.access);
        let body = route.good.to_string();
        let before = scene.traces().await;
        for content_type in wrong {
            let answer = call().header("content-type", content_type).body(body.clone()).send().await;
            assert_eq!(answer.verdict(), "415 UNSUPPORTED_MEDIA_TYPE", "{} {content_type}", route.path);
        }
        assert_eq!(call().body(body.clone()).send().await.verdict(), "415 UNSUPPORTED_MEDIA_TYPE");
        let twice = call().json(&route.good).header("content-type", "text/plain");
        assert_eq!(twice.send().await.verdict(), "415 UNSUPPORTED_MEDIA_TYPE");
        let packed = call().json(&route.good).header("content-encoding", "gzip");
        assert_eq!(packed.send().await.verdict(), "415 UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(scene.traces().await, before, "{}", route.path);
    }
    for content_type in
        ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
    {
        let call = scene.app.call("PATCH", "/api/auth/me").bearer(&scene.access);
        let answer = call.header("content-type", content_type).body(r#"{"shop_name": "S"}"#).send().await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    // The reference page's clients declare a body that they do not send.
    for (method, path) in
        [("GET", "/api/auth/me"), ("GET", "/api/payment-orders/"), ("DELETE", "/api/auth/sessions")]
    {
        for content_type in ["application/json", "text/plain", "nonsense"] {
            let call = scene.app.call(method, path).bearer(&scene.access);
            assert_eq!(call.header("content-type", content_type).send().await.status, 200, "{method} {path}");
        }
        let call = scene.app.call(method, path).bearer(&scene.access).body("x");
        assert_eq!(call.send().await.verdict(), "415 UNSUPPORTED_MEDIA_TYPE", "{method} {path}");
    }
}
