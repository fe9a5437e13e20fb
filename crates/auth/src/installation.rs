//! Checks at start that the installation in the database is the one configured, and writes it at the first.

use cryptopay_domain::Timestamp;
use cryptopay_store::Store;
use cryptopay_store::installation::Installation;
use cryptopay_token::{EncryptionRing, KeyRing, KeyStatus};

use crate::config::{AuthConfig, Change};
use crate::core::StartError;

/// The installation's identity, which is ours. Nothing is written when it is not.
pub(crate) async fn check_installation(
    config: &AuthConfig,
    store: &Store,
    ring: &KeyRing,
    encryption: &EncryptionRing,
    now: Timestamp,
) -> Result<Installation, StartError> {
    let signs = ring.active(now).kid().as_str().to_owned();
    let seals = encryption.active().id().as_str().to_owned();
    let ours = Installation {
        environment: config.environment,
        issuer: config.issuer.clone(),
        generation: 1,
        signing_key: signs.clone(),
        encryption_key: Some(seals.clone()),
        longest_access_ttl: config.access_ttl.as_secs(),
    };
    let found = store.get_or_insert_installation(ours, now).await?;
    if found.environment != config.environment {
        return Err(StartError::OtherEnvironment {
            stored: found.environment,
            configured: config.environment,
        });
    }
    let issuer_changes = found.issuer != config.issuer;
    if issuer_changes && config.issuer_change == Change::Refused {
        return Err(StartError::OtherIssuer { stored: found.issuer, configured: config.issuer.clone() });
    }
    let theirs = ring.list(now).into_iter().find(|key| key.kid.as_str() == found.signing_key);
    let signing_key_changes = match theirs.map(|key| key.status) {
        // The others have moved on already, as we shall.
        Some(KeyStatus::Active | KeyStatus::Next) => false,
        None if config.signing_key_change == Change::Refused => {
            return Err(StartError::OtherSigningKey { stored: found.signing_key, active: signs });
        }
        Some(KeyStatus::Retiring) | None => true,
    };
    check_encryption_key(config, store, encryption, seals).await?;
    if issuer_changes {
        store.set_issuer(config.issuer.clone()).await?;
    }
    if signing_key_changes {
        store.set_signing_key(signs).await?;
    }
    Ok(found)
}

/// What the other replicas seal has to open here; what we seal opens there once they have our key, too.
async fn check_encryption_key(
    config: &AuthConfig,
    store: &Store,
    encryption: &EncryptionRing,
    active: String,
) -> Result<(), StartError> {
    // A database from before there were encryption keys has none.
    let stored = store.get_or_set_encryption_key(active.clone()).await?;
    if !encryption.contains(&stored) && config.encryption_key_change == Change::Refused {
        return Err(StartError::OtherEncryptionKey { stored, active });
    }
    if stored != active {
        store.set_encryption_key(active).await?;
    }
    Ok(())
}
