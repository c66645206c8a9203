//! `[credit]`: the credit service, its contract, its keys, and who may call.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::Duration;

use faregate_core::credit::ReqIds;
use faregate_types::{Address, ChainId};
use http::HeaderValue;
use url::Url;

use super::error::ConfigCode;
use super::facilitator::Surroundings;
use super::parts::{self, PrivateUrl, UrlKind};
use super::reader::{Env, Section, Text};
use super::secret::{
    SecretError, SecretSource, certificate_key_source, key_source, secret_source, token_key_source,
};
use super::sender::{SenderConfig, sender};
use super::store::{self, StoreConfig};
use super::wallet;
use crate::credit::{AuthSettings, Parameters, RateSettings, Settings, Standing};
use crate::http::AddressRange;
use crate::limits;

/// `[credit]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreditConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where its books are kept.
    pub store: StoreConfig,
    /// The chain of the contract.
    pub chain: ChainId,
    /// The contract that holds the collateral.
    pub contract: Address,
    /// The node's JSON-RPC endpoint.
    pub rpc_url: PrivateUrl,
    /// The block the contract was deployed in; looked for when it is not said.
    pub deployed_at: Option<u64>,
    /// Blocks that must follow before something counts. `None`: until the chain calls it finalized.
    pub confirmations: Option<u64>,
    /// Time between two looks at the chain.
    pub poll: Duration,
    /// The keys that tell the contract of payments.
    pub signer_keys: Vec<SecretSource>,
    /// How these transactions are sent.
    pub sender: SenderConfig,
    /// What is accepted.
    pub terms: CreditTerms,
    /// The key that signs certificates.
    pub certificate_key: SecretSource,
    /// From which the first administrator's key follows.
    pub admin_seed: Option<SecretSource>,
    token_key: SecretSource,
    service: ServiceConfig,
}

/// What the operator accepts, as far as the contract does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreditTerms {
    /// Guarantee versions.
    pub versions: BTreeSet<u64>,
    /// A tab's life when nobody says otherwise, in seconds.
    pub ttl_default_secs: u64,
    /// How request ids are given out.
    pub req_ids: ReqIds,
}

/// What becomes [`Settings`] once the keys are there.
#[derive(Clone, Debug)]
struct ServiceConfig {
    parameters: Parameters,
    auth: AuthConfig,
    rates: RateSettings,
    origins: Vec<HeaderValue>,
    proxies: Vec<AddressRange>,
    shutdown: Duration,
}

/// [`AuthSettings`] without the key.
#[derive(Clone, Debug)]
struct AuthConfig {
    required: bool,
    issuer: Box<str>,
    audience: Box<str>,
    domain: Box<str>,
    uri: Box<str>,
    statement: Box<str>,
    nonce_ttl_secs: u64,
    access_ttl_secs: u64,
    refresh_ttl_secs: u64,
    wallets: Vec<(Address, Standing)>,
}

impl CreditConfig {
    /// The settings of the service, with the key of its access tokens.
    ///
    /// # Errors
    /// [`SecretError`] when the key is not there or is none.
    pub fn settings(&self, env: &Env) -> Result<Settings, SecretError> {
        let (service, auth) = (self.service.clone(), self.service.auth.clone());
        Ok(Settings {
            parameters: service.parameters,
            auth: AuthSettings {
                required: auth.required,
                key: self.token_key.load_token_key(env)?,
                issuer: auth.issuer,
                audience: auth.audience,
                domain: auth.domain,
                uri: auth.uri,
                statement: auth.statement,
                nonce_ttl_secs: auth.nonce_ttl_secs,
                access_ttl_secs: auth.access_ttl_secs,
                refresh_ttl_secs: auth.refresh_ttl_secs,
                wallets: auth.wallets,
            },
            rates: service.rates,
            origins: service.origins,
            proxies: service.proxies,
            shutdown: service.shutdown,
        })
    }
}

