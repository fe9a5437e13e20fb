//! Logins, against scrypt alone on the same core, RustCrypto's and OpenSSL's; and the memory they take.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scrypt::Params;

use crate::bench::{Bench, progress};
use crate::comparison::Comparison;
use crate::http_client::Connection;
use crate::load::{exhaust, sustain};
use crate::machine;
use crate::merchant::{LoginClient, PASSWORD, register};
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

/// Logins in flight while their rate is measured: enough that the hasher never waits for one.
const IN_FLIGHT: u8 = 4;
/// Logins that wait while memory is measured.
pub(crate) const WAITING: u8 = 64;
const BAR: f64 = 0.9;
const OPENSSL_BAR: f64 = 1.0;
const MEBIBYTE: u64 = 1 << 20;
/// One hash at a time on one core.
const PERMITS: u64 = 1;
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    register(&mut Connection::open(server.address).await?, "merchant").await?;

    let openssl_is_here = OpenSsl::find();
    let (mut comparison, mut openssl) = (Comparison::default(), Vec::new());
    for pair in 0..bench.pairs() {
        let clients = LoginClient::crowd(IN_FLIGHT, server.address, "merchant", None).await?;
        let (sample, clients) = sustain(clients, &server.tree(), WARM_UP, 2 * bench.span()).await?;
        ensure!(clients.iter().all(|client| client.refused == 0), "logins were refused");
        comparison.ours.push(sample);
        comparison.theirs.push(scrypt_alone(bench.span()).await?);
        if let Some(program) = openssl_is_here {
            openssl.push(program.scrypt()?);
        }
        progress(format_args!(
            "pair {}: login {}; scrypt alone {:.1?}; OpenSSL's {:.1?}",
            pair + 1,
            Comparison::describe(&comparison.ours[pair..]),
            comparison.theirs[pair].wall / u32::try_from(comparison.theirs[pair].requests)?,
            openssl.last(),
        ));
    }
    drop(server);
    Ok(vec![
        beside_scrypt(&comparison),
        beside_openssl(&comparison, openssl_is_here, &openssl),
        peak(bench).await?,
    ])
}

fn beside_scrypt(comparison: &Comparison) -> Row {
    let (ratio, decided_by) = comparison.ratio();
    Row {
        what: "login".to_owned(),
        measured: describe(&comparison.ours),
        beside: format!("scrypt alone: {}", describe(&comparison.theirs)),
        verdict: format!("{ratio:.2} of scrypt alone"),
        bar: format!("≥ {BAR:.1}"),
        decided_by: decided_by.to_string(),
        passed: Some(ratio >= BAR),
    }
}

fn beside_openssl(comparison: &Comparison, program: Option<OpenSsl>, spans: &[Duration]) -> Row {
    // OpenSSL tells no processor time of its own, so both count what a login and a hash took of the core.
    let pairs = comparison.ours.iter().zip(spans);
    let ratio = median(pairs.map(|(ours, openssl)| openssl.as_secs_f64() * 1e6 / ours.micros_per_request()));
    let millis = median(spans.iter().map(|span| span.as_secs_f64() * 1e3));
    Row {
        what: "login, against OpenSSL".to_owned(),
        measured: describe(&comparison.ours),
        beside: match program {
            Some(program) => format!("OpenSSL's scrypt ({program:?}): {millis:.1} ms"),
            None => "OpenSSL's scrypt is not on this machine".to_owned(),
        },
        verdict: if program.is_some() { format!("{ratio:.2} of OpenSSL's") } else { "–".to_owned() },
        bar: format!("≥ {OPENSSL_BAR:.1}"),
        decided_by: "processor time".to_owned(),
        passed: program.map(|_| ratio >= OPENSSL_BAR),
    }
}

/// The most memory a server ever had while many logins waited.
async fn peak(bench: &Bench) -> Result<Row> {
    progress(format_args!("{WAITING} logins at once"));
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    register(&mut Connection::open(server.address).await?, "merchant").await?;
    let clients = LoginClient::crowd(WAITING, server.address, "merchant", Some(1)).await?;
    let sample = exhaust(clients, &server.tree()).await?;
    let peak = server.memory()?.peak.div_ceil(MEBIBYTE);
    let bar = 128 * PERMITS + 64;
    Ok(Row {
        what: format!("peak memory with {WAITING} logins waiting, {PERMITS} permit"),
        measured: format!("{peak} MiB"),
        beside: format!("all answered within {:.1?}", sample.wall),
        verdict: format!("{peak} MiB"),
        bar: format!("≤ {bar} MiB"),
        decided_by: "`VmHWM`".to_owned(),
        passed: Some(peak <= bar),
    })
}

fn describe(samples: &[Sample]) -> String {
    format!(
        "{:.2}/s, {:.1} ms, {:.0} % busy",
        median(samples.iter().map(Sample::per_second)),
        median(samples.iter().map(Sample::micros_per_request)) / 1e3,
        100.0 * median(samples.iter().map(Sample::busy)),
    )
}

/// The server's scrypt with the server's allocator, on the server's core, and nothing else.
async fn scrypt_alone(span: Duration) -> Result<Sample> {
    let hash = move || {
        machine::pin_this_thread(machine::SERVER_CORE)?;
        let parameters = Params::new(17, 8, 1).ok().context("no cost of scrypt")?;
        let processor = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
        };
        let (began, processor_before) = (Instant::now(), processor());
        let (mut requests, mut hash) = (0, [0; 32]);
        while began.elapsed() < span {
            scrypt::scrypt(PASSWORD.as_bytes(), b"0123456789abcdef", &parameters, &mut hash).ok();
            std::hint::black_box(&mut hash);
            requests += 1;
        }
        Ok(Sample { requests, wall: began.elapsed(), processor: processor() - processor_before })
    };
    // A thread of its own, so that no other work inherits the core.
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(hash()));
    told.await?
}

/// Where OpenSSL's scrypt is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenSsl {
    /// Python's `hashlib.scrypt`.
    Python,
    /// `openssl kdf`, the start of the program included.
    Program,
}

impl OpenSsl {
    fn find() -> Option<Self> {
        [Self::Python, Self::Program].into_iter().find(|program| program.scrypt().is_ok())
    }

    /// The time of one hash on the server's core.
    fn scrypt(self) -> Result<Duration> {
        const SCRIPT: &str = "
import hashlib, time
def hash(): hashlib.scrypt(b'violet-Tractor-91-moss', salt=b'0123456789abcdef', n=1 << 17, r=8, p=1, maxmem=1 << 28, dklen=32)
hash()
began = time.process_time()
for _ in range(8): hash()
print((time.process_time() - began) / 8)";
        const KDF: &str = "kdf -keylen 32 -kdfopt pass:violet-Tractor-91-moss -kdfopt salt:0123456789abcdef \
             -kdfopt n:131072 -kdfopt r:8 -kdfopt p:1 -kdfopt maxmem_bytes:268435456 SCRYPT";
        let mut command = match self {
            Self::Python => Command::new("python3"),
            Self::Program => Command::new("openssl"),
        };
        match self {
            Self::Python => command.args(["-c", SCRIPT]),
            Self::Program => command.args(KDF.split_whitespace()),
        };
        let began = Instant::now();
        let output = machine::on_server_core(|| Ok(command.output()?))?;
        ensure!(output.status.success(), "OpenSSL's scrypt failed");
        match self {
            Self::Program => Ok(began.elapsed()),
            Self::Python => {
                Ok(Duration::try_from_secs_f64(String::from_utf8(output.stdout)?.trim().parse()?)?)
            }
        }
    }
}
