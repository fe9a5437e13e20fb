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
        encryption_key -> Nullable<Text>,
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

    api_key_days (api_key_id, day) {
        api_key_id -> Text,
        day -> Text,
        requests -> BigInt,
        refusals -> BigInt,
        read_at -> Nullable<Moment>,
        create_payments_at -> Nullable<Moment>,
        manage_webhooks_at -> Nullable<Moment>,
        full_access_at -> Nullable<Moment>,
        verified_at -> Nullable<Moment>,
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

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    login_attempts (key) {
        key -> Text,
        restored_at -> Moment,
        last_at -> Moment,
        known_until -> Nullable<Moment>,
        forget_after -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    payment_orders (id) {
        id -> Text,
        user_id -> BigInt,
        amount -> Text,
        currency -> Text,
        description -> Nullable<Text>,
        metadata -> Text,
        status -> Text,
        created_at -> Moment,
        updated_at -> Moment,
        created_event_id -> Text,
        ended_event_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    idempotency_answers (user_id, route, key) {
        user_id -> BigInt,
        route -> Text,
        key -> Text,
        fingerprint -> Binary,
        answer -> Binary,
        created_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    webhook_endpoints (id) {
        id -> Text,
        user_id -> BigInt,
        url -> Text,
        events -> Text,
        description -> Nullable<Text>,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<Moment>,
        secret -> Binary,
        previous_secret -> Nullable<Binary>,
        previous_secret_ends_at -> Nullable<Moment>,
        created_at -> Moment,
        deleted_at -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    webhook_events (id) {
        id -> Text,
        event_type -> Text,
        body -> Binary,
        created_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    webhook_deliveries (id) {
        id -> Text,
        event_id -> Text,
        endpoint_id -> Text,
        status -> Text,
        lane -> SmallInt,
        tries -> BigInt,
        plan_started_at -> Moment,
        next_attempt_at -> Nullable<Moment>,
        due_at -> Nullable<Moment>,
        created_at -> Moment,
        ended_at -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::moment::Moment;

    webhook_attempts (delivery_id, at) {
        delivery_id -> Text,
        at -> Moment,
        status_code -> Nullable<BigInt>,
        error -> Nullable<Text>,
        duration_ms -> BigInt,
        response -> Nullable<Text>,
    }
}

diesel::joinable!(api_keys -> users (user_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(webhook_deliveries -> webhook_endpoints (endpoint_id));
diesel::joinable!(webhook_deliveries -> webhook_events (event_id));
diesel::allow_tables_to_appear_in_same_query!(api_keys, sessions, users);
diesel::allow_tables_to_appear_in_same_query!(webhook_deliveries, webhook_endpoints, webhook_events);
