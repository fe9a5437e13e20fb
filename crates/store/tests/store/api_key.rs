//! API keys: the limit, the family, and who reaches whom.

use std::collections::HashSet;

use cryptopay_domain::api_key::{ApiKey, ApiKeyCreationRejection, ApiKeyRequest, decide_creation};
use cryptopay_domain::{ApiKeyId, DisplayName, PageRequest, PermissionSet, UserId};
use cryptopay_store::Store;
use cryptopay_store::api_key::{ApiKeyFacts, ApiKeyPlan, ApiKeyWrite, KeyActor};
use cryptopay_store::revocation::Revoked;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{
    Fixture, at, at_once, audit, change_keys, hash_of, key_id, login, new_key, put_key, register,
    revocation_plan, session_id,
};

on_both_databases! {
    creations_at_once_at_the_limit_end_with_exactly_a_hundred_active_keys => limit_race;
    a_child_made_beside_its_parents_revocation_never_outlives_it => child_against_revocation;
    a_key_reaches_itself_and_those_under_it_alone => reach;
    the_facts_hold_no_key_beyond_the_actors_reach => reach_of_facts;
    another_merchants_key_is_never_reached => foreign_keys;
    an_actor_that_is_gone_changes_nothing => actor_gone;
    a_rotation_moves_the_children_to_the_successor => adoption;
    a_key_survives_its_row => exact_row;
    a_refused_change_writes_nothing => refused;
    every_changed_key_is_told_to_the_feed => told;
    last_uses_never_go_back => last_uses;
}

type Creation = ApiKeyWrite<ApiKeyId, ApiKeyCreationRejection>;

/// Makes a key as the auth core does: by the rules, under the merchant's lock.
async fn create(store: &Store, user: UserId, actor: KeyActor) -> Creation {
    let parent = match actor {
        KeyActor::Key(id) => Some(id),
        KeyActor::Session(_) | KeyActor::Operator => None,
    };
    let key = new_key(user, parent);
    let request = ApiKeyRequest {
        name: DisplayName::parse("till").unwrap(),
        permissions: PermissionSet::FULL,
        expires_at: None,
    };
    let decide = move |facts: ApiKeyFacts| {
        decide_creation(&request, facts.maker.as_ref(), facts.active, at(0))?;
        let id = key.id;
        Ok((ApiKeyPlan { insert: Some((key, hash_of(id))), changes: vec![], audit: vec![] }, id))
    };
    store.change_api_keys(user, actor, None, at(0), decide).await.unwrap()
}

async fn revoke(store: &Store, user: UserId, actor: KeyActor, target: ApiKeyId) -> usize {
    let decide = |facts: ApiKeyFacts| Ok::<_, ()>((revocation_plan(facts, at(1)), ()));
    match store.change_api_keys(user, actor, Some(target), at(1), decide).await.unwrap() {
        ApiKeyWrite::Written { revocations, .. } => revocations.len(),
        other => panic!("{other:?}"),
    }
}

async fn find(store: &Store, user: UserId, id: ApiKeyId) -> ApiKey {
    store.find_api_key(user, KeyActor::Operator, id).await.unwrap().expect("the key is there")
}

async fn limit_race(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let session = KeyActor::Session(login(store, alice).await);
    // What is over, or on its way out, does not count.
    put_key(store, ApiKey { revoked_at: Some(at(0)), ..new_key(alice, None) }).await;
    put_key(store, ApiKey { expires_at: Some(at(0)), ..new_key(alice, None) }).await;
    put_key(store, ApiKey { overlap_ends_at: Some(at(9)), ..new_key(alice, None) }).await;
    for _ in 0..99 {
        put_key(store, new_key(alice, None)).await;
    }
    let writes = at_once(20, |_| {
        let store = store.clone();
        async move { create(&store, alice, session).await }
    })
    .await;
    let made = writes.iter().filter(|write| matches!(write, ApiKeyWrite::Written { .. })).count();
    let refused = |write: &&Creation| matches!(write, ApiKeyWrite::Refused(ApiKeyCreationRejection::TooMany));
    assert_eq!((made, writes.iter().filter(refused).count()), (1, 19), "{writes:?}");
}

