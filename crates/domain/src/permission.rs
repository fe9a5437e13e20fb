//! What a credential may do.

use std::fmt;
use std::str::FromStr;

/// One permission. `full_access` implies the others; no other implies anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Every `GET` of payment orders, webhook endpoints and deliveries.
    Read,
    /// Creating payment orders.
    CreatePayments,
    /// Creating, changing, deleting and testing webhook endpoints.
    ManageWebhooks,
    /// All operations, API-key management included.
    FullAccess,
}

/// Text that names no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of read, create_payments, manage_webhooks, full_access")]
pub struct PermissionError;

impl Permission {
    /// Every permission, in the order in which they are always listed.
    pub const ALL: [Self; 4] = [Self::Read, Self::CreatePayments, Self::ManageWebhooks, Self::FullAccess];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::CreatePayments => "create_payments",
            Self::ManageWebhooks => "manage_webhooks",
            Self::FullAccess => "full_access",
        }
    }

    /// The name people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "Read Only",
            Self::CreatePayments => "Create Payments",
            Self::ManageWebhooks => "Manage Webhooks",
            Self::FullAccess => "Full Access",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text).ok_or(PermissionError)
    }
}

/// The permissions a credential effectively has: a set that holds `full_access` holds all four.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u8);

impl PermissionSet {
    /// No permission at all.
    pub const EMPTY: Self = Self(0);
    /// All four: what a login has.
    pub const FULL: Self = Self(0b1111);

    /// Whether this set opens what `permission` guards.
    #[must_use]
    pub const fn allows(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether everything this set allows, `other` allows too.
    #[must_use]
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// What both sets allow.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The permissions, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.allows(*permission))
    }

    /// The names, in listing order, separated by commas without blanks.
    #[must_use]
    pub fn to_comma_separated(self) -> String {
        self.iter().map(Permission::as_str).collect::<Vec<_>>().join(",")
    }

    /// Reads what [`PermissionSet::to_comma_separated`] wrote.
    ///
    /// # Errors
    /// [`PermissionError`] when a name is none.
    pub fn from_comma_separated(text: &str) -> Result<Self, PermissionError> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse::<Permission>).collect()
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let bits = permissions.into_iter().fold(0, |bits, permission| bits | permission.bit());
        if bits & Permission::FullAccess.bit() == 0 { Self(bits) } else { Self::FULL }
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_access_implies_another() {
        for permission in Permission::ALL {
            let set: PermissionSet = [permission].into_iter().collect();
            for asked in Permission::ALL {
                let implied = permission == asked || permission == Permission::FullAccess;
                assert_eq!(set.allows(asked), implied, "{permission} opens {asked}");
            }
        }
    }

    #[test]
    fn a_set_lists_in_table_order_whatever_the_order_it_was_given() {
        let set: PermissionSet =
            [Permission::ManageWebhooks, Permission::Read, Permission::Read].into_iter().collect();
        assert_eq!(set.to_comma_separated(), "read,manage_webhooks");
        assert_eq!(PermissionSet::FULL.iter().count(), 4);
    }

    #[test]
    fn all_three_narrow_permissions_are_not_full_access() {
        let set = PermissionSet::from_comma_separated("read,create_payments,manage_webhooks").unwrap();
        assert!(!set.allows(Permission::FullAccess));
        assert!(set.is_subset_of(PermissionSet::FULL));
        assert!(!PermissionSet::FULL.is_subset_of(set));
    }
}
