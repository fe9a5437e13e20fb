//! Logging in, out, and in again before credentials change.

use actix_web::HttpResponse;
use askama::Template;
use cryptopay_auth::{Failure, LoginCommand, LoginRejection};

use crate::cookies::{Jar, SessionToken};
use crate::csrf::FormToken;
use crate::frame::{Frame, Section};
use crate::next::Next;
use crate::page::{Answer, page, page_again, see};
use crate::problem::Problem;
use crate::routes::HOME;
use crate::visit::{Held, MerchantVisit, Visit};

/// The field in which the password is typed again.
pub(crate) const PASSWORD_AGAIN: &str = "password_again";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame,
    next: &'a Next,
    username: &'a str,
    error: Option<&'static str>,
    is_lost_in_plain: bool,
}

#[derive(Template)]
#[template(path = "password_again.html")]
struct PasswordAgainPage<'a> {
    frame: Frame,
    action: &'a str,
    /// What was typed on the page before, so that it need not be typed again.
    carried: Vec<(&'a str, &'a str)>,
    back: &'a Next,
    error: String,
}

/// The way to the login, from where it leads back.
pub(crate) fn send_to_login(jar: &Jar, next: &Next) -> HttpResponse {
    let path = if next.is_home() { String::new() } else { format!("?next={}", next.as_str()) };
    let mut response = see(&format!("{HOME}/login{path}"));
    if jar.session().is_some() {
        // It opens nothing any more.
        jar.forget_session(&mut response);
    }
    response
}

/// The login.
pub(crate) async fn show(visit: Visit) -> Answer {
    let next = Next::parse(visit.query.text("next"));
    if visit.held.is_some() {
        return Ok(see(next.as_str()));
    }
    let mut response = page(&login_page(&visit, &next, "", None))?;
    visit.jar.keep_visitor(&mut response, &visit.visitor);
    Ok(response)
}

/// Logs in. Whatever is wrong, the answer is the same.
pub(crate) async fn log_in(visit: Visit) -> Answer {
    let next = Next::parse(visit.form.text("next"));
    let username = visit.form.text("username");
    let command = LoginCommand { username: username.to_owned(), password: visit.form.secret("password") };
    match log_in_with(&visit, command).await? {
        Some(held) => {
            let mut response = see(next.as_str());
            visit.jar.keep_session(&mut response, &held.token);
            Ok(response)
        }
        None => {
            const WRONG: &str = "Username and password do not match. Check both, and try again.";
            page_again(&login_page(&visit, &next, username, Some(WRONG)))
        }
    }
}

/// Ends the session, and shows the login.
pub(crate) async fn log_out(visit: MerchantVisit) -> Answer {
    match visit.site.auth.logout(visit.principal(), &visit.context).await {
        // It is one already if it is refused.
        Ok(_) | Err(Failure::Rejected(_)) => {}
        Err(failure) => return Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
    let mut response = see(&format!("{HOME}/login"));
    visit.jar.forget_session(&mut response);
    Ok(response)
}

/// Asks for the password again, carrying along what was typed.
pub(crate) fn ask_again(visit: &MerchantVisit, error: Option<&'static str>) -> Answer {
    let is_carried =
        |(name, _): &(&str, &str)| !matches!(*name, "csrf" | PASSWORD_AGAIN) && !name.contains("password");
    let answer = PasswordAgainPage {
        frame: visit.frame(Section::Outside),
        action: &visit.path,
        carried: visit.form.iter().filter(is_carried).collect(),
        back: &visit.back,
        error: error.unwrap_or_default().to_owned(),
    };
    if error.is_some() { page_again(&answer) } else { page(&answer) }
}

/// Logs in with the password that was typed again. The visit goes on under the new session; one that is refused is
/// asked again.
pub(crate) async fn log_in_again(
    mut visit: MerchantVisit,
) -> Result<Result<MerchantVisit, HttpResponse>, Problem> {
    let command = LoginCommand {
        username: visit.principal().username.clone(),
        password: visit.form.secret(PASSWORD_AGAIN),
    };
    match log_in_with(&visit, command).await? {
        Some(held) => {
            visit.visit.frame.form_token = FormToken::of_session(&held.token);
            visit.visit.held = Some(held.clone());
            visit.held = held;
            Ok(Ok(visit))
        }
        None => ask_again(&visit, Some("That is not your password. Nothing was changed yet.")).map(Err),
    }
}

/// Begins a session in place of the one that the browser has; `None` when name or password is wrong.
pub(crate) async fn log_in_with(visit: &Visit, command: LoginCommand) -> Result<Option<Held>, Problem> {
    let replaced = visit.jar.session();
    let replaced = replaced.as_ref().map(SessionToken::expose);
    match visit.site.auth.log_in_browser(command, replaced, &visit.context).await {
        Ok(login) => {
            Ok(Some(Held { token: SessionToken::new(login.token.expose()), session: login.session }))
        }
        Err(Failure::Rejected(LoginRejection::WrongCredentials)) => Ok(None),
        Err(Failure::Rejected(LoginRejection::Throttled(throttled))) => {
            Err(Problem::RateLimited { retry_after: throttled.retry_after })
        }
        Err(failure) => Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
}

fn login_page<'a>(
    visit: &Visit,
    next: &'a Next,
    username: &'a str,
    error: Option<&'static str>,
) -> LoginPage<'a> {
    LoginPage {
        frame: visit.frame(Section::Outside),
        next,
        username,
        error,
        is_lost_in_plain: visit.jar.is_lost_in_plain(&visit.site),
    }
}