async fn child_against_revocation(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    for round in 0..15 {
        let parent = put_key(store, new_key(alice, None)).await.id;
        let writes = at_once(5, |number| {
            let store = store.clone();
            async move {
                // The revocation starts now here, now there among the creations.
                if number == round % 5 {
                    revoke(&store, alice, KeyActor::Operator, parent).await;
                    return None;
                }
                match create(&store, alice, KeyActor::Key(parent)).await {
                    ApiKeyWrite::Written { answer, .. } => Some(answer),
                    ApiKeyWrite::Refused(rejection) => {
                        assert_eq!(rejection, ApiKeyCreationRejection::MakerGone);
                        None
                    }
                    ApiKeyWrite::ActorGone => panic!("the account is enabled"),
                }
            }
        })
        .await;
        for child in writes.into_iter().flatten() {
            assert!(find(store, alice, child).await.revoked_at.is_some(), "a live child of a revoked key");
        }
    }
}

/// Keys of one merchant: `root` with `child` and `grandchild` under it, and `other` beside it.
struct Family {
    root: ApiKeyId,
    child: ApiKeyId,
    grandchild: ApiKeyId,
    other: ApiKeyId,
}

impl Family {
    async fn of(store: &Store, user: UserId) -> Self {
        let root = put_key(store, new_key(user, None)).await.id;
        let child = put_key(store, new_key(user, Some(root))).await.id;
        let grandchild = put_key(store, new_key(user, Some(child))).await.id;
        let other = put_key(store, new_key(user, None)).await.id;
        Self { root, child, grandchild, other }
    }

    fn all(&self) -> [ApiKeyId; 4] {
        [self.root, self.child, self.grandchild, self.other]
    }
}

/// What an actor finds by name among `keys`, which must be what it finds in its list.
async fn reached(store: &Store, user: UserId, actor: KeyActor, keys: [ApiKeyId; 4]) -> Vec<ApiKeyId> {
    let mut found = Vec::new();
    for id in keys {
        found.extend(store.find_api_key(user, actor, id).await.unwrap().map(|key| key.id));
    }
    let page = store.list_api_keys(user, actor, PageRequest::default(), at(0)).await.unwrap();
    let listed: HashSet<_> = page.items.iter().map(|key| key.id).collect();
    assert_eq!(listed, found.iter().copied().collect(), "list and look-up differ for {actor:?}");
    found
}

async fn reach(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let session = login(store, alice).await;
    let family = Family::of(store, alice).await;
    for (actor, expected) in [
        (KeyActor::Session(session), family.all().to_vec()),
        (KeyActor::Operator, family.all().to_vec()),
        (KeyActor::Key(family.root), vec![family.root, family.child, family.grandchild]),
        (KeyActor::Key(family.child), vec![family.child, family.grandchild]),
        (KeyActor::Key(family.grandchild), vec![family.grandchild]),
        (KeyActor::Key(family.other), vec![family.other]),
    ] {
        assert_eq!(reached(store, alice, actor, family.all()).await, expected, "{actor:?}");
    }
}

async fn reach_of_facts(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let family = Family::of(store, alice).await;
    for (actor, target, revoked) in [
        (family.child, family.root, 0),
        (family.grandchild, family.other, 0),
        (family.other, family.grandchild, 0),
        (family.root, family.child, 2),
    ] {
        let written = revoke(store, alice, KeyActor::Key(actor), target).await;
        assert_eq!(written, revoked, "{actor} revokes {target}");
    }
    assert_eq!(find(store, alice, family.root).await.revoked_at, None);
    assert_eq!(find(store, alice, family.grandchild).await.revoked_at, Some(at(1)));
}

async fn foreign_keys(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let family = Family::of(store, alice).await;
    let mut actors = vec![KeyActor::Session(login(store, bob).await), KeyActor::Operator];
    actors.push(KeyActor::Key(put_key(store, new_key(bob, None)).await.id));
    for actor in actors {
        for id in family.all() {
            assert_eq!(store.find_api_key(bob, actor, id).await.unwrap(), None);
            assert_eq!(revoke(store, bob, actor, id).await, 0);
        }
    }
    // Not even by a caller that mixes up merchants.
    let mixed_up = KeyActor::Key(family.root);
    assert_eq!(reached(store, bob, mixed_up, family.all()).await, []);
    assert!(matches!(create(store, bob, mixed_up).await, ApiKeyWrite::ActorGone));
    assert_eq!(store.find_api_key_owner(family.root).await.unwrap(), Some(alice));
    assert_eq!(find(store, alice, family.grandchild).await.revoked_at, None);
}

