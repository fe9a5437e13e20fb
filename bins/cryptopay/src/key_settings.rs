//! Keys that are given by configuration, or the files that keep them otherwise.

use anyhow::Context as _;
use cryptopay_auth::{
    EncryptionKey, EncryptionKeyFile, EncryptionKeySource, EncryptionRing, KeyFile, KeyRing, KeySource,
    SigningKey,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::options::Options;
use crate::settings::secret;

/// The keys that sign.
pub(crate) fn signing(options: &Options) -> anyhow::Result<KeySource> {
    const VARIABLE: &str = "CRYPTOPAY_SIGNING_KEYS";
    let Some(text) = secret(VARIABLE, &options.signing_keys, &options.signing_keys_file)? else {
        return Ok(KeySource::File(KeyFile::in_directory(&options.data_dir)));
    };
    let keys = listed(VARIABLE, &text, SigningKey::from_paserk)?;
    Ok(KeySource::Fixed(KeyRing::fixed(keys).with_context(|| format!("{VARIABLE} cannot be used"))?))
}

/// The keys that seal.
pub(crate) fn encryption(options: &Options) -> anyhow::Result<EncryptionKeySource> {
    const VARIABLE: &str = "CRYPTOPAY_ENCRYPTION_KEYS";
    let Some(text) = secret(VARIABLE, &options.encryption_keys, &options.encryption_keys_file)? else {
        return Ok(EncryptionKeySource::File(EncryptionKeyFile::in_directory(&options.data_dir)));
    };
    let keys = listed(VARIABLE, &text, EncryptionKey::from_paserk)?;
    let ring = EncryptionRing::new(keys).with_context(|| format!("{VARIABLE} cannot be used"))?;
    Ok(EncryptionKeySource::Fixed(ring))
}

/// The keys of a comma-separated list. One that cannot be used is counted, never quoted.
fn listed<K, E>(
    variable: &str,
    text: &SecretString,
    parse: impl Fn(&str) -> Result<K, E>,
) -> anyhow::Result<Vec<K>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let keys = text.expose_secret().split(',').zip(1..);
    keys.map(|(key, number)| {
        parse(key.trim()).with_context(|| format!("key {number} of {variable} cannot be used"))
    })
    .collect()
}
