//! Statements that many rows go into at once, as JSON: Diesel's own language has no words for them that both
//! databases understand.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Nullable, Text, Untyped};
use serde::Serialize;

use crate::StoreError;
use crate::moment::{At, Moment};
use crate::postgres::PgConn;
use crate::sqlite::SqliteConn;

/// A statement in SQL with `?` for each value. Unlike what `diesel::sql_query` makes, it is prepared once for
/// each connection.
pub(crate) struct Statement {
    sql: &'static str,
    values: Vec<Value>,
    is_prepared_anew: bool,
}

enum Value {
    Text(Option<String>),
    Binary(Vec<u8>),
    Number(i64),
    Moment(At),
}

impl Statement {
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new(), is_prepared_anew: false }
    }

    /// Has it prepared each time. PostgreSQL keeps the plan of a statement that stays prepared (`plan_cache_mode`), and
    /// one that was made for a few rows may look at all of them when there are many.
    pub(crate) const fn prepared_anew(mut self) -> Self {
        self.is_prepared_anew = true;
        self
    }

    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.with(Value::Text(Some(text.into())))
    }

    pub(crate) fn maybe_text(self, text: Option<String>) -> Self {
        self.with(Value::Text(text))
    }

    pub(crate) fn binary(self, bytes: Vec<u8>) -> Self {
        self.with(Value::Binary(bytes))
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.with(Value::Number(number))
    }

    pub(crate) fn moment(self, moment: impl Into<At>) -> Self {
        self.with(Value::Moment(moment.into()))
    }

    /// Binds rows as the text of a JSON array.
    pub(crate) fn json(self, rows: &impl Serialize) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt { table: "a statement", what: "row" };
        Ok(self.text(serde_json::to_string(rows).map_err(corrupt)?))
    }

    fn with(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }
}

impl<DB> QueryFragment<DB> for Statement
where
    DB: Backend + HasSqlType<Moment>,
    String: ToSql<Text, DB>,
    Vec<u8>: ToSql<Binary, DB>,
    i64: ToSql<BigInt, DB>,
    At: ToSql<Moment, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.is_prepared_anew {
            out.unsafe_to_cache_prepared();
        }
        let mut pieces = self.sql.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for (piece, value) in pieces.zip(&self.values) {
            match value {
                Value::Text(text) => out.push_bind_param::<Nullable<Text>, _>(text)?,
                Value::Binary(bytes) => out.push_bind_param::<Binary, _>(bytes)?,
                Value::Number(number) => out.push_bind_param::<BigInt, _>(number)?,
                Value::Moment(moment) => out.push_bind_param::<Moment, _>(moment)?,
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

/// Its text is what identifies it.
impl QueryId for Statement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement {
    type SqlType = Untyped;
}

/// A statement's text in each database's SQL.
#[derive(Clone, Copy)]
pub(crate) struct Dialects {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// Which SQL a connection speaks.
pub(crate) trait Dialect {
    fn statement(&self, dialects: Dialects) -> Statement;
}

impl Dialect for SqliteConn {
    fn statement(&self, dialects: Dialects) -> Statement {
        Statement::new(dialects.sqlite)
    }
}

impl Dialect for PgConn {
    fn statement(&self, dialects: Dialects) -> Statement {
        Statement::new(dialects.postgres)
    }
}
