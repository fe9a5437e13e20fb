//! `cryptopay signing-key`: works on the key file, which a running server reads again when it changes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cryptopay_auth::{Clock as _, KeyFile, KeyListing, KeyRing, KeySource, SystemClock};
use ring::rand::SystemRandom;

use crate::cli::{self, SigningKeyCommand};
use crate::options::Options;
use crate::settings::Settings;
use crate::{start, telemetry};

/// A key is published for as long as a copy of the key document may be kept, before it signs.
const NOTICE: Duration = Duration::from_secs(300);

/// Rotates, withdraws or lists signing keys.
pub(crate) fn run(options: &Options, command: &SigningKeyCommand) -> anyhow::Result<()> {
    telemetry::for_command();
    let settings = Settings::from_options(options)?;
    let (clock, random) = (SystemClock, SystemRandom::new());
    match command {
        SigningKeyCommand::List => {
            let ring = match &settings.keys.signing {
                KeySource::File(file) => file.load(clock.now())?,
                KeySource::Fixed(ring) => ring.clone(),
            };
            cli::print(&table(&ring))
        }
        SigningKeyCommand::Rotate => {
            start::make_data_dir(&options.data_dir)?;
            let file = key_file(&settings)?;
            // A retired key still authenticates refresh tokens for as long as these live.
            let keep = settings.auth.refresh.ttl.max(settings.auth.access_ttl);
            file.load_or_create(clock.now(), &random)?;
            let kid = file.rotate(NOTICE, keep, clock.now(), &random)?;
            cli::print(&format!("{kid} is published now and signs in {} seconds", NOTICE.as_secs()))
        }
        SigningKeyCommand::Revoke { kid } => {
            let active = key_file(&settings)?.revoke(kid, clock.now(), &random)?;
            start::runtime()?
                .block_on(replace_recorded(&settings, &options.data_dir, kid, active.as_str()))
                .with_context(|| {
                    format!(
                        "{kid} is withdrawn, and {active} is active; but the database could not be told, so \
                         that the next start needs --accept-signing-key-change"
                    )
                })?;
            cli::print(&format!("{kid} is withdrawn; {active} is active"))
        }
    }
}

fn key_file(settings: &Settings) -> anyhow::Result<&KeyFile> {
    match &settings.keys.signing {
        KeySource::File(file) => Ok(file),
        KeySource::Fixed(_) => bail!(
            "the signing keys come from CRYPTOPAY_SIGNING_KEYS: change them there. Put a new key second, restart \
             every replica, then put it first and restart again; drop a retired key after CRYPTOPAY_REFRESH_TTL"
        ),
    }
}

/// The database remembers which key is active, and a server refuses to start on one it does not hold: so a
/// withdrawn key must not stay there. A running server may have seen to it already.
async fn replace_recorded(
    settings: &Settings,
    data_dir: &Path,
    withdrawn: &str,
    active: &str,
) -> anyhow::Result<()> {
    let store = start::open_store(settings, data_dir).await?;
    let recorded = store.find_installation().await?;
    if recorded.is_some_and(|installation| installation.signing_key == withdrawn) {
        store.set_signing_key(active.to_owned()).await?;
    }
    Ok(())
}

fn table(ring: &KeyRing) -> String {
    let row = |key: KeyListing| {
        let moment = match (key.activates_at, key.retired_at) {
            (_, Some(retired)) => format!("since {retired}"),
            (Some(activates), None) => format!("from {activates}"),
            (None, None) => String::new(),
        };
        format!("{}  {:<8}  {moment}", key.kid, key.status.as_str()).trim_end().to_owned()
    };
    ring.list(SystemClock.now()).into_iter().map(row).collect::<Vec<_>>().join("\n")
}
