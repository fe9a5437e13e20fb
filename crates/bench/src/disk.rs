//! What the disk can do.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a second 4 KiB reach the disk below `directory`, one after the other (`fdatasync`). The file is
/// written before, like a write-ahead log that is used again: growing it would cost the disk more.
pub(crate) fn syncs_per_second(directory: &Path, span: Duration) -> Result<f64> {
    const PAGE: [u8; 4096] = [0x5a; 4096];
    const PAGES: u64 = 1024;
    let path = directory.join("sync-rate");
    let file = File::create(&path)?;
    for page in 0..PAGES {
        file.write_all_at(&PAGE, page * 4096)?;
    }
    file.sync_all()?;
    let began = Instant::now();
    let mut syncs = 0_u32;
    while began.elapsed() < span {
        file.write_all_at(&PAGE, u64::from(syncs) % PAGES * 4096)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / began.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
