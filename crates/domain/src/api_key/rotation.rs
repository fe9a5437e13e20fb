//! Rotation of a key: what becomes of it, of the successor it may have, and of the keys made with either.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ApiKey, ApiKeyStatus};
use crate::{ApiKeyId, Timestamp};

/// What a rotation stands on.
#[derive(Clone, Debug)]
pub struct RotationFacts {
    /// The key.
    pub key: ApiKey,
    /// The successor of its last rotation, if it was rotated, with its latest use.
    pub successor: Option<ApiKey>,
    /// The keys under it and under its successor, at any depth, in any order and as often as they are found.
    pub under: Vec<ApiKey>,
}

/// What is known of the successor that is to be.
#[derive(Clone, Debug)]
pub struct NewSuccessor {
    /// Its identifier.
    pub id: ApiKeyId,
    /// Its first 12 characters.
    pub prefix: String,
    /// The key that asks for the rotation, along with which the successor is revoked; absent for a login.
    pub maker: Option<ApiKeyId>,
}

/// What a rotation writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPlan {
    /// The key to make.
    pub successor: ApiKey,
    /// The keys to change, as they are to be, each once: the rotated key first.
    pub changes: Vec<ApiKey>,
}

/// The key is not active, and its successor may not be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationConflict;

/// Decides a rotation.
///
/// An active key gets a successor with its name, permissions and end, and works on for `overlap`, though never
/// past its own end. An expiring one whose successor nobody has used gets another in that one's place, for
/// the answer that showed it may have been lost; the overlap starts anew, and the unused one is revoked.
/// Either way the keys that were made with the old key, or with the replaced one, from now on stand under
/// the new one.
///
/// # Errors
/// [`RotationConflict`] for any other key.
pub fn plan_rotation(
    facts: RotationFacts,
    new: NewSuccessor,
    overlap: Duration,
    now: Timestamp,
) -> Result<RotationPlan, RotationConflict> {
    let RotationFacts { key, successor, under } = facts;
    let replaced = match key.status(now) {
        ApiKeyStatus::Active => None,
        ApiKeyStatus::Expiring => Some(successor.filter(|one| is_unused(one, now)).ok_or(RotationConflict)?),
        ApiKeyStatus::Expired | ApiKeyStatus::Revoked => return Err(RotationConflict),
    };
    let overlap_end = now.whole_seconds().after(overlap);
    let overlap_ends_at = key.expires_at.map_or(overlap_end, |own| own.min(overlap_end));

    let makers: Vec<_> = [Some(key.id), replaced.as_ref().map(|one| one.id)].into_iter().flatten().collect();
    let moves = |child: &ApiKey| {
        !makers.contains(&child.id) && child.parent.is_some_and(|parent| makers.contains(&parent))
    };
    let moved = under.into_iter().filter(moves).map(|child| ApiKey { parent: Some(new.id), ..child });
    let moved: BTreeMap<_, _> = moved.map(|child| (child.id, child)).collect();

    let successor = ApiKey {
        id: new.id,
        parent: new.maker,
        prefix: new.prefix,
        created_at: now,
        overlap_ends_at: None,
        successor: None,
        last_used_at: None,
        ..key.clone()
    };
    let rotated = ApiKey { overlap_ends_at: Some(overlap_ends_at), successor: Some(new.id), ..key };
    let replaced = replaced.map(|one| ApiKey { revoked_at: Some(now), ..one });
    let changes = std::iter::once(rotated).chain(replaced).chain(moved.into_values()).collect();
    Ok(RotationPlan { successor, changes })
}

