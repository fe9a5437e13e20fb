//! A whole run: build, measure, print.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::machine;
use crate::options::Options;
use crate::report::{Row, Table};
use crate::scenario::Scenario;

/// What every scenario needs to know.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The server's program, a release build.
    pub(crate) program: PathBuf,
    /// Where directories for data are made.
    pub(crate) directory: PathBuf,
    /// A glance instead of a result.
    pub(crate) quick: bool,
}

impl Bench {
    /// How many alternating pairs are measured.
    pub(crate) fn pairs(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    /// How long one side of a pair is measured.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 5 })
    }

    /// An empty directory that goes away when dropped.
    pub(crate) fn fresh_directory(&self) -> Result<TempDir> {
        TempDir::with_prefix_in("cryptopay-bench-", &self.directory)
            .with_context(|| format!("{} cannot be written to", self.directory.display()))
    }
}

/// Says what is going on.
pub(crate) fn progress(what: impl std::fmt::Display) {
    eprintln!("bench: {what}");
}

/// Measures what was asked for and prints the table.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    machine::require_two_cores()?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build()?,
    };
    let bench = Bench { program, directory: options.directory.clone(), quick: options.quick };
    let scenarios = if options.only.is_empty() { Scenario::all() } else { options.only.clone() };

    machine::pin_this_thread(machine::LOAD_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows: Vec<Row> = Vec::new();
    for scenario in scenarios {
        progress(format_args!("{scenario:?}"));
        let measured = runtime.block_on(scenario.measure(&bench));
        rows.extend(measured.with_context(|| format!("the scenario {scenario:?} failed"))?);
    }
    println!("Machine: {}; server on core 0, load generator on core 1.\n", machine::describe());
    print!("{}", Table(&rows));
    let missed = rows.iter().any(|row| row.passed == Some(false));
    Ok(if options.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn build() -> Result<PathBuf> {
    progress("building cryptopay in release mode");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", "cryptopay"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    ensure!(built.success(), "cryptopay does not build");
    // This program lies beside the server's.
    let own = std::env::current_exe()?;
    let program = own.parent().unwrap_or(Path::new(".")).join("cryptopay");
    ensure!(program.exists(), "{} is not there", program.display());
    Ok(program)
}
