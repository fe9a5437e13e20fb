//! API keys: their life, what one key may do to another, rotation and narrowing.
//!
//! A key made with another key stands *under* it: it never gets more permission or a later end than its
//! maker has at that moment, and is revoked along with it.

mod rotation;

use std::time::Duration;

use crate::{ApiKeyId, DisplayName, Permission, PermissionSet, Timestamp, UserId};

pub use rotation::{NewSuccessor, RotationConflict, RotationFacts, RotationPlan, plan_rotation};

/// How many active keys a merchant may have.
pub const MAX_ACTIVE_KEYS: usize = 100;
/// How long expired and revoked keys are still listed.
pub const LISTED_AFTER_END: Duration = Duration::from_secs(90 * 24 * 3600);
/// The longest time a rotated key may work on.
pub const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a rotated key works on unless the caller says otherwise.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// An API key as it is kept: everything but the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its identifier.
    pub id: ApiKeyId,
    /// Whose key it is.
    pub user_id: UserId,
    /// The key it was made with; absent when a login made it.
    pub parent: Option<ApiKeyId>,
    /// What its owner calls it.
    pub name: String,
    /// Its first 12 characters.
    pub prefix: String,
    /// What it opens.
    pub permissions: PermissionSet,
    /// When it was made.
    pub created_at: Timestamp,
    /// The end it was made with, if any.
    pub expires_at: Option<Timestamp>,
    /// When the overlap of its rotation ends, if it was rotated.
    pub overlap_ends_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// The key that took its place, if it was rotated.
    pub successor: Option<ApiKeyId>,
    /// When it was last presented, to within a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyStatus {
    /// It works.
    Active,
    /// It was rotated and works until its overlap ends.
    Expiring,
    /// Its end, or its overlap's, has come.
    Expired,
    /// It was revoked.
    Revoked,
}

impl ApiKeyStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether a key of this status opens anything.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Active | Self::Expiring)
    }
}

impl ApiKey {
    /// When it stops by itself: the earlier of its own end and its overlap's.
    #[must_use]
    pub fn effective_end(&self) -> Option<Timestamp> {
        match (self.expires_at, self.overlap_ends_at) {
            (Some(own), Some(overlap)) => Some(own.min(overlap)),
            (own, overlap) => own.or(overlap),
        }
    }

    /// Where it stands at `now`. An end is exact: at that very moment the key no longer works.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> ApiKeyStatus {
        if self.revoked_at.is_some() {
            ApiKeyStatus::Revoked
        } else if self.effective_end().is_some_and(|end| now >= end) {
            ApiKeyStatus::Expired
        } else if self.overlap_ends_at.is_some() {
            ApiKeyStatus::Expiring
        } else {
            ApiKeyStatus::Active
        }
    }

    /// From when on it need not be listed any more, if its end is known.
    #[must_use]
    pub fn listed_until(&self) -> Option<Timestamp> {
        let ends = [self.revoked_at, self.effective_end()].into_iter().flatten().min();
        ends.map(|end| end.after(LISTED_AFTER_END))
    }
}

/// What a merchant asks of a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRequest {
    /// What to call it.
    pub name: DisplayName,
    /// What it shall open.
    pub permissions: PermissionSet,
    /// When it shall end; never, when absent.
    pub expires_at: Option<Timestamp>,
}

/// Why a key is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyCreationRejection {
    /// No permission was asked for.
    NoPermission,
    /// More permission than the making key has.
    MorePermission,
    /// An end that is not in the future.
    EndNotInFuture,
    /// A later end than the making key's, or none where that one has one.
    LaterEnd,
    /// The merchant has as many active keys as there may be.
    TooMany,
    /// The making key was revoked, or has ended, meanwhile.
    MakerGone,
    /// The making key may no longer manage keys.
    MakerLacksPermission,
}

