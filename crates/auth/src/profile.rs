//! The merchant's own account.

use cryptopay_domain::{DisplayName, User};

use crate::audit::event_by;
use crate::context::RequestContext;
use crate::core::Auth;
use crate::failure::{Failure, Outcome};
use crate::principal::Principal;
use crate::session::LoginRequired;

impl Auth {
    /// The account of the principal.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn profile(&self, principal: &Principal) -> Outcome<User, LoginRequired> {
        principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        let user = self.inner.store.find_user(principal.user_id).await?;
        user.filter(|user| user.disabled_at.is_none()).ok_or(Failure::Rejected(LoginRequired))
    }

    /// Renames the shop.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn rename_shop(
        &self,
        principal: &Principal,
        shop_name: DisplayName,
        context: &RequestContext,
    ) -> Outcome<User, LoginRequired> {
        principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        let inner = &*self.inner;
        let audit = event_by(principal, "user.shop_renamed", context, inner.clock.now());
        let user = inner.store.rename_shop(principal.user_id, shop_name, audit).await?;
        user.ok_or(Failure::Rejected(LoginRequired))
    }
}
