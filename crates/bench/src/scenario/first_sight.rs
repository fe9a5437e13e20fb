//! The first sight of each access token, in process: from the text to a principal, against the bare check of
//! its signature.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use cryptopay_auth::{
    Auth, AuthConfig, DatabaseUrl, KeyRing, KeySource, KeySources, SigningKey, Store, StoreConfig,
    SystemClock,
};
use cryptopay_domain::{Environment, PermissionSet, SessionId, UserId};
use cryptopay_token::{AccessClaims, AccessToken, TokenContext, access_token};
use futures_util::FutureExt as _;
use pasetors::keys::AsymmetricPublicKey;
use pasetors::token::{Public, UntrustedToken};
use pasetors::version4::{PublicToken, V4};
use ring::rand::SystemRandom;
use uuid::Uuid;

use crate::bench::{Bench, progress};
use crate::machine::{SERVER_CORE, pin_this_thread};
use crate::report::Row;
use crate::statistics::median;

/// Tokens of one side of a pair.
const TOKENS: u128 = 2000;
const BAR: f64 = 1.25;
const ISSUER: &str = "http://localhost:8080";
/// What the server binds into the signature, so that the bare check is the same work.
const ASSERTION: &[u8] = b"cryptopay:access-token:v1:sandbox";

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let database = directory.path().join("cryptopay.db");
    let pairs = bench.pairs();
    // The store's threads and runtime are the measured side's, on its core; the load generator sleeps.
    let measured = tokio::task::spawn_blocking(move || {
        pin_this_thread(SERVER_CORE)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let installation = runtime.block_on(Installation::start(&database))?;
        (0..pairs).map(|pair| installation.measure_pair(pair, runtime.handle())).collect::<Result<Vec<_>>>()
    });
    let pairs = measured.await??;
    let micros = |total: Duration| total.as_secs_f64() * 1e6 / TOKENS as f64;
    let ours = median(pairs.iter().map(|pair| micros(pair.ours)));
    let bare = median(pairs.iter().map(|pair| micros(pair.bare)));
    let ratio = median(pairs.iter().map(|pair| pair.ours.as_secs_f64() / pair.bare.as_secs_f64()));
    let waited: u32 = pairs.iter().map(|pair| pair.waited).sum();
    Ok(vec![Row {
        what: "first sight of each token, in process, token to principal".to_owned(),
        measured: format!("{ours:.1} µs; {waited} of {} touched the store", pairs.len() as u128 * TOKENS),
        beside: format!("Ed25519 verification by pasetors: {bare:.1} µs"),
        verdict: format!("{ratio:.2}×, {}", if waited == 0 { "no SQL" } else { "SQL" }),
        bar: format!("≤ {BAR:.2}×, no SQL"),
        decided_by: "time".to_owned(),
        passed: Some(ratio <= BAR && waited == 0),
    }])
}

struct Installation {
    auth: Auth,
    key: SigningKey,
    context: TokenContext,
}

struct Pair {
    ours: Duration,
    bare: Duration,
    /// How many were not answered at once. Every way to the store leads over another thread or task, so what
    /// is answered the first time it is polled has not been there.
    waited: u32,
}

impl Installation {
    async fn start(database: &std::path::Path) -> Result<Self> {
        let random = Arc::new(SystemRandom::new());
        let key = SigningKey::generate(&*random)?;
        let url = DatabaseUrl::Sqlite(database.to_owned());
        Store::migrate(&url).await?;
        let store = Store::open(&url, StoreConfig::default(), tokio::runtime::Handle::current())?;
        let config = AuthConfig::new(Environment::Sandbox, ISSUER.to_owned());
        let signing = KeySource::Fixed(KeyRing::fixed(vec![key.clone()])?);
        let directory = database.parent().context("a database lies in a directory")?;
        let keys = KeySources { signing, ..KeySources::in_directory(directory) };
        let auth = Auth::start(config, store, keys, Arc::new(SystemClock), random).await?;
        Ok(Self { auth, key, context: TokenContext::new(ISSUER, Environment::Sandbox) })
    }

    fn measure_pair(&self, pair: usize, runtime: &tokio::runtime::Handle) -> Result<Pair> {
        let tokens = self.issue(pair as u128)?;
        let public = AsymmetricPublicKey::<V4>::try_from(self.key.public_paserk())
            .ok()
            .context("the public key cannot be read")?;
        let untrusted = tokens
            .iter()
            .map(|token| UntrustedToken::<Public, V4>::try_from(token.expose()))
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .context("a token cannot be read")?;

        // What is known of revocations is good for a moment only, so it is read again before each pair.
        runtime.block_on(self.auth.load_revocations())?;
        let began = Instant::now();
        let mut waited = 0;
        for token in &tokens {
            let answer = match self.auth.authenticate(token.expose()).now_or_never() {
                Some(answer) => answer,
                None => {
                    waited += 1;
                    runtime.block_on(self.auth.authenticate(token.expose()))
                }
            };
            answer.ok().context("a token was refused")?;
        }
        let ours = began.elapsed();

        let began = Instant::now();
        for token in &untrusted {
            PublicToken::verify(&public, token, None, Some(ASSERTION))
                .ok()
                .context("a signature is wrong")?;
        }
        let bare = began.elapsed();
        progress(format_args!("pair {}: {ours:.1?} for {TOKENS}; the signatures alone {bare:.1?}", pair + 1));
        Ok(Pair { ours, bare, waited })
    }

    fn issue(&self, pair: u128) -> Result<Vec<AccessToken>> {
        let now = self.auth.clock().now().whole_seconds();
        (pair * TOKENS..(pair + 1) * TOKENS)
            .map(|number| {
                let claims = AccessClaims {
                    subject: UserId(123),
                    username: "merchant".to_owned(),
                    token_id: Uuid::from_u128(number + 1),
                    issued_at: now,
                    expires_at: now.after(self.auth.config().access_ttl),
                    session: SessionId(Uuid::from_u128(number + 1)),
                    refresh_counter: 0,
                    permissions: PermissionSet::FULL,
                };
                Ok(access_token::issue(&claims, &self.key, &self.context)?)
            })
            .collect()
    }
}