/// Decides whether a key may be made, with `maker` (a login when absent) and `active` keys there already.
///
/// # Errors
/// The rule that forbids it.
pub fn decide_creation(
    request: &ApiKeyRequest,
    maker: Option<&ApiKey>,
    active: usize,
    now: Timestamp,
) -> Result<(), ApiKeyCreationRejection> {
    use ApiKeyCreationRejection as Rejection;
    if let Some(maker) = maker {
        if !maker.status(now).is_usable() {
            return Err(Rejection::MakerGone);
        }
        if !maker.permissions.allows(Permission::FullAccess) {
            return Err(Rejection::MakerLacksPermission);
        }
    }
    if request.permissions.is_empty() {
        return Err(Rejection::NoPermission);
    }
    if request.expires_at.is_some_and(|end| end <= now) {
        return Err(Rejection::EndNotInFuture);
    }
    if let Some(maker) = maker {
        if !request.permissions.is_subset_of(maker.permissions) {
            return Err(Rejection::MorePermission);
        }
        if let Some(limit) = maker.effective_end()
            && request.expires_at.is_none_or(|end| end > limit)
        {
            return Err(Rejection::LaterEnd);
        }
    }
    if active >= MAX_ACTIVE_KEYS {
        return Err(Rejection::TooMany);
    }
    Ok(())
}

/// What a merchant asks of an existing key; at least one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ApiKeyChange {
    /// A new name.
    pub name: Option<DisplayName>,
    /// Fewer permissions: a subset of the present ones.
    pub permissions: Option<PermissionSet>,
}

/// Why a key is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyChangeRejection {
    /// It would have no permission left.
    NoPermission,
    /// It would get a permission it does not have.
    MorePermission,
    /// It no longer works.
    Conflict,
}

/// Decides whether a key may be changed.
///
/// # Errors
/// The rule that forbids it.
pub fn decide_change(
    key: &ApiKey,
    change: &ApiKeyChange,
    now: Timestamp,
) -> Result<(), ApiKeyChangeRejection> {
    if let Some(permissions) = change.permissions {
        if permissions.is_empty() {
            return Err(ApiKeyChangeRejection::NoPermission);
        }
        if !permissions.is_subset_of(key.permissions) {
            return Err(ApiKeyChangeRejection::MorePermission);
        }
    }
    if !key.status(now).is_usable() {
        return Err(ApiKeyChangeRejection::Conflict);
    }
    Ok(())
}

/// What becomes of a key under one that was narrowed to `limit`; `None` when nothing does.
#[must_use]
pub fn narrow_under(key: &ApiKey, limit: PermissionSet) -> Option<Narrowing> {
    let left = key.permissions.intersection(limit);
    if left == key.permissions {
        None
    } else if left.is_empty() {
        Some(Narrowing::Revoke)
    } else {
        Some(Narrowing::To(left))
    }
}

