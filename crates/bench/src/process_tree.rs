//! Processor time and memory of a process and all that came from it, as Linux tells them under `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::ClockId;
use nix::unistd::Pid;

/// One or more processes, each with its descendants.
#[derive(Clone, Debug)]
pub(crate) struct ProcessTree {
    roots: Vec<u32>,
}

/// What a process holds in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What is resident now (`VmRSS`).
    pub(crate) resident: u64,
    /// What was resident at most (`VmHWM`).
    pub(crate) peak: u64,
}

impl ProcessTree {
    /// The trees below these processes.
    pub(crate) fn new(roots: impl Into<Vec<u32>>) -> Self {
        Self { roots: roots.into() }
    }

    /// The same with another tree.
    pub(crate) fn with(mut self, root: u32) -> Self {
        self.roots.push(root);
        self
    }

    /// The processor time spent so far: of the living to the nanosecond, of those they have buried in the
    /// kernel's hundredths of a second.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let processes = processes()?;
        let second = rustix::param::clock_ticks_per_second();
        let times =
            processes.iter().filter(|(pid, _)| self.holds(**pid, &processes)).map(|(pid, process)| {
                // One that has ended since its number was read will soon be among the buried.
                let own = own_time(*pid).unwrap_or_default();
                own + Duration::from_nanos(process.buried_ticks * (1_000_000_000 / second))
            });
        Ok(times.sum())
    }

    fn holds(&self, pid: u32, processes: &HashMap<u32, Process>) -> bool {
        let mut next = Some(pid);
        while let Some(pid) = next {
            if self.roots.contains(&pid) {
                return true;
            }
            next = processes.get(&pid).map(|process| process.parent);
        }
        false
    }
}

/// The memory of one process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse::<u64>().ok()).with_context(|| format!("no {name} of {pid}"))
    };
    Ok(Memory { resident: 1024 * kibibytes("VmRSS:")?, peak: 1024 * kibibytes("VmHWM:")? })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// What its children had spent when they had ended and it was told.
    buried_ticks: u64,
}

/// The time of all threads of a process, ended ones included, by its processor-time clock: `/proc` tells it in
/// hundredths of a second only, too coarse for a thousand requests.
fn own_time(pid: u32) -> Option<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    ClockId::pid_cpu_clock_id(pid).and_then(ClockId::now).map(Duration::from).ok()
}

fn processes() -> Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended since the directory was read.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        found.insert(pid, parse_stat(&stat).with_context(|| format!("/proc/{pid}/stat: {stat}"))?);
    }
    Ok(found)
}

/// `pid (command) state ppid …`, see proc_pid_stat(5): the command may hold blanks and parentheses. Fields 16
/// and 17 are cutime and cstime.
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let times = fields.get(13..15)?.iter().map(|field| field.parse::<u64>());
    Some(Process { parent: fields.get(1)?.parse().ok()?, buried_ticks: times.sum::<Result<u64, _>>().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_command_is_called() {
        let stat = "77 (a) b (c)) S 42 77 77 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n";
        assert_eq!(parse_stat(stat), Some(Process { parent: 42, buried_ticks: 70 }));
        assert_eq!(parse_stat("77 (a) S 42"), None);
    }

    #[test]
    fn descendants_belong_to_the_tree_and_strangers_do_not() {
        let process = |parent| Process { parent, buried_ticks: 1 };
        let processes = HashMap::from([(1, process(0)), (5, process(1)), (6, process(5)), (7, process(1))]);
        let tree = ProcessTree::new([5]);
        assert!(tree.holds(5, &processes) && tree.holds(6, &processes));
        assert!(!tree.holds(7, &processes) && !tree.holds(1, &processes));
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.resident > 0 && memory.resident <= memory.peak);
        assert!(ProcessTree::new([pid]).processor_time().unwrap() > Duration::ZERO);
    }
}
