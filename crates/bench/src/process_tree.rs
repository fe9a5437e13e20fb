//! Processor time and memory of a process and all that came from it, as Linux tells them under `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

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

    /// The processor time spent so far: user and system, of the living and of those they have buried.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let processes = processes()?;
        let ticks = processes
            .keys()
            .filter(|&&pid| self.holds(pid, &processes))
            .filter_map(|pid| processes.get(pid))
            .map(|process| process.ticks)
            .sum::<u64>();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_nanos(ticks * (1_000_000_000 / per_second)))
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
    ticks: u64,
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

/// `pid (command) state ppid …`, see proc_pid_stat(5): the command may hold blanks and parentheses. Fields 14
/// to 17 are utime, stime, cutime and cstime.
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some(Process { parent: fields.get(1)?.parse().ok()?, ticks: times.sum::<Result<u64, _>>().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_command_is_called() {
        let stat = "77 (a) b (c)) S 42 77 77 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n";
        assert_eq!(parse_stat(stat), Some(Process { parent: 42, ticks: 100 }));
        assert_eq!(parse_stat("77 (a) S 42"), None);
    }

    #[test]
    fn descendants_belong_to_the_tree_and_strangers_do_not() {
        let process = |parent| Process { parent, ticks: 1 };
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
        ProcessTree::new([pid]).processor_time().unwrap();
    }
}