fn is_unused(successor: &ApiKey, now: Timestamp) -> bool {
    successor.last_used_at.is_none() && successor.status(now) == ApiKeyStatus::Active
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PermissionSet, UserId};

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn id(last: u8) -> ApiKeyId {
        format!("0193f1b2c3d4700089abcdef012345{last:02x}").parse().unwrap()
    }

    /// The key `number`, made with the key `parent`, if that is not 0.
    fn key(number: u8, parent: u8) -> ApiKey {
        ApiKey {
            id: id(number),
            user_id: UserId(1),
            parent: (parent != 0).then(|| id(parent)),
            name: "till".to_owned(),
            prefix: format!("cp_test_{number:04}"),
            permissions: PermissionSet::FULL,
            created_at: at(0),
            expires_at: None,
            overlap_ends_at: None,
            revoked_at: None,
            successor: None,
            last_used_at: None,
        }
    }

    /// The key 1, rotated an hour ago; its successor is the key 2.
    fn expiring() -> ApiKey {
        ApiKey { overlap_ends_at: Some(at(3600)), successor: Some(id(2)), ..key(1, 0) }
    }

    fn facts(key: ApiKey, successor: Option<ApiKey>, under: Vec<ApiKey>) -> RotationFacts {
        RotationFacts { key, successor, under }
    }

    fn plan(facts: RotationFacts, overlap: Duration) -> Result<RotationPlan, RotationConflict> {
        let new = NewSuccessor { id: id(9), prefix: "cp_test_0009".to_owned(), maker: Some(id(7)) };
        plan_rotation(facts, new, overlap, at(10))
    }

    #[test]
    fn an_active_key_gets_a_successor_and_works_until_the_overlap_ends() {
        let old = ApiKey { expires_at: Some(at(100_000)), last_used_at: Some(at(5)), ..key(1, 3) };
        let plan = plan(facts(old.clone(), None, vec![]), HOUR).unwrap();
        assert_eq!(
            plan.successor,
            ApiKey { expires_at: Some(at(100_000)), created_at: at(10), ..key(9, 7) },
            "name, permissions and end are kept; it stands under whoever asks"
        );
        let rotated = ApiKey { overlap_ends_at: Some(at(3610)), successor: Some(id(9)), ..old };
        assert_eq!(plan.changes, [rotated]);
    }

    #[test]
    fn an_overlap_never_reaches_past_the_keys_own_end() {
        let old = ApiKey { expires_at: Some(at(100)), ..key(1, 0) };
        for (overlap, ends) in [(HOUR, 100), (Duration::from_secs(90), 100), (Duration::ZERO, 10)] {
            let plan = plan(facts(old.clone(), None, vec![]), overlap).unwrap();
            assert_eq!(plan.changes[0].overlap_ends_at, Some(at(ends)));
        }
    }

    #[test]
    fn the_children_of_the_old_key_move_and_theirs_stay_with_them() {
        let under = vec![key(4, 1), key(5, 4), key(3, 1), key(4, 1)];
        let plan = plan(facts(key(1, 0), None, under), HOUR).unwrap();
        let moved = ApiKey { parent: Some(id(9)), ..key(3, 1) };
        assert_eq!(plan.changes[1..], [moved, ApiKey { parent: Some(id(9)), ..key(4, 1) }]);
    }

    #[test]
    fn an_unused_successor_is_replaced_with_all_that_was_made_with_it() {
        // The successor was made with the old key itself, so that it stands under it, too.
        let successor = key(2, 1);
        let under = vec![successor.clone(), key(3, 1), key(4, 2), key(5, 4)];
        let plan = plan(facts(expiring(), Some(successor), under), HOUR).unwrap();
        let rotated = ApiKey { overlap_ends_at: Some(at(3610)), successor: Some(id(9)), ..expiring() };
        let replaced = ApiKey { revoked_at: Some(at(10)), ..key(2, 1) };
        let moved = |number, parent| ApiKey { parent: Some(id(9)), ..key(number, parent) };
        assert_eq!(plan.changes, [rotated, replaced, moved(3, 1), moved(4, 2)]);
    }

    #[test]
    fn any_other_key_cannot_be_rotated() {
        let used = ApiKey { last_used_at: Some(at(1)), ..key(2, 0) };
        let revoked = ApiKey { revoked_at: Some(at(1)), ..key(2, 0) };
        let ended = ApiKey { expires_at: Some(at(10)), ..key(2, 0) };
        for successor in [Some(used), Some(revoked), Some(ended), None] {
            assert_eq!(plan(facts(expiring(), successor, vec![]), HOUR), Err(RotationConflict));
        }
        let over = ApiKey { overlap_ends_at: Some(at(10)), ..expiring() };
        let revoked = ApiKey { revoked_at: Some(at(1)), ..key(1, 0) };
        for old in [over, revoked] {
            assert_eq!(plan(facts(old, Some(key(2, 0)), vec![]), HOUR), Err(RotationConflict));
        }
    }
}
