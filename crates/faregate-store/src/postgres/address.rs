//! Where the database is, and how it is reached. Holds a password: is never shown whole.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::limits;

/// The address of a PostgreSQL database: `postgres://user:password@host:port/database?…`.
///
/// Every connection to another machine is encrypted and the server's certificate is verified, for its name too, unless the
/// address says `sslmode=disable`; `sslrootcert=/a/file.pem` names the authorities to believe instead of those of this
/// machine. Several hosts may be named, as for libpq: the first that takes writes is used.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) tls: Tls,
    shown: Box<str>,
}

/// Whether and how connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not.
    Off,
    /// With a certificate that is verified against these authorities, or against those of this machine.
    On(Option<PathBuf>),
}

/// Why a text is no address of a database. Never shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// It is something else.
    #[error("expected postgres://user@host:port/database")]
    Form,
    /// It names no host or no database.
    #[error("the address of the database names no {0}")]
    Missing(&'static str),
    /// A mode without a verified certificate that does not say so.
    #[error(
        "sslmode is disable, or require (verify-full means the same: certificates are always verified)"
    )]
    SslMode,
}

impl PostgresUrl {
    /// True when a text is meant to be such an address.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        ["postgres:", "postgresql:"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    }

    /// Reads an address.
    ///
    /// # Errors
    /// [`PostgresUrlError`], which does not repeat what was read.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        let is_one = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if !is_one || text.len() > limits::URL_BYTES_MAX {
            return Err(PostgresUrlError::Form);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut authorities, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(PostgresUrlError::Form)?;
            match key {
                "sslmode" => mode = Some(value),
                "sslrootcert" => {
                    let path = percent_decode_str(value).decode_utf8();
                    let path = path.map_err(|_| PostgresUrlError::Form)?;
                    authorities = Some(PathBuf::from(path.as_ref()));
                }
                _ => rest.push(pair),
            }
        }
        let whole = format!("{base}?{}", rest.join("&"));
        let whole = whole.trim_end_matches('?');
        let config: Config = whole.parse().map_err(|_| PostgresUrlError::Form)?;
        let database = config.get_dbname().filter(|name| !name.is_empty());
        let database = database.ok_or(PostgresUrlError::Missing("database"))?;
        let first = config.get_hosts().first();
        let first = first.ok_or(PostgresUrlError::Missing("host"))?;
        let tls = match mode {
            None if config.get_hosts().iter().all(is_here) => Tls::Off,
            None | Some("require" | "verify-full") => Tls::On(authorities),
            Some("disable") => Tls::Off,
            Some(_) => return Err(PostgresUrlError::SslMode),
        };
        let shown = match first {
            Host::Tcp(host) => format!("postgres://{host}/{database}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("postgres://{}/{database}", path.display()),
        };
        Ok(Self {
            shown: shown.into(),
            config: settled(config, &tls),
            tls,
        })
    }
}

/// With bounds on every wait, and only on servers that take writes.
fn settled(mut config: Config, tls: &Tls) -> Config {
    let mode = match tls {
        Tls::Off => SslMode::Disable,
        Tls::On(_) => SslMode::Require,
    };
    config
        .ssl_mode(mode)
        .connect_timeout(Duration::from_millis(limits::CONNECT_MILLIS))
        .tcp_user_timeout(Duration::from_millis(limits::SOCKET_SILENCE_MILLIS))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(limits::KEEPALIVE_IDLE_SECS))
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("faregate");
    }
    config
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.tls == other.tls
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    /// Host and database, without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_others_are_encrypted_and_verified() {
        let on = |path: &str| Ok(Tls::On(Some(PathBuf::from(path))));
        let table = [
            ("postgres://gate@localhost/books", Ok(Tls::Off)),
            ("postgresql://gate@127.0.0.1:5433/books", Ok(Tls::Off)),
            ("postgres://gate@[::1]/books", Ok(Tls::Off)),
            ("postgres:///books?host=/run/postgresql", Ok(Tls::Off)),
            ("postgres://gate@db.internal/books", Ok(Tls::On(None))),
            (
                "postgres://gate@localhost,db.internal/books",
                Ok(Tls::On(None)),
            ),
            (
                "postgres://gate@10.0.0.1/books?sslmode=disable",
                Ok(Tls::Off),
            ),
            (
                "postgres://gate@localhost/books?sslmode=require",
                Ok(Tls::On(None)),
            ),
            (
                "postgres://gate@db/books?sslmode=verify-full&sslrootcert=/etc/a%20b.pem",
                on("/etc/a b.pem"),
            ),
            (
                "postgres://gate@db/books?sslrootcert=/etc/ca.pem&options=-c%20a%3Db",
                on("/etc/ca.pem"),
            ),
            (
                "postgres://gate@db/books?sslmode=prefer",
                Err(PostgresUrlError::SslMode),
            ),
            (
                "postgres://gate@db/books?sslmode=allow",
                Err(PostgresUrlError::SslMode),
            ),
            (
                "postgres://gate@db",
                Err(PostgresUrlError::Missing("database")),
            ),
            ("postgres:///books", Err(PostgresUrlError::Missing("host"))),
            (
                "postgres://gate@db/books?unknown=1",
                Err(PostgresUrlError::Form),
            ),
            (
                "postgres://gate@db:99999/books",
                Err(PostgresUrlError::Form),
            ),
            ("mysql://gate@db/books", Err(PostgresUrlError::Form)),
            ("host=db dbname=books", Err(PostgresUrlError::Form)),
            ("", Err(PostgresUrlError::Form)),
        ];
        for (text, expected) in table {
            assert_eq!(
                PostgresUrl::parse(text).map(|url| url.tls),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = PostgresUrl::parse("postgres://gate:hunter2@db.internal/books").unwrap();
        assert_eq!(url.to_string(), "postgres://db.internal/books");
        let whole = format!("{url:?} {:?}", url.config);
        assert!(!whole.contains("hunter2"), "{whole}");
        let error =
            PostgresUrl::parse("postgres://gate:hunter2@db.internal/books?x=1").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
