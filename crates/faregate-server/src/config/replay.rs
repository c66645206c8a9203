//! `replay` of `[gate.lightning]`: the store of used tokens that several gates share.

use faregate_types::l402::replay::Dialect;
use url::{Host, Url};

use super::error::ConfigCode;
use super::reader::{Section, Text};
use super::secret::{SecretSource, secret_source};

const EXPECTED: &str = "expected redis://host:port/database; the password comes from replay_password, as env:NAME or file:/path";

/// The port of a Redis server that names none.
const PORT: u16 = 6379;

/// A server of Redis, and how its keys are called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayConfig {
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// The number of the database.
    pub database: u32,
    /// The user, where it is not the default one.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<SecretSource>,
    /// Whose keys are written.
    pub dialect: Dialect,
}

/// Reads it. The inner `None` is a gate that shares nothing.
pub(super) fn read(section: &Section<'_, '_>) -> Option<Option<ReplayConfig>> {
    let url = section.text("replay");
    let user = section.text("replay_user");
    let password = section.text("replay_password");
    let keys = section.text("replay_keys");
    let plain = section.flag("replay_plain").unwrap_or(false);
    let Some(url) = url else {
        let given = [("replay_user", &user), ("replay_password", &password)];
        for (key, text) in given.into_iter().chain([("replay_keys", &keys)]) {
            if text.is_some() {
                section.fault(ConfigCode::Contradiction, key, "there is no replay");
            }
        }
        return Some(None);
    };
    let dialect = match keys.as_ref().map(|text| text.value.as_str()) {
        None | Some("python") => Some(Dialect::Python),
        Some("typescript") => Some(Dialect::TypeScript),
        Some(_) => {
            let message =
                "expected \"python\" or \"typescript\": whose keys l402kit's servers write";
            section.fault(ConfigCode::Value, "replay_keys", message);
            None
        }
    };
    let password = match &password {
        None => Some(None),
        Some(text) => secret_source(section, text).map(Some),
    };
    let (host, port, database) = server(section, &url, plain)?;
    Some(Some(ReplayConfig {
        host,
        port,
        database,
        user: user.map(|text| text.value.into()),
        password: password?,
        dialect: dialect?,
    }))
}

fn server(section: &Section<'_, '_>, text: &Text, plain: bool) -> Option<(Box<str>, u16, u32)> {
    let Some((host, port, database)) = parts(&text.value) else {
        section.fault(ConfigCode::Url, "replay", EXPECTED);
        return None;
    };
    if !plain && !is_this_machine(&host) {
        let message = "nothing is encrypted on the way to Redis on another machine: use a tunnel, or say \
                       replay_plain = true if the network between is yours";
        section.fault(ConfigCode::Url, "replay", message);
        return None;
    }
    let host = match host {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    Some((host.into(), port, database))
}

/// Host, port and database; nothing else may stand in it.
fn parts(text: &str) -> Option<(Host, u16, u32)> {
    let url = Url::parse(text.trim()).ok()?;
    let clean = url.scheme() == "redis"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => number.parse().ok()?,
    };
    // Of schemes that the standard does not know the host is not read further.
    let host = Host::parse(url.host_str()?).ok()?;
    clean.then_some((host, url.port().unwrap_or(PORT), database))
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_host_port_and_database_and_nothing_else() {
        let read = |text: &str| {
            let found = parts(text)?;
            Some((found.0.to_string(), found.1, found.2))
        };
        let table = [
            ("redis://localhost", Some(("localhost", 6379, 0))),
            ("redis://127.0.0.1:7000/3", Some(("127.0.0.1", 7000, 3))),
            ("redis://[::1]:7000/", Some(("[::1]", 7000, 0))),
            ("redis://cache.internal:80", Some(("cache.internal", 80, 0))),
            ("rediss://localhost", None),
            ("http://localhost", None),
            ("redis://:secret@localhost", None),
            ("redis://user@localhost", None),
            ("redis://localhost/x", None),
            ("redis://localhost/-1", None),
            ("redis://localhost/1/2", None),
            ("redis://localhost?db=1", None),
            ("redis://localhost:99999", None),
            ("redis:", None),
            ("localhost:6379", None),
            ("", None),
        ];
        for (text, expected) in table {
            let expected =
                expected.map(|(host, port, db): (&str, _, _)| (host.to_owned(), port, db));
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
