//! Changing the password. The browser goes on under a new session, so that whoever copied its cookie does not.

use cryptopay_auth::{ChangePasswordCommand, ChangePasswordRejection, Failure, LoginCommand};

use super::show_again;
use crate::form::Problems;
use crate::frame::Section;
use crate::login::log_in_with;
use crate::notice::Notice;
use crate::page::{Answer, see};
use crate::problem::Problem;
use crate::register::complain_of_password;
use crate::visit::MerchantVisit;

/// Changes it.
pub(crate) async fn change(visit: MerchantVisit) -> Answer {
    let command = ChangePasswordCommand {
        current_password: visit.form.secret("current_password"),
        new_password: visit.form.secret("new_password"),
    };
    match visit.site.auth.change_password(visit.principal(), command, &visit.context).await {
        Ok(_) => {}
        Err(Failure::Rejected(rejection)) => {
            let mut problems = Problems::default();
            complain(rejection, &mut problems)?;
            return show_again(&visit, problems).await;
        }
        Err(failure) => return Err(failure.map_rejection(|_| Problem::Fault).into()),
    }
    let command = LoginCommand {
        username: visit.principal().username.clone(),
        password: visit.form.secret("new_password"),
    };
    let mut response = see(Section::Security.path());
    // Should it fail, the password is changed all the same, and the session goes on.
    let token = match log_in_with(&visit, command).await {
        Ok(Some(held)) => held.token,
        Ok(None) | Err(_) => visit.held.token.clone(),
    };
    visit.jar.keep_session(&mut response, &token);
    Notice::PasswordChanged.send(&visit.jar, &token, &mut response);
    Ok(response)
}

fn complain(rejection: ChangePasswordRejection, problems: &mut Problems) -> Result<(), Problem> {
    match rejection {
        ChangePasswordRejection::LoginRequired => {
            return Err(Problem::Conflict(
                "Your session ended meanwhile, so nothing was changed. Log in again.",
            ));
        }
        ChangePasswordRejection::WrongCurrentPassword => {
            problems.add("current_password", "that is not your password");
        }
        ChangePasswordRejection::Throttled(throttled) => {
            return Err(Problem::RateLimited { retry_after: throttled.retry_after });
        }
        ChangePasswordRejection::WeakPassword(advice) => {
            complain_of_password("new_password", advice, problems);
        }
    }
    Ok(())
}
