//! The store of used tokens that several gates share, and the name that a gate has there.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use faregate_core::port::replay::ReplayStore;
use faregate_redis::{RedisConfig, RedisReplay};
use faregate_server::config::{Env, ReplayConfig};
use faregate_types::Code;

use super::secret;
use crate::exit::{Exit, Failed};

/// What a gate is called among those that share a store of used tokens: as long as it has the same ledger, the same.
pub(crate) type GateName = [u8; 16];

/// A name that nobody has.
///
/// # Errors
/// When the system has no random bytes.
pub(crate) fn new_name() -> Result<GateName, Failed> {
    random().map_err(|error| Failed::new(Exit::Failure, error.to_string()))
}

/// The name in the ledger's lock file, or a new one, which is written there. Whoever calls has the lock.
pub(super) fn name(lock: &mut File) -> io::Result<GateName> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0))?;
    // What is no text is no name.
    drop(lock.take(64).read_to_string(&mut text));
    if let Some(name) = read(text.trim_end()) {
        return Ok(name);
    }
    let name: GateName = random()?;
    let text: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(text.as_bytes())?;
    lock.sync_all()?;
    Ok(name)
}

fn read(text: &str) -> Option<GateName> {
    let mut name = GateName::default();
    if text.len() != name.len().checked_mul(2)? {
        return None;
    }
    for (byte, digits) in name.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(name)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// The configured store. It is not asked yet: one that is away now may be there when somebody shows a token.
///
/// # Errors
/// A password that is missing or none.
pub(super) fn store(
    config: &ReplayConfig,
    env: &Env,
    owner: GateName,
) -> Result<Arc<dyn ReplayStore>, Failed> {
    let password = config.password.as_ref().map(|source| source.load(env));
    let redis = RedisConfig {
        host: config.host.clone(),
        port: config.port,
        database: config.database,
        user: config.user.clone(),
        password: password.transpose().map_err(secret)?,
        dialect: config.dialect,
        owner,
        run: random().map_err(|error| Failed::new(Exit::Failure, error.to_string()))?,
    };
    let store = RedisReplay::new(redis).map_err(|error| {
        Failed::usage(format!("gate.lightning.replay: {error}")).code(Code::ConfigInvalid)
    })?;
    Ok(Arc::new(store))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may")]

    use super::*;

    #[test]
    fn a_gate_has_one_name_as_long_as_it_has_its_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let open = |file: &str| {
            let mut options = File::options();
            let options = options.create(true).truncate(false).read(true).write(true);
            options.open(folder.path().join(file)).unwrap()
        };
        let first = name(&mut open("a")).unwrap();
        assert_eq!(name(&mut open("a")).unwrap(), first);
        assert_ne!(name(&mut open("b")).unwrap(), first);
        for spoilt in ["", "12", "zz", &"g".repeat(32), &"1".repeat(33)] {
            std::fs::write(folder.path().join("c"), spoilt).unwrap();
            let new = name(&mut open("c")).unwrap();
            assert_eq!(name(&mut open("c")).unwrap(), new, "{spoilt:?}");
        }
    }
}
