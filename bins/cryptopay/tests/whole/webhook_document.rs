//! `docs/webhooks.md`, carried out: its programs receive, and its commands do what it says.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cryptopay_testkit::receivers::merchant_program;
use cryptopay_testkit::{Backend, Server, client, on_both_databases};
use serde_json::{Value, json};

use crate::scripted_receiver::{Behaviour, ScriptedReceiver};
use crate::shop::{self, create_endpoint, create_order, settled_deliveries, text};

/// How long a program may take to say something.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_program_takes_what_is_genuine_and_nothing_else() {
    let server = shop::installation(Backend::Sqlite).await.serve().await;
    let key = shop::open(&server, "alice").await;
    for name in ["express.js", "standard.js", "standard.py", "plain.py"] {
        let url = format!("http://127.0.0.1:{}/webhooks/cryptopay", free_port());
        let endpoint = create_endpoint(&server, &key, &url).await;
        let program = Program::start(name, &url, &endpoint.secret);
        create_order(&server, &key).await;
        let delivery = settled_deliveries(&server, &key, &endpoint).await.remove(0);
        assert_eq!(delivery["status"], "succeeded", "{name}: {delivery}");
        assert_eq!(
            program.says(),
            format!("payment_order.created {}", text(&delivery["event_id"])),
            "{name}"
        );

        let forged = client()
            .post(&url)
            .header("X-Webhook-Signature", "0".repeat(64))
            .header("webhook-id", "forged")
            .header("webhook-timestamp", "1700000000")
            .header("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .json(&json!({"id": "forged", "type": "payment_order.paid"}));
        assert_eq!(forged.send().await.unwrap().status().as_u16(), 401, "{name}");
        let path = format!("/api/webhooks/{}", endpoint.id);
        assert_eq!(server.send("DELETE", &path, &key, None).await.verdict(), "200");
    }
}

on_both_databases! {
    every_command_works_as_it_is_printed => every_command;
}

async fn every_command(backend: Backend) {
    let server = shop::installation(backend).await.serve().await;
    let key = shop::open(&server, "alice").await;
    let receiver = ScriptedReceiver::start(Behaviour::Answer(200)).await;
    let mut document =
        Walk { server: &server, commands: commands(), known: vec![("YOUR_API_KEY", key.clone())] };
    let port = receiver.address().port();
    document.known.push(("http://127.0.0.1:3000", format!("http://127.0.0.1:{port}")));

    let created = document.run("POST /api/webhooks", 201);
    let endpoint = shop::Endpoint { id: text(&created["id"]), secret: text(&created["secret"]) };
    document.known.push(("ENDPOINT_ID", endpoint.id.clone()));
    let order = document.run("POST /api/payment-orders", 201);
    document.known.push(("ORDER_ID", text(&order["id"])));
    assert_eq!(document.run("POST /api/payment-orders/ORDER_ID/simulate", 200)["status"], "paid");
    let deliveries = settled_deliveries(&server, &key, &endpoint).await;
    assert_eq!(receiver.received().len(), 2);
    document.known.push(("DELIVERY_ID", text(&deliveries[0]["id"])));

    assert_eq!(document.run("PATCH /api/webhooks/ENDPOINT_ID", 200)["status"], "enabled");
    let log = document.run("GET /api/webhooks/ENDPOINT_ID/deliveries", 200);
    assert_eq!(log["results"], json!(deliveries));
    let resent = document.run("POST /api/webhooks/ENDPOINT_ID/deliveries/DELIVERY_ID/resend", 202);
    assert_eq!(resent["event_type"], "payment_order.paid");
    assert_eq!(document.run("POST /api/webhooks/ENDPOINT_ID/test", 202)["event_type"], "webhook.test");
    settled_deliveries(&server, &key, &endpoint).await;
    assert_eq!(receiver.received().len(), 4);
    let rotated = document.run("POST /api/webhooks/ENDPOINT_ID/rotate-secret", 200);
    assert_ne!(text(&rotated["secret"]), endpoint.secret);
    let diagnosis = document.run("POST /api/webhooks/ENDPOINT_ID/deliveries/DELIVERY_ID/diagnose", 200);
    assert_eq!(diagnosis["verdict"], "not_a_signature", "{diagnosis}");
    let refused = document.run("GET /api/payment-orders", 429);
    assert_eq!(refused["error"]["code"], "RATE_LIMITED");
    assert!(document.commands.is_empty(), "commands that nobody tries: {:#?}", document.commands);
}

/// The document's commands, carried out one after the other.
struct Walk<'a> {
    server: &'a Server,
    commands: Vec<String>,
    /// What stands for what.
    known: Vec<(&'static str, String)>,
}

impl Walk<'_> {
    /// Carries out the next command, which has to be the one that is expected.
    fn run(&mut self, expected: &str, status: u16) -> Value {
        let command = self.commands.remove(0);
        let (method, path) = expected.split_once(' ').unwrap();
        let first = command.lines().next().unwrap().trim_end_matches(" \\");
        assert!(first.ends_with(&format!("http://127.0.0.1:8080{path}")), "{command}");
        assert!(method == "GET" || first.contains(&format!("-X {method} ")), "{command}");

        let server = format!("http://{}", self.server.address());
        let mut command = command.replace("http://127.0.0.1:8080", &server);
        for (placeholder, value) in &self.known {
            command = command.replace(placeholder, value);
        }
        let command = command.replacen("curl ", "curl -sS --noproxy '*' -w '\\n%{http_code}' ", 1);
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (body, answered) = answer.rsplit_once('\n').unwrap();
        assert_eq!(answered, status.to_string(), "{command}: {body}");
        serde_json::from_str(body).unwrap()
    }
}

/// The `sh` blocks of the document.
fn commands() -> Vec<String> {
    let document = std::fs::read_to_string(documents().join("webhooks.md")).unwrap();
    let blocks = document.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A program of the document, killed when it is dropped.
struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Program {
    fn start(name: &str, url: &str, secret: &str) -> Self {
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
        let mut command = merchant_program(&documents().join("examples").join(name));
        command.env("PORT", port).env("WEBHOOK_SECRET", secret).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program runs; `just setup` installs what it needs");
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let program = Self { child, lines };
        assert_eq!(program.says(), "listening", "{name}");
        program
    }

    fn says(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
