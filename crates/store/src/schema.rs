//! The tables as Diesel sees them; `migrations/` is what makes them.

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    installation (id) {
        id -> BigInt,
        environment -> Text,
        issuer -> Text,
        generation -> BigInt,
        signing_key -> Text,
        longest_access_ttl -> BigInt,
        created_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    users (id) {
        id -> BigInt,
        username -> Text,
        username_lookup -> Text,
        email -> Text,
        email_lookup -> Text,
        shop_name -> Text,
        password_hash -> Text,
        created_at -> Moment,
        disabled_at -> Nullable<Moment>,
        credentials_version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    sessions (id) {
        id -> Text,
        user_id -> BigInt,
        created_at -> Moment,
        last_used_at -> Moment,
        expires_at -> Moment,
        ip -> Text,
        user_agent -> Nullable<Text>,
        counter -> BigInt,
        issued_at -> Moment,
        mac_key -> Text,
        used_at -> Nullable<Moment>,
        earlier_uses -> Text,
        ended_at -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    api_keys (id) {
        id -> Text,
        user_id -> BigInt,
        parent_id -> Nullable<Text>,
        name -> Text,
        prefix -> Text,
        hash -> Binary,
        permissions -> Text,
        created_at -> Moment,
        expires_at -> Nullable<Moment>,
        overlap_ends_at -> Nullable<Moment>,
        revoked_at -> Nullable<Moment>,
        successor_id -> Nullable<Text>,
        last_used_at -> Nullable<Moment>,
        listed_until -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    revocations (id) {
        id -> BigInt,
        kind -> Text,
        subject -> Text,
        recorded_at -> Moment,
        forget_after -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    audit_events (id) {
        id -> BigInt,
        occurred_at -> Moment,
        event -> Text,
        outcome -> Text,
        user_id -> Nullable<BigInt>,
        actor -> Text,
        subject -> Nullable<Text>,
        ip -> Text,
        user_agent -> Nullable<Text>,
        request_id -> Text,
        detail -> Nullable<Text>,
    }
}

diesel::joinable!(api_keys -> users (user_id));
diesel::joinable!(sessions -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(api_keys, sessions, users);
