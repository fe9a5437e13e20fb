//! Where the data is kept.

use std::fmt;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Where the data is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of embedded SQLite.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(String),
}

/// Text that names no database. It is not repeated but for its scheme: the rest may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Neither of the two databases.
    #[error(
        "the database URL must be sqlite://<path> or postgres://user:password@host:5432/database; {0} is neither"
    )]
    Scheme(String),
    /// No path of a file.
    #[error("sqlite:// must be followed by the path of a file, as in sqlite://data/cryptopay.db")]
    Path,
    /// Not to be read.
    #[error(
        "the PostgreSQL URL must be like postgres://user:password@host:5432/database, with every '@', ':', '/', \
         '?', '#' and '%' inside a password percent-encoded"
    )]
    Malformed,
}

impl DatabaseUrl {
    /// Parses `sqlite://<path>`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// [`DatabaseUrlError`] says what is wrong, without a password that the text may hold.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        match text.split_once("://") {
            // In memory every connection would have a database of its own.
            Some(("sqlite", "" | ":memory:")) => Err(DatabaseUrlError::Path),
            Some(("sqlite", path)) => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) if text.parse::<Config>().is_ok() => {
                Ok(Self::Postgres(text.to_owned()))
            }
            Some(("postgres" | "postgresql", _)) => Err(DatabaseUrlError::Malformed),
            Some((scheme, _)) => Err(DatabaseUrlError::Scheme(format!("'{scheme}'"))),
            None => Err(DatabaseUrlError::Scheme("a text without '://'".to_owned())),
        }
    }
}

/// Says which database it is, without user or password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite in {}", path.display()),
            Self::Postgres(url) => match place(url) {
                Some(place) => write!(f, "PostgreSQL at {place}"),
                None => f.write_str("PostgreSQL"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The hosts, ports and database of a URL; `None` where a part of a password could be taken for one of them,
/// because its special characters are not encoded.
fn place(url: &str) -> Option<String> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let config: Config = url.parse().ok()?;
    let ports = config.get_ports();
    let hosts: Option<Vec<String>> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let host = match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
                Host::Tcp(name) => name.clone(),
                Host::Unix(directory) => directory.display().to_string(),
            };
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            (!host.contains('@')).then(|| format!("{host}:{port}"))
        })
        .collect();
    let database = config.get_dbname().map_or_else(String::new, |name| format!("/{name}"));
    (!parameters.contains('@')).then_some(format!("{}{database}", hosts?.join(",")))
}
