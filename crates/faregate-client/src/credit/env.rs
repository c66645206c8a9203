//! The environment: our names, then those of the network's SDKs.

use std::collections::BTreeMap;
use std::time::Duration;

use faregate_evm::LocalSigner;
use faregate_types::credit::api::Hidden;
use faregate_types::hex_text::parse_address;
use faregate_types::{ChainId, SecretKey};
use url::Url;

use super::builder::CreditClientBuilder;
use super::error::ConfigFault;
use super::network::network;
use crate::wallet::{Wallet, WalletError};

/// The environment, and which name a value was found under.
struct Env<'a>(&'a BTreeMap<String, String>);

impl<'a> Env<'a> {
    /// The first of these that is set and not empty.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names
            .iter()
            .filter_map(|name| Some((*name, self.0.get(*name)?.trim())))
            .find(|(_, text)| !text.is_empty())
    }

    /// The same, read.
    fn read<T>(
        &self,
        names: &[&'static str],
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, ConfigFault> {
        let Some((name, text)) = self.first(names) else {
            return Ok(None);
        };
        parse(text).map(Some).ok_or(ConfigFault::Variable(name))
    }
}

type Read = Result<CreditClientBuilder, ConfigFault>;

pub(super) fn read(env: &BTreeMap<String, String>) -> Read {
    let env = Env(env);
    let builder = service(&env, CreditClientBuilder::new())?;
    let builder = signer(&env, builder)?;
    let builder = chain(&env, builder)?;
    credentials(&env, builder)
}

fn url(text: &str) -> Option<Url> {
    text.parse().ok()
}

/// Of one family of names the URL wins over the network; of the two families ours does.
fn service(env: &Env<'_>, builder: CreditClientBuilder) -> Read {
    let families: [(&[&'static str], &'static str); 2] = [
        (
            &["FAREGATE_CREDIT_URL", "FAREGATE_CREDIT_RPC_URL"],
            "FAREGATE_CREDIT_NETWORK",
        ),
        (&["4MICA_RPC_URL"], "4MICA_NETWORK"),
    ];
    for (urls, name) in families {
        if let Some(url) = env.read(urls, url)? {
            return Ok(builder.service(url));
        }
        if let Some(network) = env.read(&[name], network)? {
            return Ok(builder.network(network));
        }
    }
    Ok(builder)
}

/// The key of this client, or the one of the wallet.
fn signer(env: &Env<'_>, builder: CreditClientBuilder) -> Read {
    let names = [
        "FAREGATE_CREDIT_WALLET_PRIVATE_KEY",
        "4MICA_WALLET_PRIVATE_KEY",
    ];
    let read = |text: &str| LocalSigner::new(SecretKey::from_hex(text).ok()?).ok();
    if let Some(signer) = env.read(&names, read)? {
        return Ok(builder.signer(signer));
    }
    match Wallet::from_env(env.0) {
        Ok(wallet) => Ok(builder.signer(wallet.signer().clone())),
        Err(WalletError::NotAKey { name }) => Err(ConfigFault::Variable(name)),
        Err(_) => Ok(builder),
    }
}

fn chain(env: &Env<'_>, mut builder: CreditClientBuilder) -> Read {
    let node = [
        "FAREGATE_CREDIT_ETHEREUM_HTTP_RPC_URL",
        "4MICA_ETHEREUM_HTTP_RPC_URL",
    ];
    if let Some(node) = env.read(&node, url)? {
        builder = builder.node(node);
    }
    let contract = [
        "FAREGATE_CREDIT_CONTRACT",
        "FAREGATE_CREDIT_CONTRACT_ADDRESS",
        "4MICA_CONTRACT_ADDRESS",
    ];
    if let Some(contract) = env.read(&contract, |text| parse_address(text).ok())? {
        builder = builder.contract(contract);
    }
    let chain = |text: &str| text.parse().ok().and_then(ChainId::new);
    if let Some(chain) = env.read(&["FAREGATE_CREDIT_CHAIN_ID"], chain)? {
        builder = builder.chain(chain);
    }
    Ok(builder)
}

fn credentials(env: &Env<'_>, mut builder: CreditClientBuilder) -> Read {
    let auth = ["FAREGATE_CREDIT_AUTH_URL", "4MICA_AUTH_URL"];
    if let Some(url) = env.read(&auth, url)? {
        builder = builder.sign_in_at(url);
    }
    let margin = [
        "FAREGATE_CREDIT_AUTH_REFRESH_MARGIN_SECS",
        "4MICA_AUTH_REFRESH_MARGIN_SECS",
    ];
    if let Some(secs) = env.read(&margin, |text| text.parse().ok())? {
        builder = builder.sign_in().refresh_margin(Duration::from_secs(secs));
    }
    let token = ["FAREGATE_CREDIT_BEARER_TOKEN", "4MICA_BEARER_TOKEN"];
    if let Some(token) = env.read(&token, hidden)? {
        builder = builder.bearer_token(token);
    }
    if let Some(key) = env.read(&["FAREGATE_ADMIN_API_KEY"], hidden)? {
        builder = builder.admin_api_key(key);
    }
    Ok(builder)
}

/// What can stand in a header.
fn hidden(text: &str) -> Option<Hidden> {
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    is_plain.then(|| Hidden::new(text.to_owned()))
}
