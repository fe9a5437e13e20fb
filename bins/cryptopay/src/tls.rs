//! TLS of the server's own: which files, and that they are read again when they change.

use std::time::Duration;

use anyhow::bail;
use cryptopay_http::{Reload, Tls};
use tokio::time::{MissedTickBehavior, interval};

use crate::options::Options;

/// How often the files are looked at. A certificate is renewed weeks before its end.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate that the options name, if they name one.
pub(crate) fn load(options: &Options) -> anyhow::Result<Option<Tls>> {
    match (&options.tls_certificate_file, &options.tls_key_file) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Tls::load(certificate.clone(), key.clone())?)),
        (Some(_), None) => bail!("CRYPTOPAY_TLS_CERTIFICATE_FILE needs its key: set CRYPTOPAY_TLS_KEY_FILE"),
        (None, Some(_)) => {
            bail!("CRYPTOPAY_TLS_KEY_FILE needs its certificate: set CRYPTOPAY_TLS_CERTIFICATE_FILE")
        }
    }
}

/// Takes a renewed certificate up, for as long as the server runs.
pub(crate) async fn keep_fresh(tls: Tls) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        ticks.tick().await;
        let files = tls.clone();
        // The look is at the disk, so it is not for this thread.
        let Ok(looked) = tokio::task::spawn_blocking(move || files.reload()).await else { continue };
        match looked {
            Ok(Reload::Unchanged) => trouble = None,
            Ok(Reload::Reloaded) => {
                trouble = None;
                tracing::info!("the renewed certificate is in use");
            }
            // Told once, and not for the moment between the renewal of one file and the other.
            Err(error) => {
                let error = error.to_string();
                match &trouble {
                    Some((told, true)) if *told == error => {}
                    Some((seen, false)) if *seen == error => {
                        tracing::warn!(%error, "the certificate that was stays in use");
                        trouble = Some((error, true));
                    }
                    _ => trouble = Some((error, false)),
                }
            }
        }
    }
}
