//! `cryptopay user`.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, anyhow, bail};
use cryptopay_auth::operator::{AccountState, NoSuchSubject};
use cryptopay_auth::{Auth, Failure, RegisterCommand, RegisterRejection, RequestContext};
use cryptopay_domain::{DisplayName, EmailAddress, User, UserId, Username};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::cli::{self, UserCommand};
use crate::options::Options;
use crate::start;

/// How many accounts are read at a time.
const PAGE: usize = 500;

/// Registers, disables, enables or lists merchants.
pub(crate) fn run(options: &Options, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { username, email, shop_name } => {
            let command = RegisterCommand {
                username: Username::parse(&username).context("--username cannot be used: it")?,
                email: EmailAddress::parse(&email).context("--email cannot be used: it")?,
                shop_name: DisplayName::parse(&shop_name).context("--shop-name cannot be used: it")?,
                password: read_password()?,
            };
            start::with_auth(options, async |auth| create(&auth, command).await)
        }
        UserCommand::Disable { username } => set_state(options, &username, AccountState::Disabled),
        UserCommand::Enable { username } => set_state(options, &username, AccountState::Enabled),
        UserCommand::List => start::with_auth(options, async |auth| list(&auth).await),
    }
}

async fn create(auth: &Auth, command: RegisterCommand) -> anyhow::Result<()> {
    let user =
        auth.register(command, &RequestContext::command_line()).await.map_err(|failure| match failure {
            Failure::Rejected(RegisterRejection::WeakPassword(messages)) => {
                anyhow!("the password is refused: {}", messages.join("; "))
            }
            Failure::Rejected(RegisterRejection::UsernameTaken) => anyhow!("the username is taken"),
            Failure::Rejected(RegisterRejection::EmailTaken) => anyhow!("the e-mail address is taken"),
            failure => anyhow!("not registered: {failure}"),
        })?;
    cli::print(&format!("{} is registered with number {}", user.username, user.id))
}

fn set_state(options: &Options, username: &str, state: AccountState) -> anyhow::Result<()> {
    let parsed = Username::parse(username).with_context(|| format!("'{username}' is no username: it"))?;
    let user = start::with_auth(options, async |auth| {
        auth.set_account_state(&parsed, state).await.map_err(|failure| match failure {
            Failure::Rejected(NoSuchSubject) => anyhow!("there is no account '{username}'"),
            failure => anyhow!("not changed: {failure}"),
        })
    })?;
    let state = if user.disabled_at.is_some() { "disabled" } else { "enabled" };
    cli::print(&format!("{} is {state}", user.username))
}

async fn list(auth: &Auth) -> anyhow::Result<()> {
    let mut last = UserId(0);
    loop {
        let users = auth.list_users(last, PAGE).await?;
        let Some(newest) = users.last() else { return Ok(()) };
        last = newest.id;
        cli::print(&users.iter().map(row).collect::<Vec<_>>().join("\n"))?;
    }
}

fn row(user: &User) -> String {
    let state = if user.disabled_at.is_some() { "disabled" } else { "enabled" };
    format!(
        "{}\t{}\t{}\t{state}\t{}\t{}",
        user.id, user.username, user.email, user.created_at, user.shop_name
    )
}

/// A command line shows in the process list, so a password is never taken from there.
fn read_password() -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
        let second = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
        if *first != *second {
            bail!("the two passwords differ");
        }
        return Ok(SecretString::from(first.as_str()));
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().read_to_string(&mut text).context("the password cannot be read from standard input")?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}
