//! Signing up: an account, and a login with it at once.

use askama::Template;
use cryptopay_auth::{Failure, LoginCommand, RegisterCommand, RegisterRejection};
use cryptopay_domain::{DisplayName, EmailAddress, Username};

use crate::form::{Form, Problems};
use crate::frame::{Frame, Section};
use crate::notice::Notice;
use crate::page::{Answer, page, page_again, see};
use crate::problem::Problem;
use crate::routes::HOME;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    frame: Frame,
    form: &'a Form,
    problems: Problems,
    is_lost_in_plain: bool,
}

/// The form.
pub(crate) async fn show(visit: Visit) -> Answer {
    if visit.held.is_some() {
        return Ok(see(HOME));
    }
    let mut response = page(&register_page(&visit, Problems::default()))?;
    visit.jar.keep_visitor(&mut response, &visit.visitor);
    Ok(response)
}

/// Opens an account and logs in.
pub(crate) async fn register(visit: Visit) -> Answer {
    let mut problems = Problems::default();
    let Some(command) = read(&visit.form, &mut problems) else {
        return page_again(&register_page(&visit, problems));
    };
    let username = command.username.to_string();
    match visit.site.auth.register(command, &visit.context).await {
        Ok(_) => {}
        Err(Failure::Rejected(rejection)) => {
            complain(rejection, &mut problems);
            return page_again(&register_page(&visit, problems));
        }
        Err(failure) => return Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
    let command = LoginCommand { username, password: visit.form.secret("password") };
    let held = crate::login::log_in_with(&visit, command).await?;
    let Some(held) = held else { return Ok(see(&format!("{HOME}/login"))) };
    let mut response = see(HOME);
    visit.jar.keep_session(&mut response, &held.token);
    Notice::Welcome.send(&visit.jar, &held.token, &mut response);
    Ok(response)
}

fn read(form: &Form, problems: &mut Problems) -> Option<RegisterCommand> {
    let username = problems.keep("username", Username::parse(form.text("username")));
    let email = problems.keep("email", EmailAddress::parse(form.text("email")));
    let shop_name = problems.keep("shop_name", DisplayName::parse(form.text("shop_name")));
    Some(RegisterCommand {
        username: username?,
        email: email?,
        password: form.secret("password"),
        shop_name: shop_name?,
    })
}

fn complain(rejection: RegisterRejection, problems: &mut Problems) {
    match rejection {
        RegisterRejection::WeakPassword(advice) => complain_of_password("password", advice, problems),
        RegisterRejection::UsernameTaken => {
            problems.add("username", "somebody has this username; choose another");
        }
        RegisterRejection::EmailTaken => {
            problems.add("email", "an account has this address already; log in, or use another");
        }
    }
}

/// What the policy has against a password.
pub(crate) fn complain_of_password(field: &'static str, advice: Vec<String>, problems: &mut Problems) {
    if advice.is_empty() {
        problems.add(field, "is too easy to guess");
    }
    advice.into_iter().for_each(|sentence| problems.add(field, sentence));
}

fn register_page(visit: &Visit, problems: Problems) -> RegisterPage<'_> {
    RegisterPage {
        frame: visit.frame(Section::Outside),
        form: &visit.form,
        problems,
        is_lost_in_plain: visit.jar.is_lost_in_plain(&visit.site),
    }
}
