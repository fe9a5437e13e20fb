//! Chromium, driven by the programs in `tests/browser`; `scripts/setup` installs what they need.

use std::process::{Command, Stdio};

use crate::receivers::{installed, root};
use crate::server::Server;

/// Runs one of the programs against a server. It ends by itself, with every process that it started. The secrets that it
/// names are looked for in the server's log.
///
/// # Panics
/// When anything is not as the program expects it.
pub async fn browse(program: &str, server: &Server, arguments: &[&str]) {
    // Receivers, too: some flows start the programs that the pages show.
    let libraries = |of: &str| installed().join(of).join("node_modules");
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/browser").join(program))
        .arg(format!("http://{}", server.address()))
        .args(arguments)
        .env("NODE_PATH", format!("{}:{}", libraries("browser").display(), libraries("receivers").display()))
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it is waited for");
    let output = output.expect("the browser runs; `just setup` installs what it needs");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .filter_map(|line| line.strip_prefix("secret "))
        .for_each(|secret| server.keep_secret(secret));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}{complaint}");
}
