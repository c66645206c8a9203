//! `[gate.lightning]`: who makes the invoices, and what tokens are signed with.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use faregate_core::Clock;
use faregate_core::port::lightning::{ReceiveBackend, Receiver};
use faregate_core::rail::l402::{INVOICE_EXPIRY_SECS, InvoiceRate, L402, MasterKeys};
use faregate_types::l402::challenge::Lines;
use faregate_types::lightning::{BitcoinNetwork, LightningAddress, Msat, MsatError};
use faregate_types::{MoneyText, Timestamp};
use url::Url;

use super::error::ConfigCode;
use super::facilitator::{Surroundings, is_this_machine};
use super::parts::{self, UrlKind};
use super::reader::{Env, Section};
use super::replay::{self, ReplayConfig};
use super::secret::{SecretError, SecretSource, master_key_source, secret_source};
use crate::confirm::Patient;
use crate::gateway::limits;

/// Lightning for the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightningConfig {
    /// The wallet or node that is paid.
    pub backend: LightningBackend,
    /// The network that its invoices are for.
    pub network: BitcoinNetwork,
    /// What the root keys of tokens are derived from.
    pub master_key: SecretSource,
    /// What they were derived from before, where those tokens are still good.
    pub old_master_keys: Vec<OldMasterKey>,
    /// How long an invoice can be paid, in seconds.
    pub invoice_expiry_secs: u32,
    /// How many invoices are made.
    pub rate: InvoiceRate,
    /// Which lines a challenge is written in.
    pub lines: Lines,
    /// A token that was used up is answered with 401 and no invoice.
    pub replay_is_401: bool,
    /// Every token that opens nothing is answered with 401 and the words of l402kit's documents.
    pub l402kit_texts: bool,
    /// The wallet is asked before the first use of a token.
    pub strict: bool,
    /// Where several gates share which tokens were used.
    pub replay: Option<ReplayConfig>,
}

/// A master key that signs no more tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldMasterKey {
    /// The key.
    pub key: SecretSource,
    /// From when on its tokens open nothing, however long they say they are good for.
    pub until: Option<Timestamp>,
}

/// A wallet or node, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LightningBackend {
    /// Whose API it speaks.
    pub kind: LightningKind,
    /// What the API's paths are appended to. `None` for a Lightning address and for Nostr Wallet Connect, which say it
    /// themselves, and for a node in this process.
    pub url: Option<Url>,
    /// LND's macaroon, Core Lightning's rune, phoenixd's password, the text of a wallet connection, the others' key. `None` for
    /// a Lightning address, for managed mode and for a node in this process.
    pub key: Option<SecretSource>,
    /// The one certificate that is believed, in PEM; without it, those that the machine trusts.
    pub certificate: Option<PathBuf>,
    /// Plain HTTP to another machine is meant: whoever sits on the way reads the key.
    pub plain_http: bool,
}

/// Whose API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever wires has to know how each is made"
)]
pub enum LightningKind {
    /// LND's REST API.
    Lnd {
        /// Invoices name private channels.
        private_hints: bool,
    },
    /// Core Lightning's REST API.
    Cln,
    /// LNbits.
    Lnbits,
    /// phoenixd.
    Phoenixd,
    /// Blink.
    Blink {
        /// The wallet that is paid.
        wallet_id: Box<str>,
    },
    /// Alby Hub.
    AlbyHub,
    /// Alby's older API.
    Alby,
    /// Strike.
    Strike,
    /// OpenNode.
    OpenNode,
    /// Nostr Wallet Connect. Only in builds with the feature `nwc`.
    Nwc,
    /// A Lightning address.
    Address {
        /// Such as `shop@wallet.example`.
        address: Box<str>,
    },
    /// A server that receives for a Lightning address and passes the money on.
    Managed {
        /// Whom it passes it on to.
        address: Box<str>,
    },
    /// A node in this process, of a program that has one.
    Ldk {
        /// The file that describes it.
        node: PathBuf,
    },
}