/// Reads `[credit]`.
pub(super) fn read(section: &Section<'_, '_>, about: Surroundings<'_>) -> Option<CreditConfig> {
    let default = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, limits::CREDIT_PORT));
    let bind = parts::bind(section, default);
    let store = store::read(section, "credit.db");
    let chain = section.required("network", "expected the network, such as eip155:84532");
    let chain = chain.and_then(|text| parts::chain(section, &text, about.mainnet));
    let contract = named(section, "contract", "ETHEREUM_CONTRACT_ADDRESS");
    let contract = expected(
        section,
        "contract",
        contract,
        "expected the contract's address",
    );
    let contract = contract.and_then(|text| parts::address(section, &text));
    let rpc_url = named(section, "rpc_url", "ETHEREUM_HTTP_RPC_URL");
    let message = "expected the URL of a node's JSON-RPC endpoint";
    let rpc_url = expected(section, "rpc_url", rpc_url, message);
    let rpc_url = rpc_url.and_then(|text| parts::url(section, &text, UrlKind::Service));
    let deployed_at = section.number("deployed_at", 0..=u64::MAX);
    let confirmations = section.number("confirmations", 0..=1_000);
    let poll = section.number("poll_ms", 50..=60_000).unwrap_or(1_000);
    let sender = sender(section);
    let (keys, terms) = (keys(section), terms(section));
    let auth = auth(section);
    let (rates, origins) = (rates(section), origins(section));
    let proxies = parts::proxies(section);
    let shutdown = section.number("shutdown_secs", 0..=3_600);
    let parameters = parameters(section, chain?, contract?);
    let keys = keys?;
    Some(CreditConfig {
        bind,
        store,
        chain: chain?,
        contract: contract?,
        rpc_url: PrivateUrl::new(rpc_url?),
        deployed_at,
        confirmations,
        poll: Duration::from_millis(poll),
        signer_keys: keys.signers,
        sender,
        terms: terms?,
        certificate_key: keys.certificate,
        admin_seed: keys.admin_seed,
        token_key: keys.token,
        service: ServiceConfig {
            parameters: parameters?,
            auth: auth?,
            rates,
            origins: origins?,
            proxies: proxies?,
            shutdown: shutdown.map_or(limits::SHUTDOWN_TIMEOUT, Duration::from_secs),
        },
    })
}

/// A text of the file, or of a variable that operators of the network's own core have set already.
fn named(section: &Section<'_, '_>, key: &'static str, variable: &str) -> Option<Text> {
    if section.has(key) {
        return section.text(key);
    }
    let value = section.reader().env().get(variable)?;
    Some(Text {
        value: value.clone(),
        span: section.span().clone(),
        key: section.key(key),
    })
}

/// Says that something has to be there, unless that was said already.
fn expected(
    section: &Section<'_, '_>,
    key: &'static str,
    found: Option<Text>,
    message: &str,
) -> Option<Text> {
    if found.is_none() && !section.has(key) {
        section.missing(key, message);
    }
    found
}

fn word(section: &Section<'_, '_>, key: &'static str, usual: &str) -> Box<str> {
    let text = section.text(key);
    text.map_or_else(|| usual.into(), |text| text.value.trim().into())
}

struct Keys {
    signers: Vec<SecretSource>,
    certificate: SecretSource,
    token: SecretSource,
    admin_seed: Option<SecretSource>,
}

fn keys(section: &Section<'_, '_>) -> Option<Keys> {
    let signers = if section.has("signer_key") {
        section.texts("signer_key")
    } else {
        secret(section, "signer_key", "ETHEREUM_PRIVATE_KEY").map(|text| vec![text])
    };
    let signers = signers.filter(|signers| !signers.is_empty());
    if signers.is_none() {
        let message = "expected the key that tells the contract of payments, as env:NAME or file:/absolute/path";
        section.missing("signer_key", message);
    }
    let signers: Vec<Option<SecretSource>> = signers
        .unwrap_or_default()
        .iter()
        .map(|text| key_source(section, text))
        .collect();
    let certificate = secret(section, "certificate_key", "BLS_PRIVATE_KEY");
    let message =
        "expected the BLS key that signs certificates, as env:NAME or file:/absolute/path";
    let certificate = expected(section, "certificate_key", certificate, message)
        .and_then(|text| certificate_key_source(section, &text));
    let token = secret(section, "token_key", "AUTH_JWT_SECRET");
    let message =
        "expected the secret that signs access tokens, as env:NAME or file:/absolute/path";
    let token = expected(section, "token_key", token, message)
        .and_then(|text| token_key_source(section, &text));
    let admin_seed = secret(section, "admin_seed", "CORE_ADMIN_SEED_KEY");
    let admin_seed = admin_seed.map(|text| secret_source(section, &text));
    Some(Keys {
        signers: signers.into_iter().collect::<Option<_>>()?,
        certificate: certificate?,
        token: token?,
        admin_seed: match admin_seed {
            None => None,
            Some(source) => Some(source?),
        },
    })
}

/// Where a secret is: as the file says, or in the variable of the network's own core.
fn secret(section: &Section<'_, '_>, key: &'static str, variable: &str) -> Option<Text> {
    if section.has(key) {
        return section.text(key);
    }
    section.reader().env().get(variable)?;
    Some(Text {
        value: format!("env:{variable}"),
        span: section.span().clone(),
        key: section.key(key),
    })
}

