//! The machine: what it is, and who runs on which of its cores.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of whatever is measured.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// Fails on a machine where server and load generator would share a core.
pub(crate) fn require_two_cores() -> Result<()> {
    let cores = thread::available_parallelism().context("the number of cores is unknown")?;
    ensure!(cores.get() >= 2, "two cores are needed: one for the server, one for the load generator");
    Ok(())
}

/// Confines the calling thread, and the processes and threads it starts from now on, to a core.
pub(crate) fn pin_this_thread(core: usize) -> Result<()> {
    pin(None, core)
}

/// Confines another process's main thread, and what that starts from now on, to a core.
pub(crate) fn pin_process(pid: u32, core: usize) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process has this number")?;
    pin(Some(pid), core)
}

/// Does something on the server's core, children it starts included.
pub(crate) fn on_server_core<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    pin_this_thread(SERVER_CORE)?;
    let result = work();
    pin_this_thread(LOAD_CORE)?;
    result
}

/// Allows this process, and the servers it starts, as many open files as it may have.
pub(crate) fn raise_open_file_limit(wanted: u64) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    ensure!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "{wanted} open files are needed, and only {} allowed: raise `ulimit -Hn`",
        maximum.unwrap_or_default(),
    );
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("the number of open files cannot be raised")
}

/// The processor's model, the number of cores, and the kernel.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let system = rustix::system::uname();
    let gibibytes = memory_kibibytes() >> 20;
    format!(
        "{} ({}), {cores} cores, {gibibytes} GiB, {} {}",
        field("model name"),
        field("vendor_id"),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
    )
}

fn pin(pid: Option<Pid>, core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(pid, &cores).with_context(|| format!("core {core} cannot be had"))
}

fn memory_kibibytes() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
