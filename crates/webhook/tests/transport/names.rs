//! Name servers of the tests.

use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use cryptopay_webhook::{Looking, Lookup};

/// Knows no name.
pub(crate) struct NoNames;

impl Lookup for NoNames {
    fn lookup<'a>(&'a self, _: &'a str) -> Looking<'a> {
        Box::pin(async { Err(io::Error::other("no such name")) })
    }
}

/// Never answers.
pub(crate) struct Silence;

impl Lookup for Silence {
    fn lookup<'a>(&'a self, _: &'a str) -> Looking<'a> {
        Box::pin(std::future::pending())
    }
}

/// Has an answer of its own for each question, in turn; asked once more, it fails.
pub(crate) struct Turncoat {
    answers: Mutex<Vec<Vec<IpAddr>>>,
}

impl Turncoat {
    pub(crate) fn new(answers: &[&[&str]]) -> Self {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Self { answers: Mutex::new(answers.iter().rev().map(parsed).collect()) }
    }

    /// How many answers nobody has asked for yet.
    pub(crate) fn unasked(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

impl Lookup for Turncoat {
    fn lookup<'a>(&'a self, _: &'a str) -> Looking<'a> {
        let answer = self.answers.lock().unwrap().pop();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("asked too often")) })
    }
}
