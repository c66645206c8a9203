//! The file that describes a node.
//!
//! ```toml
//! network = "regtest"
//! folder = "/var/lib/faregate/node"      # its keys, its channels, its payments: nobody else's, and not to be copied back
//! bitcoind = "http://127.0.0.1:8332"     # or: esplora = "https://…"
//! bitcoind_key = "file:/…/.cookie"       # user:password, as env:NAME or file:/path
//! listen = "0.0.0.0:9735"                # without it nobody can connect to this node
//! peers = ["02…@node.example:9735"]      # connected to at the start
//! rapid_gossip = "https://…"             # instead of hearing of all channels from peers
//! ```

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use faregate::exit::Failed;
use faregate_types::lightning::BitcoinNetwork;
use faregate_types::{Code, Secret};
use ldk_node::bitcoin::secp256k1::PublicKey;
use ldk_node::lightning::ln::msgs::SocketAddress;
use serde::Deserialize;
use url::Url;

use crate::limits;

/// The environment, read once.
pub(crate) type Env = BTreeMap<String, String>;

/// A node as it is described.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) network: BitcoinNetwork,
    pub(crate) folder: PathBuf,
    pub(crate) chain: Chain,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) rapid_gossip: Option<Url>,
}

/// Who tells about the chain.
#[derive(Debug)]
pub(crate) enum Chain {
    /// Bitcoin Core or Knots over JSON-RPC.
    Bitcoind {
        host: String,
        port: u16,
        /// `user:password`.
        key: Secret,
    },
    /// An Esplora server.
    Esplora(Url),
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: PublicKey,
    pub(crate) address: SocketAddress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    network: String,
    folder: PathBuf,
    bitcoind: Option<String>,
    bitcoind_key: Option<String>,
    esplora: Option<String>,
    listen: Option<SocketAddr>,
    #[serde(default)]
    peers: Vec<String>,
    rapid_gossip: Option<String>,
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it; never with a part of the secret.
    pub(crate) fn read(file: &Path, env: &Env) -> Result<Self, Failed> {
        let at = |error: &dyn Display| wrong(&format!("{}: {error}", file.display()));
        let text = read_bounded(file).map_err(|error| at(&error))?;
        let text = String::from_utf8(text).map_err(|_| at(&"not UTF-8"))?;
        let written: Written = toml::from_str(&text).map_err(|error| at(&error))?;
        Self::of(written, env).map_err(|error| at(&error))
    }

    fn of(written: Written, env: &Env) -> Result<Self, String> {
        let network = BitcoinNetwork::from_word(written.network.trim())
            .ok_or("network: expected mainnet, testnet, signet or regtest")?;
        if !written.folder.is_absolute() {
            return Err("folder: expected an absolute path".to_owned());
        }
        if written.peers.len() > limits::PEERS_MAX {
            return Err(format!("peers: at most {}", limits::PEERS_MAX));
        }
        let peers = written.peers.iter().map(|text| Peer::parse(text));
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let chain = match (written.bitcoind, written.bitcoind_key, written.esplora) {
            (Some(url), Some(key), None) => bitcoind(&url, &key, env)?,
            (None, None, Some(url)) => Chain::Esplora(remote("esplora", &url)?),
            _ => return Err("expected bitcoind and bitcoind_key, or esplora".to_owned()),
        };
        let rapid_gossip = written.rapid_gossip;
        let rapid_gossip = rapid_gossip.map(|url| remote("rapid_gossip", &url));
        Ok(Self {
            network,
            folder: written.folder,
            chain,
            listen: written.listen,
            peers,
            rapid_gossip: rapid_gossip.transpose()?,
        })
    }
}

impl Peer {
    /// `<public key>@<host>:<port>`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('@').and_then(|(id, address)| {
            Some(Self {
                id: PublicKey::from_str(id).ok()?,
                address: SocketAddress::from_str(address).ok()?,
            })
        });
        parsed.ok_or_else(|| format!("{text:?} is no peer: expected <public key>@<host>:<port>"))
    }
}

fn wrong(what: &str) -> Failed {
    Failed::usage(what).code(Code::ConfigInvalid)
}