impl LightningBackend {
    /// A backend that is reached over TLS with a certificate that this machine trusts; where it is and with what key is still
    /// to be said.
    #[must_use]
    pub const fn new(kind: LightningKind) -> Self {
        Self {
            kind,
            url: None,
            key: None,
            certificate: None,
            plain_http: false,
        }
    }

    /// Whether it can be asked about an invoice by its payment hash. The others want a name of their own for it, which
    /// nobody keeps.
    #[must_use]
    pub const fn knows_hashes(&self) -> bool {
        !matches!(
            self.kind,
            LightningKind::Strike
                | LightningKind::OpenNode
                | LightningKind::Address { .. }
                | LightningKind::Managed { .. }
        )
    }
}

impl LightningKind {
    /// The kind that a word of the configuration stands for, if the word is enough.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "lnd" => Self::Lnd {
                private_hints: false,
            },
            "cln" => Self::Cln,
            "lnbits" => Self::Lnbits,
            "phoenixd" => Self::Phoenixd,
            "alby-hub" => Self::AlbyHub,
            "alby" => Self::Alby,
            "strike" => Self::Strike,
            "opennode" => Self::OpenNode,
            "nwc" => Self::Nwc,
            _ => return None,
        })
    }
}

const BACKENDS: &str = "expected one of lnd, cln, lnbits, phoenixd, blink, alby-hub, alby, strike, opennode, nwc, address, managed, ldk";

impl LightningConfig {
    /// Fetches the keys that those of the tokens are derived from.
    ///
    /// # Errors
    /// [`SecretError`] when one is not there or is none.
    pub fn keys(&self, env: &Env) -> Result<MasterKeys, SecretError> {
        let mut keys = MasterKeys::new(self.master_key.load_master_key(env)?);
        for old in &self.old_master_keys {
            let key = old.key.load_master_key(env)?;
            keys = match old.until {
                Some(until) => keys.and_older_until(key, until),
                None => keys.and_older(key),
            };
        }
        Ok(keys)
    }

    /// The rail as it is configured here.
    #[must_use]
    pub fn rail(
        &self,
        backend: Arc<dyn ReceiveBackend>,
        keys: MasterKeys,
        clock: Arc<dyn Clock>,
    ) -> L402 {
        let receiver = Receiver::new(backend, self.network, Arc::clone(&clock));
        let confirms = Patient::new(receiver.clone());
        let rail = L402::new(receiver, keys, clock);
        let rail = if self.strict {
            rail.strict(Arc::new(confirms))
        } else {
            rail
        };
        rail.exact_texts(self.l402kit_texts)
            .lines(self.lines)
            .rate(self.rate)
            .invoice_expiry_secs(self.invoice_expiry_secs)
            .replay_is_401(self.replay_is_401)
    }
}

/// Whether a price in this unit is one over Lightning.
pub(super) fn is_unit(symbol: &str) -> bool {
    let one = MoneyText::parse(&format!("1 {symbol}"));
    one.is_ok_and(|one| Msat::from_money(&one) != Err(MsatError::Unit))
}

/// Reads `[gate.lightning]`.
pub(super) fn read(section: &Section<'_, '_>, about: Surroundings<'_>) -> Option<LightningConfig> {
    let backend = backend(section);
    let network = network(section, about.mainnet);
    let master_key = master_key(section);
    let old_master_keys = old_master_keys(section);
    let invoice_expiry_secs = section
        .number("invoice_expiry_secs", limits::INVOICE_EXPIRY_SECS)
        .and_then(|secs| u32::try_from(secs).ok())
        .unwrap_or(INVOICE_EXPIRY_SECS);
    let usual = InvoiceRate::default();
    let count = |key, usual| {
        let number = section.number(key, 1..=limits::INVOICES_MAX);
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.and_then(NonZeroU32::new).unwrap_or(usual)
    };
    let rate = InvoiceRate {
        per_minute: count("invoices_per_minute", usual.per_minute),
        at_once: count("invoices_at_once", usual.at_once),
    };
    let usual = Lines::default();
    let lines = Lines {
        lsat: section.flag("lsat_line").unwrap_or(usual.lsat),
        ordered: section.flag("ordered_line").unwrap_or(usual.ordered),
    };
    let replay_status = section.number("replay_status", 401..=402);
    let l402kit_texts = section.flag("l402kit_texts").unwrap_or(false);
    if l402kit_texts && replay_status == Some(402) {
        let message = "with l402kit_texts a token that was used up is answered with 401";
        section.fault(ConfigCode::Contradiction, "replay_status", message);
    }
    let strict = section.flag("strict").unwrap_or(false);
    if strict && backend.as_ref().is_some_and(|own| !own.knows_hashes()) {
        let message = "this backend cannot be asked about a payment hash, so it cannot confirm what a token was paid with";
        section.fault(ConfigCode::Contradiction, "strict", message);
    }
    let replay = replay::read(section);
    Some(LightningConfig {
        backend: backend?,
        network: network?,
        master_key: master_key?,
        old_master_keys: old_master_keys?,
        invoice_expiry_secs,
        rate,
        lines,
        replay_is_401: replay_status == Some(401) || l402kit_texts,
        l402kit_texts,
        strict,
        replay: replay?,
    })
}