async fn actor_gone(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let session = login(store, alice).await;
    let foreign = login(store, bob).await;
    let key = put_key(store, new_key(alice, None)).await.id;
    for actor in [KeyActor::Session(foreign), KeyActor::Session(session_id()), KeyActor::Key(key_id())] {
        let write = create(store, alice, actor).await;
        assert!(matches!(write, ApiKeyWrite::ActorGone), "{actor:?}: {write:?}");
    }
    store.set_user_disabled("alice".to_owned(), Some(at(1)), at(1), audit("disabled")).await.unwrap();
    for actor in [KeyActor::Session(session), KeyActor::Key(key)] {
        let write = create(store, alice, actor).await;
        assert!(matches!(write, ApiKeyWrite::ActorGone), "{actor:?}: {write:?}");
    }
    assert_eq!(revoke(store, alice, KeyActor::Operator, key).await, 1, "the operator may all the same");
}

async fn adoption(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let family = Family::of(store, alice).await;
    let successor = new_key(alice, None);
    let heir = successor.id;
    change_keys(store, alice, Some(family.root), move |facts| {
        let old = facts.key.expect("the key is there");
        let children = facts.under.into_iter().filter(|key| key.parent == Some(old.id));
        let adopted = children.map(|key| ApiKey { parent: Some(heir), ..key });
        let retired = ApiKey { overlap_ends_at: Some(at(60)), successor: Some(heir), ..old.clone() };
        ApiKeyPlan {
            insert: Some((successor, hash_of(heir))),
            changes: adopted.chain([retired]).collect(),
            audit: vec![],
        }
    })
    .await;

    assert_eq!(find(store, alice, family.child).await.parent, Some(heir));
    assert_eq!(find(store, alice, family.grandchild).await.parent, Some(family.child));
    let old = find(store, alice, family.root).await;
    assert_eq!((old.successor, old.overlap_ends_at), (Some(heir), Some(at(60))));
    let keys = [heir, family.root, family.child, family.grandchild];
    let under_heir = reached(store, alice, KeyActor::Key(heir), keys).await;
    assert_eq!(under_heir, [heir, family.child, family.grandchild]);
    assert_eq!(reached(store, alice, KeyActor::Key(family.root), keys).await, [family.root]);
    change_keys(store, alice, Some(family.root), move |facts| {
        let under: HashSet<_> = facts.under_successor.iter().map(|key| key.id).collect();
        assert_eq!(facts.successor.map(|key| key.id), Some(heir));
        assert_eq!(under, HashSet::from([keys[2], keys[3]]));
        ApiKeyPlan::default()
    })
    .await;
}

async fn exact_row(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let parent = put_key(store, new_key(alice, None)).await.id;
    let key = ApiKey {
        name: "Kasse 1 \u{1f3ea}'\"".to_owned(),
        permissions: PermissionSet::from_comma_separated("read,manage_webhooks").unwrap(),
        expires_at: Some(at(100)),
        overlap_ends_at: Some(at(50)),
        revoked_at: Some(at(40)),
        successor: Some(parent),
        ..new_key(alice, Some(parent))
    };
    put_key(store, key.clone()).await;
    let presented = store.find_api_key_by_hash(hash_of(key.id)).await.unwrap().unwrap();
    assert_eq!((presented.key, presented.username.as_str()), (key, "alice"));
    assert_eq!(presented.user_disabled_at, None);
    assert!(store.find_api_key_by_hash([0; 32]).await.unwrap().is_none());
    assert_eq!(store.find_api_key_owner(key_id()).await.unwrap(), None);
}

async fn refused(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let key = put_key(store, new_key(alice, None)).await;
    let decide = |_| Err::<(ApiKeyPlan, ()), _>("no");
    let write = store.change_api_keys(alice, KeyActor::Operator, Some(key.id), at(0), decide).await.unwrap();
    assert!(matches!(write, ApiKeyWrite::Refused("no")));
    assert_eq!(find(store, alice, key.id).await, key);
}

async fn told(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let family = Family::of(store, alice).await;
    let before = store.read_revocations(None, at(0)).await.unwrap().position;
    assert_eq!(revoke(store, alice, KeyActor::Operator, family.root).await, 3);
    let read = store.read_revocations(Some(before), at(0)).await.unwrap();
    let told: HashSet<_> = read.revocations.iter().map(|row| row.revoked).collect();
    let family = [family.root, family.child, family.grandchild];
    assert_eq!(told, family.into_iter().map(Revoked::ApiKey).collect());
}

async fn last_uses(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let key = put_key(store, new_key(alice, None)).await.id;
    for (used, expected) in [(5, 5), (9, 9), (7, 9)] {
        store.mark_api_keys_used(vec![(key, at(used)), (key_id(), at(used))]).await.unwrap();
        assert_eq!(find(store, alice, key).await.last_used_at, Some(at(expected)));
    }
}
