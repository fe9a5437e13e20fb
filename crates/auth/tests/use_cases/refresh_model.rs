//! Random interleavings of refreshing, losing answers, reusing and using, on two replicas, against the rule
//! in its plainest form.

use cryptopay_auth::{Failure, TokenPair};
use cryptopay_domain::Timestamp;
use cryptopay_testkit::{Backend, TestAuth, context, on_both_databases};

use crate::support::{SECOND, is_accepted};

on_both_databases! {
    every_interleaving_of_refreshing_and_using_is_answered_as_the_model_says => interleavings;
}

/// When each refresh token, or an access token issued with it, was first presented.
struct Model {
    first_uses: Vec<Option<Timestamp>>,
    ended: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Next,
    Current,
    Refused,
}

impl Model {
    fn use_counter(&mut self, counter: usize, now: Timestamp) {
        self.first_uses[counter].get_or_insert(now);
    }

    fn refresh(&mut self, counter: usize, now: Timestamp) -> Answer {
        if self.ended {
            return Answer::Refused;
        }
        if counter + 1 == self.first_uses.len() {
            self.use_counter(counter, now);
            self.first_uses.push(None);
            return Answer::Next;
        }
        match self.first_uses[counter + 1] {
            Some(used) if now >= used.after(30 * SECOND) => {
                self.ended = true;
                Answer::Refused
            }
            _ => Answer::Current,
        }
    }
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

async fn interleavings(backend: Backend) {
    let test = TestAuth::start(backend).await;
    test.register("alice").await;
    let replicas = [test.auth.clone(), test.replica().await];
    let mut ended = 0;
    for seed in 1..=40 {
        let mut numbers = Numbers(seed * 0x9e37_79b9_7f4a);
        let login = test.login("alice").await;
        let mut issued = vec![TokenPair { access: login.access, refresh: login.refresh }];
        let mut model = Model { first_uses: vec![None], ended: false };
        for step in 0..40 {
            let auth = &replicas[numbers.below(2)];
            let now = test.auth.clock().now();
            // The last few of the line, the newest most often.
            let back = numbers.below(4).min(numbers.below(4)).min(issued.len() - 1);
            let counter = issued.len() - 1 - back;
            match numbers.below(10) {
                0..=3 => {
                    for _ in 0..numbers.below(14) {
                        test.clock.advance(SECOND);
                    }
                }
                4..=6 => {
                    assert_eq!(is_accepted(auth, issued[counter].access.expose()).await, !model.ended);
                    // Another replica learns of it with the next write.
                    auth.write_uses().await.unwrap();
                    if !model.ended {
                        model.use_counter(counter, now);
                    }
                }
                _ => {
                    let current = issued[issued.len() - 1].refresh.expose().to_owned();
                    let outcome = auth.refresh(issued[counter].refresh.expose(), &context()).await;
                    let expected = model.refresh(counter, now);
                    let answer = match outcome {
                        Ok(pair) if pair.refresh.expose() == current => Answer::Current,
                        Ok(pair) => {
                            issued.push(pair);
                            Answer::Next
                        }
                        Err(Failure::Rejected(_)) => Answer::Refused,
                        Err(other) => panic!("{other:?}"),
                    };
                    assert_eq!(answer, expected, "seed {seed}, step {step}, counter {counter}");
                    if model.ended {
                        for replica in &replicas {
                            replica.load_revocations().await.unwrap();
                        }
                    }
                }
            }
        }
        ended += usize::from(model.ended);
    }
    assert!((5..35).contains(&ended), "both endings are walked: {ended}");
}