/// How narrowing reaches a key under the narrowed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowing {
    /// It keeps these permissions.
    To(PermissionSet),
    /// It would keep none.
    Revoke,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn id(last: u8) -> ApiKeyId {
        format!("0193f1b2c3d4700089abcdef012345{last:02x}").parse().unwrap()
    }

    fn key() -> ApiKey {
        ApiKey {
            id: id(1),
            user_id: UserId(1),
            parent: None,
            name: "till".to_owned(),
            prefix: "cp_test_AbC1".to_owned(),
            permissions: PermissionSet::FULL,
            created_at: at(0),
            expires_at: None,
            overlap_ends_at: None,
            revoked_at: None,
            successor: None,
            last_used_at: None,
        }
    }

    fn request(permissions: &[Permission], expires_at: Option<Timestamp>) -> ApiKeyRequest {
        ApiKeyRequest {
            name: DisplayName::parse("child").unwrap(),
            permissions: permissions.iter().copied().collect(),
            expires_at,
        }
    }

    #[test]
    fn a_key_stops_at_its_end_to_the_moment() {
        let key = ApiKey { expires_at: Some(at(10)), ..key() };
        assert_eq!(key.status(at(9)), ApiKeyStatus::Active);
        assert_eq!(key.status(at(10)), ApiKeyStatus::Expired);
        let rotated = ApiKey { overlap_ends_at: Some(at(5)), ..key };
        assert_eq!(rotated.status(at(4)), ApiKeyStatus::Expiring);
        assert_eq!(rotated.status(at(5)), ApiKeyStatus::Expired);
        assert_eq!(ApiKey { revoked_at: Some(at(1)), ..rotated }.status(at(2)), ApiKeyStatus::Revoked);
    }

    #[test]
    fn a_login_may_make_any_key_whose_end_lies_ahead() {
        assert_eq!(decide_creation(&request(&[Permission::FullAccess], None), None, 0, at(0)), Ok(()));
        assert_eq!(
            decide_creation(&request(&[Permission::Read], Some(at(0))), None, 0, at(0)),
            Err(ApiKeyCreationRejection::EndNotInFuture)
        );
        assert_eq!(
            decide_creation(&request(&[], None), None, 0, at(0)),
            Err(ApiKeyCreationRejection::NoPermission)
        );
        assert_eq!(
            decide_creation(&request(&[Permission::Read], None), None, MAX_ACTIVE_KEYS, at(0)),
            Err(ApiKeyCreationRejection::TooMany)
        );
    }

    #[test]
    fn a_key_never_makes_one_that_outlives_it() {
        let maker = ApiKey { expires_at: Some(at(100)), ..key() };
        for (end, expected) in [
            (None, Err(ApiKeyCreationRejection::LaterEnd)),
            (Some(at(101)), Err(ApiKeyCreationRejection::LaterEnd)),
            (Some(at(100)), Ok(())),
        ] {
            let request = request(&[Permission::Read], end);
            assert_eq!(decide_creation(&request, Some(&maker), 0, at(0)), expected, "{end:?}");
        }
        let rotated = ApiKey { overlap_ends_at: Some(at(50)), ..maker };
        assert_eq!(
            decide_creation(&request(&[Permission::Read], Some(at(60))), Some(&rotated), 0, at(0)),
            Err(ApiKeyCreationRejection::LaterEnd)
        );
    }

    #[test]
    fn a_revoked_or_narrowed_maker_makes_nothing() {
        let revoked = ApiKey { revoked_at: Some(at(0)), ..key() };
        let narrowed = ApiKey { permissions: [Permission::Read].into_iter().collect(), ..key() };
        let request = request(&[Permission::Read], None);
        assert_eq!(
            decide_creation(&request, Some(&revoked), 0, at(1)),
            Err(ApiKeyCreationRejection::MakerGone)
        );
        assert_eq!(
            decide_creation(&request, Some(&narrowed), 0, at(1)),
            Err(ApiKeyCreationRejection::MakerLacksPermission)
        );
    }

    #[test]
    fn narrowing_only_takes_away() {
        let key = ApiKey { permissions: [Permission::Read].into_iter().collect(), ..key() };
        let change = |permissions: &[Permission]| ApiKeyChange {
            permissions: Some(permissions.iter().copied().collect()),
            name: None,
        };
        assert_eq!(decide_change(&key, &change(&[Permission::Read]), at(0)), Ok(()));
        assert_eq!(
            decide_change(&key, &change(&[Permission::CreatePayments]), at(0)),
            Err(ApiKeyChangeRejection::MorePermission)
        );
        assert_eq!(decide_change(&key, &change(&[]), at(0)), Err(ApiKeyChangeRejection::NoPermission));
        let revoked = ApiKey { revoked_at: Some(at(0)), ..key };
        assert_eq!(
            decide_change(&revoked, &ApiKeyChange::default(), at(0)),
            Err(ApiKeyChangeRejection::Conflict)
        );
    }

    #[test]
    fn a_key_under_a_narrowed_one_keeps_what_both_allow_or_is_revoked() {
        let read_and_pay = [Permission::Read, Permission::CreatePayments].into_iter().collect();
        let child = ApiKey { permissions: read_and_pay, ..key() };
        let read = [Permission::Read].into_iter().collect();
        let hooks = [Permission::ManageWebhooks].into_iter().collect();
        assert_eq!(narrow_under(&child, read), Some(Narrowing::To(read)));
        assert_eq!(narrow_under(&child, hooks), Some(Narrowing::Revoke));
        assert_eq!(narrow_under(&child, PermissionSet::FULL), None);
    }
}