fn terms(section: &Section<'_, '_>) -> Option<CreditTerms> {
    let ttl_default_secs = section.number("ttl_default_secs", 1..=31_536_000);
    let req_ids = match section.text("request_ids") {
        None => Some(ReqIds::default()),
        Some(text) => ReqIds::from_name(&text.value),
    };
    if req_ids.is_none() {
        let message = "expected \"strict\" or \"reserved\"";
        section.fault(ConfigCode::Value, "request_ids", message);
    }
    let versions = match section.value("versions") {
        None => Some(BTreeSet::from([1, 2])),
        Some(value) => {
            let items = value.get_ref().as_array();
            let numbers = items.into_iter().flatten().map(|item| {
                let digits = item.get_ref().as_integer()?.as_str();
                digits.parse().ok().filter(|number| matches!(number, 1 | 2))
            });
            let numbers: Option<BTreeSet<u64>> = numbers.collect();
            numbers.filter(|numbers| !numbers.is_empty())
        }
    };
    if versions.is_none() {
        let message = "expected a list of guarantee versions, such as [1, 2]";
        section.fault(ConfigCode::Value, "versions", message);
    }
    Some(CreditTerms {
        versions: versions?,
        ttl_default_secs: ttl_default_secs.unwrap_or(86_400),
        req_ids: req_ids?,
    })
}

fn auth(section: &Section<'_, '_>) -> Option<AuthConfig> {
    let required = match section.text("auth").as_ref().map(|text| &*text.value) {
        None | Some("required") => Some(true),
        Some("optional") => Some(false),
        Some(_) => {
            let message = "expected \"required\", or \"optional\" where SDK 0.4.3 has to be served";
            section.fault(ConfigCode::Value, "auth", message);
            None
        }
    };
    let message = "expected the URL under which clients reach the service, which wallets show when they sign in";
    let text = section.required("public_url", message);
    let public_url = text.and_then(|text| parts::url(section, &text, UrlKind::Public));
    let nonce = section.number("nonce_ttl_secs", 30..=3_600);
    // SDK 1.1.1 asks for a new token a minute before the end of the old one.
    let access = section.number("access_ttl_secs", 120..=86_400);
    let refresh = section.number("refresh_ttl_secs", 3_600..=31_536_000);
    let statement = word(section, "statement", "Sign in to 4mica.");
    if statement.contains(['\n', '\r']) {
        section.fault(ConfigCode::Value, "statement", "expected one line");
    }
    let (issuer, audience) = (
        word(section, "issuer", "4mica-core"),
        word(section, "audience", "4mica"),
    );
    let wallets = wallet::read(section);
    let public_url = public_url?;
    Some(AuthConfig {
        required: required?,
        issuer,
        audience,
        domain: authority(&public_url).into(),
        uri: public_url.as_str().trim_end_matches('/').into(),
        statement,
        nonce_ttl_secs: nonce.unwrap_or(300),
        access_ttl_secs: access.unwrap_or(900),
        refresh_ttl_secs: refresh.unwrap_or(30 * 86_400),
        wallets: wallets?,
    })
}

/// Host and port, as browsers name them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn rates(section: &Section<'_, '_>) -> RateSettings {
    let usual = RateSettings::default();
    let count = |key, usual| {
        let number = section.number(key, 1..=limits::RATE_MAX);
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.and_then(NonZeroU32::new).unwrap_or(usual)
    };
    RateSettings {
        calls_per_second: count("calls_per_second", usual.calls_per_second),
        wallet_calls_per_second: count("wallet_calls_per_second", usual.wallet_calls_per_second),
        sign_ins_per_minute: count("sign_ins_per_minute", usual.sign_ins_per_minute),
    }
}

fn origins(section: &Section<'_, '_>) -> Option<Vec<HeaderValue>> {
    let texts = section.texts("origins").unwrap_or_default();
    if texts.len() > limits::CREDIT_ORIGINS_MAX {
        let message = format!("expected at most {} origins", limits::CREDIT_ORIGINS_MAX);
        section.fault(ConfigCode::TooMany, "origins", message);
    }
    let origins: Vec<Option<HeaderValue>> = texts
        .iter()
        .map(|text| {
            let url = parts::url(section, text, UrlKind::Public)?;
            HeaderValue::try_from(url.origin().ascii_serialization()).ok()
        })
        .collect();
    origins.into_iter().collect()
}

fn parameters(section: &Section<'_, '_>, chain: ChainId, contract: Address) -> Option<Parameters> {
    let node = named(section, "public_rpc_url", "PUBLIC_ETHEREUM_HTTP_RPC_URL");
    let node = node.map(|text| parts::url(section, &text, UrlKind::Public));
    let node_url = match node {
        None => "".into(),
        Some(url) => url?.as_str().into(),
    };
    let registries: Vec<Option<Address>> = section
        .texts("registries")
        .unwrap_or_default()
        .iter()
        .map(|text| parts::address(section, text))
        .collect();
    Some(Parameters {
        chain,
        contract,
        node_url,
        eip712_name: word(section, "eip712_name", "4mica"),
        eip712_version: word(section, "eip712_version", "1"),
        // The contract knows what can be deposited.
        tokens: Vec::new(),
        registries: registries.into_iter().collect::<Option<_>>()?,
    })
}