/// The node is asked in plain HTTP, with its password: on this machine, or through a tunnel that ends here.
fn bitcoind(url: &str, key: &str, env: &Env) -> Result<Chain, String> {
    let url = parse("bitcoind", url)?;
    let host = url.host_str().filter(|_| url.scheme() == "http");
    let is_plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    let (Some(host), Some(port), true) = (host, url.port(), is_plain) else {
        return Err("bitcoind: expected http://host:port".to_owned());
    };
    if !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
        return Err(
            "bitcoind: expected this machine: whoever sits on the way could read its password"
                .to_owned(),
        );
    }
    let key = secret(key, env)?;
    if !key.expose().contains(&b':') {
        return Err("bitcoind_key: expected user:password there".to_owned());
    }
    Ok(Chain::Bitcoind {
        host: host.to_owned(),
        port,
        key,
    })
}

/// Whoever changes what these say can steal from a node that is not looking.
fn remote(key: &str, url: &str) -> Result<Url, String> {
    let url = parse(key, url)?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(format!("{key}: expected https://…")),
    }
}

fn parse(key: &str, url: &str) -> Result<Url, String> {
    Url::parse(url).map_err(|error| format!("{key}: {error}"))
}

fn secret(source: &str, env: &Env) -> Result<Secret, String> {
    let bytes = if let Some(name) = source.strip_prefix("env:") {
        let text = env.get(name);
        text.ok_or_else(|| format!("bitcoind_key: the environment has no {name}"))?
            .as_bytes()
            .to_vec()
    } else if let Some(path) = source.strip_prefix("file:") {
        read_bounded(Path::new(path)).map_err(|error| format!("bitcoind_key: {path}: {error}"))?
    } else {
        return Err("bitcoind_key: expected env:NAME or file:/path, never the secret".to_owned());
    };
    Ok(Secret::new(bytes.trim_ascii().to_vec()))
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(limits::FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may")]

    use super::*;

    const GOOD: &str = "network = \"regtest\"\nfolder = \"/node\"\nbitcoind = \"http://127.0.0.1:18443\"\nbitcoind_key = \"env:KEY\"\n";

    fn read(text: &str) -> Result<Settings, String> {
        let env = Env::from([("KEY".to_owned(), " lab:s3cret\n".to_owned())]);
        let written = toml::from_str(text).map_err(|error| error.to_string())?;
        Settings::of(written, &env)
    }

    #[test]
    fn a_file_is_read_with_what_it_leaves_out() {
        let settings = read(GOOD).unwrap();
        assert_eq!(settings.network, BitcoinNetwork::Regtest);
        assert!(settings.listen.is_none() && settings.peers.is_empty());
        let Chain::Bitcoind { host, port, key } = &settings.chain else {
            unreachable!("that is what it says");
        };
        assert_eq!((host.as_str(), *port), ("127.0.0.1", 18443));
        assert_eq!(key.expose(), b"lab:s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn every_mistake_is_named() {
        let id = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        for (from, to, named) in [
            ("regtest", "moonnet", "network"),
            ("/node", "node", "folder"),
            (
                "http://127.0.0.1:18443",
                "https://127.0.0.1:18443",
                "bitcoind",
            ),
            (
                "http://127.0.0.1:18443",
                "http://10.0.0.1:18443",
                "this machine",
            ),
            ("env:KEY", "lab:s3cret", "never the secret"),
            ("env:KEY", "env:NONE", "NONE"),
            ("bitcoind_key = \"env:KEY\"", "", "bitcoind_key"),
            (
                "bitcoind = \"http://127.0.0.1:18443\"\nbitcoind_key = \"env:KEY\"",
                "esplora = \"http://a.example\"",
                "https",
            ),
            (
                "bitcoind_key",
                "esplora = \"https://a.example\"\nbitcoind_key",
                "or esplora",
            ),
            ("network", "listen = \"here\"\nnetwork", "listen"),
            ("network", "color = \"blue\"\nnetwork", "color"),
            (
                "network",
                "peers = [\"02@a.example:9735\"]\nnetwork",
                "no peer",
            ),
            (
                "network",
                &format!("peers = [\"{id}\"]\nnetwork"),
                "no peer",
            ),
        ] {
            let text = GOOD.replace(from, to);
            let error = read(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(named), "{text}\n{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let with_peer = format!("{GOOD}peers = [\"{id}@a.example:9735\"]\n");
        assert_eq!(read(&with_peer).unwrap().peers.len(), 1);
    }
}
