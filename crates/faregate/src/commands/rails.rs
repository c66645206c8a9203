//! The options about rails, assets and permits, given to a client in the making.

use faregate_client::{ClientBuilder, OnCredit, PermitKind, Prefer};
use faregate_types::{AssetRegistry, ChainId, Erc20};
use reqwest::Url;

use crate::cli::rails::{PermitKindArg, PreferArg, RailArgs};
use crate::exit::Failed;

/// A client that pays as these arguments say.
///
/// # Errors
/// When one of them names nothing.
pub(crate) fn apply(args: &RailArgs, builder: ClientBuilder) -> Result<ClientBuilder, Failed> {
    let assets: Result<Vec<Erc20>, Failed> = args.pay_with.iter().map(|name| asset(name)).collect();
    let mut builder = builder
        .rails(args.prefer.iter().map(|rail| match rail {
            PreferArg::X402 => Prefer::X402,
            PreferArg::L402 => Prefer::L402,
            PreferArg::Permit => Prefer::Permit,
            PreferArg::Credit => Prefer::Credit,
        }))
        .pay_with(assets?)
        .permit_secs(args.permit_valid);
    for text in &args.nodes {
        let (chain, url) = node(text)?;
        builder = builder.node(chain, url);
    }
    if let Some(kind) = args.permit_kind {
        builder = builder.permit_kind(match kind {
            PermitKindArg::Eip2612 => PermitKind::Eip2612,
            PermitKindArg::Erc3009 => PermitKind::Erc3009,
            PermitKindArg::Permit2 => PermitKind::Permit2,
        });
    }
    Ok(builder)
}

/// How these arguments pay on credit, if they do.
///
/// # Errors
/// When one of them names nothing.
pub(crate) fn on_credit(args: &RailArgs) -> Result<Option<OnCredit>, Failed> {
    let is_named = args
        .prefer
        .iter()
        .any(|rail| matches!(rail, PreferArg::Credit));
    if !args.credit && !is_named {
        return Ok(None);
    }
    let domain = args.credit_domain.rsplit_once('/');
    let domain = domain.filter(|(name, version)| !name.is_empty() && !version.is_empty());
    let (name, version) = domain.ok_or_else(|| {
        Failed::usage("--credit-domain is written NAME/VERSION")
            .hint("4mica/1, as cores publish it")
    })?;
    let mut credit = OnCredit::new().domain(name, version);
    for text in &args.credit_tabs {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        credit = credit.tabs_at(&url.ok_or_else(|| {
            Failed::usage(format!("--credit-tabs {text:?} is no origin"))
                .hint("https://facilitator.example")
        })?);
    }
    Ok(Some(credit))
}

/// A network by its name in version 1 of x402, or by CAIP-2.
pub(crate) fn network(name: &str) -> Result<ChainId, Failed> {
    let chain = ChainId::from_v1_name(name).or_else(|| name.parse().ok());
    chain.ok_or_else(|| {
        Failed::usage(format!("{name:?} is no network")).hint("a name like base, or eip155:8453")
    })
}

fn node(text: &str) -> Result<(ChainId, Url), Failed> {
    // The URL may hold a key, so it is not shown.
    let wrong = || Failed::usage("a node is written NETWORK=URL").hint("sepolia=https://…");
    let (name, url) = text.split_once('=').ok_or_else(wrong)?;
    let url = Url::parse(url).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    Ok((network(name)?, url))
}

fn asset(name: &str) -> Result<Erc20, Failed> {
    if let Ok(asset) = name.parse() {
        return Ok(asset);
    }
    let registry = AssetRegistry::builtin();
    let found = name.split_once('/').and_then(|(chain, symbol)| {
        let chain = network(chain).ok()?;
        registry.by_symbol(chain, symbol).map(|asset| asset.id)
    });
    found.ok_or_else(|| {
        Failed::usage(format!("{name:?} is no asset we know"))
            .hint("a name like sepolia/USDC, or eip155:84532/erc20:0x036C…")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_and_nodes_are_named_in_words_or_numbers() {
        let sepolia = "eip155:11155111/erc20:0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238";
        for name in ["sepolia/USDC", "eip155:11155111/usdc", sepolia] {
            assert_eq!(
                asset(name).ok().map(|asset| asset.to_string()).as_deref(),
                Some(sepolia)
            );
        }
        for name in [
            "",
            "sepolia",
            "sepolia/GOLD",
            "nowhere/USDC",
            "eip155:1/erc20:0x00",
        ] {
            assert!(asset(name).is_err(), "{name}");
        }
        let named = node("eip155:11155111=http://127.0.0.1:8545/key=1");
        let (chain, url) = named.ok().unwrap_or_else(|| unreachable!());
        assert_eq!((chain.get(), url.path()), (11_155_111, "/key=1"));
        for text in [
            "",
            "sepolia",
            "sepolia=",
            "sepolia=ws://x",
            "nowhere=http://secret",
        ] {
            let Err(failed) = node(text) else {
                unreachable!("{text}")
            };
            assert!(!failed.message.contains("secret"));
        }
    }
}
