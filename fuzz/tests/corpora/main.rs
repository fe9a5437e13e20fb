//! Replays the corpora, and a fixed lot of their neighbours: the short run of the fuzz targets, without libFuzzer.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod mutation;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use cryptopay_fuzz::{Check, TARGETS, Verdict};

use mutation::Mutator;

/// So many neighbours of each corpus are tried.
const NEIGHBOURS: usize = 20_000;

#[test]
fn every_corpus_holds_what_is_accepted_and_what_is_refused() {
    for (target, check) in TARGETS {
        let verdicts: BTreeSet<_> = corpus(target).iter().map(|input| judge(target, *check, input)).collect();
        assert_eq!(verdicts, BTreeSet::from([Verdict::Accepted, Verdict::Refused]), "{target}");
    }
}

#[test]
fn whatever_the_bytes_every_door_keeps_its_promises() {
    thread::scope(|scope| {
        for (target, check) in TARGETS {
            scope.spawn(|| {
                let corpus = corpus(target);
                let mut mutator = Mutator::new(&corpus);
                for _ in 0..NEIGHBOURS {
                    judge(target, *check, &mutator.next_input());
                }
            });
        }
    });
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let names: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let paths = paths_in(&package().join(folder)).into_iter();
        paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
}

/// The verdict; when a promise is broken, the bytes are told as Rust writes them.
fn judge(target: &str, check: Check, input: &[u8]) -> Verdict {
    std::panic::catch_unwind(|| check(input))
        .unwrap_or_else(|_| panic!("{target} breaks a promise on b\"{}\"", input.escape_ascii()))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let paths = paths_in(&package().join("corpus").join(target)).into_iter();
    let corpus: Vec<_> = paths.map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "{target}");
    corpus
}

/// In an order that is the same everywhere.
fn paths_in(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
