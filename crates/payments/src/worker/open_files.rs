//! The limit of open files bounds how many exchanges can be under way.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the rest of the process may want: connections of clients and of the database.
const ELSEWHERE: u64 = 512;

/// Raises this process's limit of open files as far as the system lets it, as servers do at their start, and
/// tells what it is now; `None` when there is none. A limit that cannot be raised stays.
pub fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(limit = limit.current, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current
}

/// At most `wanted` exchanges, and no more than there are files for.
pub(super) fn exchanges_within_limit(wanted: usize) -> usize {
    exchanges_within(wanted, getrlimit(Resource::Nofile).current)
}

fn exchanges_within(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted.max(1) };
    // Beside each connection in use there may be one that is kept for the next exchange.
    let available = limit.saturating_sub(ELSEWHERE).max(limit / 4) / 2;
    wanted.min(usize::try_from(available).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_of_open_files_bounds_the_exchanges() {
        for (limit, expected) in [
            (None, 8192),
            (Some(1_048_576), 8192),
            (Some(4096), 1792),
            (Some(1024), 256),
            (Some(256), 32),
            (Some(0), 1),
        ] {
            assert_eq!(exchanges_within(8192, limit), expected, "{limit:?}");
        }
    }
}
