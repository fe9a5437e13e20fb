//! What is limited, by what, and which routes count against it.

/// One kind of limit. Each client, or each credential, has a bucket of its own under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Address,
    Credential,
    Login,
    Register,
    Password,
    Refresh,
}

/// What a request to a route is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Nothing: the route is never limited.
    Unlimited,
    /// What every request is counted against.
    General,
    /// The same, and the limit of logins.
    Login,
    /// The same, and the limit of registrations.
    Register,
    /// The same, and the limit of password changes.
    Password,
    /// A limit of its own alone: whoever is refused here gives up for good, so no other request may use it up.
    Refresh,
}

impl Policy {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 6] =
        [Self::Address, Self::Credential, Self::Login, Self::Register, Self::Password, Self::Refresh];

    /// Its name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Credential => "credential",
            Self::Login => "login",
            Self::Register => "register",
            Self::Password => "password",
            Self::Refresh => "refresh",
        }
    }
}

impl Budget {
    /// What the client's address is counted against, before anything else is looked at.
    pub(crate) const fn by_address(self) -> &'static [Policy] {
        match self {
            Self::Unlimited => &[],
            Self::General | Self::Password => &[Policy::Address],
            Self::Login => &[Policy::Address, Policy::Login],
            Self::Register => &[Policy::Address, Policy::Register],
            Self::Refresh => &[Policy::Refresh],
        }
    }

    /// What a valid credential is counted against, on a route that takes one.
    pub(crate) const fn by_credential(self) -> &'static [Policy] {
        match self {
            Self::Unlimited | Self::Refresh => &[],
            Self::General | Self::Login | Self::Register => &[Policy::Credential],
            Self::Password => &[Policy::Credential, Policy::Password],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::few::ROOM;
    use super::*;

    const BUDGETS: [Budget; 6] = [
        Budget::Unlimited,
        Budget::General,
        Budget::Login,
        Budget::Register,
        Budget::Password,
        Budget::Refresh,
    ];

    #[test]
    fn policies_are_numbered_in_their_order() {
        for (number, policy) in Policy::ALL.into_iter().enumerate() {
            assert_eq!(policy as usize, number);
        }
    }

    #[test]
    fn a_refresh_is_counted_against_nothing_that_other_requests_use_up() {
        for other in BUDGETS.into_iter().filter(|budget| *budget != Budget::Refresh) {
            let mut policies = other.by_address().iter().chain(other.by_credential());
            assert!(!policies.any(|policy| Budget::Refresh.by_address().contains(policy)), "{other:?}");
        }
        assert_eq!(Budget::Refresh.by_credential(), []);
    }

    #[test]
    fn no_request_has_more_buckets_than_there_is_room_for() {
        for budget in BUDGETS {
            assert!(budget.by_address().len() + budget.by_credential().len() <= ROOM);
        }
    }
}
