//! `cryptopay api-key`.

use anyhow::{Context as _, anyhow};
use cryptopay_auth::operator::NoSuchSubject;
use cryptopay_auth::{Auth, Clock as _, Failure, SystemClock};
use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{ApiKeyId, PageRequest, Username};

use crate::cli::{self, ApiKeyCommand};
use crate::options::Options;
use crate::start;

/// Lists a merchant's keys or revokes one.
pub(crate) fn run(options: &Options, command: &ApiKeyCommand) -> anyhow::Result<()> {
    match command {
        ApiKeyCommand::List { username } => {
            let parsed =
                Username::parse(username).with_context(|| format!("'{username}' is no username: it"))?;
            start::with_auth(options, async |auth| list(&auth, &parsed).await)
        }
        ApiKeyCommand::Revoke { id } => {
            let parsed: ApiKeyId = id.parse().with_context(|| format!("'{id}'"))?;
            let key = start::with_auth(options, async |auth| {
                auth.revoke_any_api_key(parsed).await.map_err(|failure| match failure {
                    Failure::Rejected(NoSuchSubject) => anyhow!("there is no API key {id}"),
                    failure => anyhow!("not revoked: {failure}"),
                })
            })?;
            cli::print(&format!("{} ({}) is revoked", key.id, key.name))
        }
    }
}

async fn list(auth: &Auth, username: &Username) -> anyhow::Result<()> {
    let limit = PageLimit::new(100)?;
    let mut request = PageRequest { limit, position: None };
    loop {
        let page = auth.list_api_keys_of(username, request).await.map_err(|failure| match failure {
            Failure::Rejected(NoSuchSubject) => anyhow!("there is no account '{username}'"),
            failure => anyhow!("not listed: {failure}"),
        })?;
        if !page.items.is_empty() {
            cli::print(&page.items.iter().map(row).collect::<Vec<_>>().join("\n"))?;
        }
        if page.next.is_none() {
            return Ok(());
        }
        request.position = page.next;
    }
}

fn row(key: &ApiKey) -> String {
    let end = key.effective_end().map_or_else(|| "never".to_owned(), |end| end.to_string());
    let used = key.last_used_at.map_or_else(|| "never".to_owned(), |used| used.to_string());
    format!(
        "{}\t{}…\t{}\t{}\texpires {end}\tused {used}\t{}",
        key.id,
        key.prefix,
        key.status(SystemClock.now()).as_str(),
        key.permissions.to_comma_separated(),
        key.name
    )
}
