//! `cryptopay encryption-key`: works on the key file, which a running server reads again when it changes.

use anyhow::bail;
use cryptopay_auth::{EncryptionKeySource, EncryptionRing};
use ring::rand::SystemRandom;

use crate::cli::{self, EncryptionKeyCommand};
use crate::options::Options;
use crate::settings::Settings;
use crate::{start, telemetry, webhooks};

/// Rotates or lists encryption keys, or seals anew what older ones sealed.
pub(crate) fn run(options: &Options, command: &EncryptionKeyCommand) -> anyhow::Result<()> {
    telemetry::for_command();
    let source = Settings::from_options(options)?.keys.encryption;
    match command {
        EncryptionKeyCommand::List => match source.find()? {
            Some(ring) => cli::print(&table(&ring)),
            None => bail!("there is no encryption key yet; the first start makes one"),
        },
        EncryptionKeyCommand::Rotate => {
            let EncryptionKeySource::File(file) = source else {
                bail!(
                    "the encryption keys come from CRYPTOPAY_ENCRYPTION_KEYS: change them there. Put a new key \
                     second, restart every replica, then put it first and restart again; keep the old one"
                )
            };
            start::make_data_dir(&options.data_dir)?;
            let random = SystemRandom::new();
            file.load_or_create(&random)?;
            let id = file.rotate(&random)?;
            cli::print(&format!("{id} seals from now on; what the keys before it sealed still opens"))
        }
        EncryptionKeyCommand::Reseal => {
            let (resealed, active) = start::with_auth(options, async |auth| {
                let resealed = webhooks::payments(options, &auth)?.reseal_secrets().await?;
                Ok((resealed, auth.encryption().active().id().clone()))
            })?;
            cli::print(&format!("sealed anew with {active}: {}", resealed.sealed_anew))?;
            match resealed.unreadable {
                0 => Ok(()),
                unreadable => bail!(
                    "unreadable with these keys: {unreadable}. The warnings above name the webhook endpoints; their \
                     merchants have to rotate the secrets"
                ),
            }
        }
    }
}

fn table(ring: &EncryptionRing) -> String {
    let uses = std::iter::once("seals").chain(std::iter::repeat("opens"));
    let rows = ring.keys().iter().zip(uses).map(|(key, used)| format!("{}  {used}", key.id()));
    rows.collect::<Vec<_>>().join("\n")
}