pub(super) fn network(section: &Section<'_, '_>, mainnet: bool) -> Option<BitcoinNetwork> {
    let text = section.required(
        "network",
        "expected the network of the invoices: mainnet, testnet, signet or regtest",
    )?;
    let Some(network) = BitcoinNetwork::from_word(text.value.trim()) else {
        let message = "expected mainnet, testnet, signet or regtest";
        section.fault(ConfigCode::UnknownNetwork, "network", message);
        return None;
    };
    if !network.is_testnet() && !mainnet {
        let message =
            "this moves real money: say mainnet = true at the top of the file if you mean it";
        section.fault(ConfigCode::MainnetNotEnabled, "network", message);
        return None;
    }
    Some(network)
}

/// `root_key` was its name before, when it was easily taken for the root key of one token.
fn master_key(section: &Section<'_, '_>) -> Option<SecretSource> {
    let (new, old) = ("master_key", "root_key");
    let name = match (section.has(new), section.has(old)) {
        (true, true) => {
            let message = "this is the earlier name of master_key, which is there too";
            section.fault(ConfigCode::Contradiction, old, message);
            return None;
        }
        (false, true) => old,
        (_, false) => new,
    };
    let text = section.required(
        name,
        "expected the key that those of all tokens are derived from, as env:NAME or file:/path: 64 hexadecimal digits, from openssl rand -hex 32",
    )?;
    master_key_source(section, &text)
}

fn old_master_keys(section: &Section<'_, '_>) -> Option<Vec<OldMasterKey>> {
    const KEY: &str = "old_master_keys";
    let Some(value) = section.value(KEY) else {
        return Some(Vec::new());
    };
    let Some(items) = value.get_ref().as_array() else {
        let message = "expected a list";
        section.fault(ConfigCode::Type, KEY, message);
        return None;
    };
    if items.len() > limits::OLD_MASTER_KEYS_MAX {
        let message = format!("expected at most {} keys", limits::OLD_MASTER_KEYS_MAX);
        section.fault(ConfigCode::TooMany, KEY, message);
        return None;
    }
    let keys = items.iter().enumerate().map(|(index, item)| {
        let name = format!("{}[{}]", section.key(KEY), index.saturating_add(1));
        if item.get_ref().as_table().is_none() {
            let text = section.text_of(item, name)?;
            let key = master_key_source(section, &text)?;
            return Some(OldMasterKey { key, until: None });
        }
        let table = section.section_of(item, name)?;
        let text = table.required("key", "expected an earlier master_key");
        let key = text.and_then(|text| master_key_source(&table, &text));
        let until = table.moment("until");
        let faulty = until.is_none() && table.has("until");
        table.finish();
        let key = key.filter(|_| !faulty)?;
        Some(OldMasterKey { key, until })
    });
    // All of them are looked at, so that all faults are told.
    let keys: Vec<Option<OldMasterKey>> = keys.collect();
    keys.into_iter().collect()
}

