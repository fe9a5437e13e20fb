//! One text per query: each body is compiled once for SQLite and once for PostgreSQL.

/// Runs a query that changes nothing on either database.
macro_rules! reading {
    ($store:expr, |$conn:ident| $body:expr) => {
        $crate::Store::within_deadline(async {
            match &*$store.backend {
                $crate::store::Backend::Sqlite(pool) => {
                    pool.read(move |$conn: &mut $crate::sqlite::SqliteConn| Box::pin(async move { $body }))
                        .await
                }
                $crate::store::Backend::Postgres(pool) => {
                    pool.read(move |$conn: &mut $crate::postgres::PgConn| Box::pin(async move { $body }))
                        .await
                }
            }
        })
        .await
    };
}

/// Runs a transaction on either database; it is committed if the body ends with `Ok`.
macro_rules! writing {
    ($store:expr, |$conn:ident| $body:expr) => {
        $crate::Store::within_deadline(async {
            match &*$store.backend {
                $crate::store::Backend::Sqlite(pool) => {
                    pool.write(move |$conn: &mut $crate::sqlite::SqliteConn| Box::pin(async move { $body }))
                        .await
                }
                $crate::store::Backend::Postgres(pool) => {
                    pool.write(move |$conn: &mut $crate::postgres::PgConn| Box::pin(async move { $body }))
                        .await
                }
            }
        })
        .await
    };
}

/// Queries that several operations share: a trait of both connections, its methods' text written once.
///
/// The futures are boxed, since the compiler would otherwise prove anew, at every level of the calls, that
/// the whole tree of them may change threads.
macro_rules! shared_queries {
    ($(#[$docs:meta])* trait $name:ident {
        $($(#[$method_docs:meta])* async fn $method:ident($conn:ident $(, $argument:ident: $type:ty)* $(,)?)
            -> $result:ty $body:block)*
    }) => {
        $(#[$docs])*
        pub(crate) trait $name {
            $($(#[$method_docs])*
            fn $method(&mut self $(, $argument: $type)*) -> futures_util::future::BoxFuture<'_, $result>;)*
        }
        impl $name for $crate::sqlite::SqliteConn {
            $(fn $method(&mut self $(, $argument: $type)*) -> futures_util::future::BoxFuture<'_, $result> {
                let $conn = self;
                Box::pin(async move { $body })
            })*
        }
        impl $name for $crate::postgres::PgConn {
            $(fn $method(&mut self $(, $argument: $type)*) -> futures_util::future::BoxFuture<'_, $result> {
                let $conn = self;
                Box::pin(async move { $body })
            })*
        }
    };
}

/// The rows of a page of a list, nearest first and one too many, as `Page::from_found` wants them.
macro_rules! on_page {
    ($query:expr, $id:expr, $request:expr) => {{
        use cryptopay_domain::page::{Direction, Position};
        let many = i64::try_from($request.limit.get() + 1).unwrap_or(i64::MAX);
        let query = $query.limit(many).into_boxed();
        match $request.position {
            None => query.order($id.desc()),
            Some(Position { beside, direction: Direction::Older }) => {
                query.filter($id.lt(beside.to_string())).order($id.desc())
            }
            Some(Position { beside, direction: Direction::Newer }) => {
                query.filter($id.gt(beside.to_string())).order($id.asc())
            }
        }
    }};
}

/// Queries that take the rows they find: with a locking clause on PostgreSQL; on SQLite whoever writes has
/// everything already.
macro_rules! locking_queries {
    ($(#[$docs:meta])* trait $name:ident {
        $($(#[$method_docs:meta])* async fn $method:ident($($argument:ident: $type:ty),* $(,)?)
            -> Vec<$row:ty> = { $query:expr } $(.$lock:ident())+;)*
    }) => {
        $(#[$docs])*
        pub(crate) trait $name {
            $($(#[$method_docs])*
            fn $method(&mut self $(, $argument: $type)*)
                -> futures_util::future::BoxFuture<'_, Result<Vec<$row>, $crate::StoreError>>;)*
        }
        impl $name for $crate::sqlite::SqliteConn {
            $(fn $method(&mut self $(, $argument: $type)*)
                -> futures_util::future::BoxFuture<'_, Result<Vec<$row>, $crate::StoreError>> {
                Box::pin(async move { Ok($query.load::<$row>(self).await?) })
            })*
        }
        impl $name for $crate::postgres::PgConn {
            $(fn $method(&mut self $(, $argument: $type)*)
                -> futures_util::future::BoxFuture<'_, Result<Vec<$row>, $crate::StoreError>> {
                Box::pin(async move { Ok($query $(.$lock())+.load::<$row>(self).await?) })
            })*
        }
    };
}
