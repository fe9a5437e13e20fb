//! Database URLs: what they may look like, and that no password of one is ever shown.

use cryptopay_store::{DatabaseUrl, DatabaseUrlError};

#[test]
fn both_databases_are_told_apart_by_scheme() {
    for (text, shown) in [
        ("sqlite://data/cryptopay.db", "SQLite in data/cryptopay.db"),
        ("sqlite:///var/lib/cryptopay.db", "SQLite in /var/lib/cryptopay.db"),
        ("postgres://db.example.com/cryptopay", "PostgreSQL at db.example.com:5432/cryptopay"),
        ("postgresql://u:p@db.example.com:5433/cryptopay", "PostgreSQL at db.example.com:5433/cryptopay"),
        ("postgres://u@%2Frun%2Fpostgresql/pay", "PostgreSQL at /run/postgresql:5432/pay"),
        ("postgres://u:p@[2001:db8::1]:5432/pay", "PostgreSQL at [2001:db8::1]:5432/pay"),
        ("postgres://user@one,two:5433/pay", "PostgreSQL at one:5432,two:5433/pay"),
        ("postgres:///pay?host=%2Frun%2Fpostgresql&user=u", "PostgreSQL at /run/postgresql:5432/pay"),
    ] {
        assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), shown, "{text}");
    }
}

#[test]
fn no_form_of_a_password_is_shown() {
    for text in [
        "postgres://user:hunter2@db.example.com:5432/pay",
        "postgres://user:a@hunter2@db.example.com:5432/pay",
        "postgres://user:a?hunter2@db.example.com:5432/pay",
        "postgres://user:a/hunter2@db.example.com:5432/pay",
        "postgres://user:a#hunter2@db.example.com:5432/pay",
        "postgres://user:hunter2",
        "postgres://user:hunter2/pay",
        "postgres://db.example.com/pay?user=u&password=hunter2",
        "postgres://db.example.com/pay?user=u&password=a@hunter2",
        "postgres://db.example.com/pay?user=u&password=a&hunter2",
        "postgres://u@db.example.com/pay?options=a@hunter2",
        "mysql://user:hunter2@db.example.com/pay",
        "user:hunter2@db.example.com/pay",
    ] {
        let url = DatabaseUrl::parse(text);
        let mut shown = format!("{url:?}");
        match url {
            Ok(url) => shown += &url.to_string(),
            Err(error) => shown += &error.to_string(),
        }
        shown += &DatabaseUrl::Postgres(text.to_owned()).to_string();
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
}

#[test]
fn what_names_no_database_is_refused_with_the_way_out() {
    for wrong in ["", "cryptopay.db", "mysql://db/pay", "SQLITE", "postgres:/db"] {
        let said = DatabaseUrl::parse(wrong).unwrap_err().to_string();
        assert!(said.contains("sqlite://") && said.contains("postgres://"), "{wrong}: {said}");
    }
    for wrong in ["sqlite://", "sqlite://:memory:"] {
        assert_eq!(DatabaseUrl::parse(wrong), Err(DatabaseUrlError::Path));
    }
    for wrong in ["postgres://db:port/pay", "postgres://db/pay?no_such_option=1"] {
        assert_eq!(DatabaseUrl::parse(wrong), Err(DatabaseUrlError::Malformed));
    }
}
