//! Real proxies with the configurations that are shipped; only addresses and certificates are replaced.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cryptopay_testkit::eventually;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// A user without any rights: whoever runs the tests as root runs the proxies as this one.
const NOBODY: u32 = 65_534;

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    Nginx,
    Caddy,
}

/// A running proxy, ended when it is dropped.
pub(crate) struct Proxy {
    child: Child,
    service: SocketAddr,
    guarded: SocketAddr,
    directory: TempDir,
}

impl Proxy {
    /// Starts a proxy in front of CryptoPay Auth and of an application.
    pub(crate) async fn start(kind: ProxyKind, verifier: SocketAddr, application: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (service, guarded) = (free_address(), free_address());
        let addresses = Addresses { service, guarded, verifier, application };
        let mut command = match kind {
            ProxyKind::Nginx => nginx(directory.path(), &addresses),
            ProxyKind::Caddy => caddy(directory.path(), &addresses),
        };
        if geteuid().is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        let log = File::create(directory.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().expect("the proxy runs; `just setup` installs it");
        let mut proxy = Self { child, service, guarded, directory };
        eventually("the proxy listens", async || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "the proxy has ended: {}", proxy.log());
            TcpStream::connect(service).is_ok() && TcpStream::connect(guarded).is_ok()
        })
        .await;
        proxy
    }

    /// Where it hands everything on to CryptoPay Auth.
    pub(crate) fn service(&self) -> SocketAddr {
        self.service
    }

    /// Where it guards the application.
    pub(crate) fn guarded(&self) -> SocketAddr {
        self.guarded
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        read("log") + &read("access.log")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not a kill: nginx ends its workers with itself. Fails only for one that has ended.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        drop(self.child.wait());
    }
}

struct Addresses {
    service: SocketAddr,
    guarded: SocketAddr,
    verifier: SocketAddr,
    application: SocketAddr,
}

fn nginx(directory: &Path, addresses: &Addresses) -> Command {
    let sites = [("cryptopay.conf", addresses.service), ("forward-auth.conf", addresses.guarded)];
    let mut included = String::new();
    for (name, address) in sites {
        let shipped = shipped(&format!("nginx/{name}"));
        // Certificates are the one thing that a test cannot have, and IPv6 one that a machine may lack.
        let plain = |line: &&str| !line.contains("ssl_") && !line.contains("[::]");
        let site = shipped.lines().filter(plain).collect::<Vec<_>>().join("\n");
        let site = replace(&site, "listen 443 ssl", &format!("listen {address}"));
        fs::write(directory.join(name), with_backends(&site, addresses)).unwrap();
        included.push_str(&format!("include {};\n", directory.join(name).display()));
    }
    let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", directory.join(kind).display()))
        .concat();
    let main = format!(
        "daemon off;\npid {directory}/pid;\nerror_log stderr info;\nevents {{}}\n\
         http {{\naccess_log {directory}/access.log;\n{scratch}{included}}}\n",
        directory = directory.display()
    );
    fs::write(directory.join("nginx.conf"), main).unwrap();
    // Debian keeps it where only root looks.
    let program = Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.exists());
    let mut command = Command::new(program.unwrap_or_else(|| "nginx".into()));
    command.args(["-e", "stderr", "-c"]).arg(directory.join("nginx.conf"));
    command
}

fn caddy(directory: &Path, addresses: &Addresses) -> Command {
    let sites = shipped("caddy/Caddyfile");
    let sites = replace(&sites, "\nauth.example.com {", &format!("\nhttp://{} {{\nlog", addresses.service));
    let sites = replace(&sites, "\napi.example.com {", &format!("\nhttp://{} {{\nlog", addresses.guarded));
    // Sites are told apart by the name that a client asks for; here each has an address of its own instead.
    let sites = sites.replace("http://127.0.0.1:", "http://:");
    let sites = with_backends(&sites, addresses);
    fs::write(directory.join("Caddyfile"), format!("{{\nadmin off\ndefault_bind 127.0.0.1\n}}\n{sites}"))
        .unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(directory.join("Caddyfile"));
    command.env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory).env("HOME", directory);
    command
}

fn with_backends(site: &str, addresses: &Addresses) -> String {
    let site = site.replace("127.0.0.1:8080", &addresses.verifier.to_string());
    site.replace("127.0.0.1:3000", &addresses.application.to_string())
}

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)).unwrap()
}

fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

/// An address that was free a moment ago; neither proxy can say which one it was given.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