pub(super) fn backend(section: &Section<'_, '_>) -> Option<LightningBackend> {
    let certificate = section.text("certificate").map(|text| text.value.into());
    let plain_http = section.flag("plain_http").unwrap_or(false);
    let name = section.required("backend", BACKENDS);
    let name = name.as_ref().map(|text| text.value.trim());
    // The keys of all backends are known, whichever it is.
    let private_hints = section.has("private_hints");
    let wallet_id = section.has("wallet_id");
    let address = section.has("address");
    let node = section.has("node");
    let (has_url, has_key) = (section.has("url"), section.has("key"));
    let kind = kind(section, name?)?;
    let takes = |key: &'static str, is_there: bool, fits: bool| {
        if is_there && !fits {
            let message = "this backend has no such setting";
            section.fault(ConfigCode::Contradiction, key, message);
        }
    };
    let is_address = matches!(kind, LightningKind::Address { .. });
    takes(
        "private_hints",
        private_hints,
        matches!(kind, LightningKind::Lnd { .. }),
    );
    takes(
        "wallet_id",
        wallet_id,
        matches!(kind, LightningKind::Blink { .. }),
    );
    let is_ldk = matches!(kind, LightningKind::Ldk { .. });
    let is_managed = matches!(kind, LightningKind::Managed { .. });
    let is_here = is_address || is_ldk;
    takes("address", address, is_address || is_managed);
    takes("node", node, is_ldk);
    let has_place = is_here || kind == LightningKind::Nwc;
    let has_no_key = is_here || is_managed;
    takes("url", has_url, !has_place);
    takes("key", has_key, !has_no_key);
    let url = (!has_place).then(|| url(section, plain_http));
    let key = (!has_no_key).then(|| key(section));
    let url = match url {
        Some(url) => Some(url?),
        None => None,
    };
    let key = match key {
        Some(key) => Some(key?),
        None => None,
    };
    Some(LightningBackend {
        kind,
        url,
        key,
        certificate,
        plain_http,
    })
}

fn kind(section: &Section<'_, '_>, name: &str) -> Option<LightningKind> {
    Some(match name {
        "lnd" => LightningKind::Lnd {
            private_hints: section.flag("private_hints").unwrap_or(false),
        },
        "blink" => LightningKind::Blink {
            wallet_id: section
                .required("wallet_id", "expected the id of the Blink wallet")?
                .value
                .into(),
        },
        "address" => LightningKind::Address {
            address: address(section)?,
        },
        "managed" => LightningKind::Managed {
            address: address(section)?,
        },
        "ldk" => LightningKind::Ldk {
            node: section
                .required("node", "expected the file that describes the node")?
                .value
                .into(),
        },
        word => {
            let kind = LightningKind::from_word(word);
            if kind.is_none() {
                section.fault(ConfigCode::Value, "backend", BACKENDS);
            }
            return kind;
        }
    })
}

fn address(section: &Section<'_, '_>) -> Option<Box<str>> {
    let text = section.required(
        "address",
        "expected a Lightning address such as shop@wallet.example",
    )?;
    if text.value.trim().parse::<LightningAddress>().is_err() {
        let message = "expected a Lightning address such as shop@wallet.example";
        section.fault(ConfigCode::Value, "address", message);
        return None;
    }
    Some(text.value.trim().into())
}

fn url(section: &Section<'_, '_>, plain_http: bool) -> Option<Url> {
    let text = section.required("url", "expected the URL of the wallet's or node's API")?;
    let url = parts::url(section, &text, UrlKind::Upstream)?;
    if url.scheme() == "http" && !plain_http && !is_this_machine(&url) {
        let message = "expected https for a wallet on another machine: whoever sits on the way could read its key \
                       (plain_http = true if you mean it)";
        section.fault(ConfigCode::Url, "url", message);
    }
    Some(url)
}

fn key(section: &Section<'_, '_>) -> Option<SecretSource> {
    let text = section.required(
        "key",
        "expected the key of the wallet's API (LND's macaroon, Core Lightning's rune, phoenixd's password, the text of a wallet connection) as env:NAME or file:/path",
    )?;
    secret_source(section, &text)
}
