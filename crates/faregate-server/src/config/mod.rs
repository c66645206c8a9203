//! One TOML file, read strictly: unknown keys, empty prices and unknown networks are faults, all reported at once with
//! their line.
//!
//! `${NAME}` in any text is replaced from the environment, which is an argument. Keys are named, never written down:
//! `env:NAME` or `file:/absolute/path`.
//!
//! ```
//! use faregate_server::config::{Config, Env};
//!
//! let text = r#"
//!     [gate]
//!     public_url = "https://api.example"
//!     upstream = "http://127.0.0.1:8000"
//!     network = "base-sepolia"
//!     pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
//!     facilitator = { url = "https://facilitator.example" }
//!
//!     [[route]]
//!     match = "GET /joke"
//!     price = "$0.001"
//! "#;
//! let config = Config::parse(text, &Env::new()).unwrap();
//! assert_eq!(config.gate.unwrap().routes.len(), 1);
//!
//! let errors = Config::parse(&text.replace("price", "prize"), &Env::new()).unwrap_err();
//! let found: Vec<_> = errors.iter().map(|error| (error.code.as_str(), error.line)).collect();
//! assert_eq!(found, [("missing_key", 9), ("unknown_key", 11)]);
//! ```

mod admin;
mod caller;
mod credit;
mod credit_core;
mod error;
mod facilitator;
mod gate;
mod gate_credit;
mod l402;
mod lightning;
mod managed;
mod moment;
mod parts;
mod permit;
mod price;
mod reader;
mod remunerate;
mod replay;
mod route;
mod secret;
mod sender;
mod shadow;
mod store;
mod wallet;
mod webhook;

use faregate_types::{Asset, AssetRegistry, Erc20, TokenDomain, TransferMethod};

use facilitator::Surroundings;
use reader::{Reader, Section};

pub use admin::AdminConfig;
pub use caller::{AccessConfig, CallerConfig, Duplicates};
pub use credit::{CreditConfig, CreditTerms};
pub use credit_core::CreditCoreConfig;
pub use error::{ConfigCode, ConfigError, ConfigErrors};
pub use facilitator::{EmbeddedConfig, EmbeddedNetwork, FacilitatorConfig, FacilitatorSource};
pub use gate::{GatewayConfig, Unmatched};
pub use gate_credit::GateCreditConfig;
pub use lightning::{LightningBackend, LightningConfig, LightningKind, OldMasterKey};
pub use managed::ManagedConfig;
pub use parts::PrivateUrl;
pub use permit::PermitConfig;
pub use reader::Env;
pub use remunerate::RemunerateConfig;
pub use replay::ReplayConfig;
pub use route::{RouteConfig, RouteOffer, RoutePrice};
pub use secret::{SecretError, SecretSource};
pub use sender::SenderConfig;
pub use store::{StoreConfig, StoreUrl};
pub use webhook::WebhookConfig;

/// A whole file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `[gate]` with its `[[route]]`s.
    pub gate: Option<GatewayConfig>,
    /// `[facilitator]`.
    pub facilitator: Option<FacilitatorConfig>,
    /// `[managed]`.
    pub managed: Option<ManagedConfig>,
    /// `[credit]`.
    pub credit: Option<CreditConfig>,
    /// `[admin]`: where the operator looks, of whichever of the two runs.
    pub admin: Option<AdminConfig>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Every fault of it.
    pub fn parse(text: &str, env: &Env) -> Result<Self, ConfigErrors> {
        let reader = Reader::new(text, env);
        let (table, broken) = reader.parse();
        // A file that is no TOML lacks keys that are there: only its syntax is worth talking about.
        let config = (!broken).then(|| Self::read(&reader, reader.root(&table)));
        match (config, reader.faults()) {
            (Some(config), None) => Ok(config),
            (_, Some(errors)) => Err(errors),
            (None, None) => Err(ConfigErrors(Vec::new())),
        }
    }

    fn read(reader: &Reader<'_>, root: Section<'_, '_>) -> Self {
        let mainnet = root.flag("mainnet").unwrap_or(false);
        let registry = assets(&root, mainnet);
        let about = Surroundings {
            registry: &registry,
            mainnet,
        };
        let (gate_section, routes) = (root.section("gate"), root.sections("route"));
        let facilitator_section = root.section("facilitator");
        if !root.has("gate") && !routes.is_empty() {
            root.fault(
                ConfigCode::Contradiction,
                "route",
                "[[route]] needs a [gate] to stand at",
            );
        } else if !["gate", "facilitator", "managed", "credit"]
            .into_iter()
            .any(|key| root.has(key))
        {
            root.missing(
                "gate",
                "expected [gate] with [[route]]s, or [facilitator], or [managed], or [credit]",
            );
        }
        let gate = gate_section.and_then(|section| {
            let gate = gate::read(&section, routes, about);
            let span = section.span().clone();
            section.finish();
            reader.explained(gate, &span, "gate")
        });
        let facilitator = facilitator_section.and_then(|section| {
            let service = facilitator::service(&section, about);
            let span = section.span().clone();
            section.finish();
            reader.explained(service, &span, "facilitator")
        });
        let managed = root.section("managed").and_then(|section| {
            let managed = managed::read(&section, about);
            let span = section.span().clone();
            section.finish();
            reader.explained(managed, &span, "managed")
        });
        let credit = root.section("credit").and_then(|section| {
            let credit = credit::read(&section, about);
            let span = section.span().clone();
            section.finish();
            reader.explained(credit, &span, "credit")
        });
        let admin = admin::read(&root);
        let public = [
            gate.as_ref().map(|gate| gate.bind),
            facilitator.as_ref().map(|service| service.bind),
            managed.as_ref().map(|managed| managed.bind),
            credit.as_ref().map(|credit| credit.bind),
        ];
        together(&root, admin.as_ref(), &public);
        root.finish();
        Self {
            gate,
            facilitator,
            managed,
            credit,
            admin,
        }
    }
}

/// What no section can see alone.
fn together(
    root: &Section<'_, '_>,
    admin: Option<&AdminConfig>,
    public: &[Option<std::net::SocketAddr>],
) {
    let Some(admin) = admin else { return };
    if admin.bind.port() != 0 && public.contains(&Some(admin.bind)) {
        let message = "the admin address has to be another one than those that strangers reach";
        root.fault(ConfigCode::Contradiction, "admin", message);
    }
}

/// The assets we know and those the file adds.
fn assets(root: &Section<'_, '_>, mainnet: bool) -> AssetRegistry {
    let mut registry = AssetRegistry::builtin();
    for section in root.sections("asset") {
        let default = section.flag("default").unwrap_or(false);
        if let Some(asset) = asset(&section, mainnet) {
            registry = if default {
                registry.with_default(asset)
            } else {
                registry.with(asset)
            };
        }
        section.finish();
    }
    registry
}

fn asset(section: &Section<'_, '_>, mainnet: bool) -> Option<Asset> {
    let id = section.required("id", "expected the asset as eip155:<chain>/erc20:<token>");
    let symbol = section.required("symbol", "expected the symbol, such as \"USDC\"");
    let name = section.required("name", "expected the name of the token's EIP-712 domain");
    let version = section.required(
        "version",
        "expected the version of the token's EIP-712 domain",
    );
    if !section.has("decimals") {
        section.missing("decimals", "expected the number of decimals, such as 6");
    }
    let decimals = section
        .number("decimals", 0..=36)
        .and_then(|number| u8::try_from(number).ok());
    let transfer = match section
        .text("transfer")
        .as_ref()
        .map(|text| text.value.as_str())
    {
        None | Some("eip3009") => Some(TransferMethod::Eip3009),
        Some("permit2") => Some(TransferMethod::Permit2),
        Some(_) => {
            section.fault(
                ConfigCode::Value,
                "transfer",
                "expected \"eip3009\" or \"permit2\"",
            );
            None
        }
    };
    // A price in sat is one over Lightning.
    if let Some(symbol) = &symbol
        && lightning::is_unit(&symbol.value)
    {
        let message =
            "expected another symbol: prices in sat, msat and BTC are paid over Lightning";
        section.fault(ConfigCode::Contradiction, "symbol", message);
    }
    let id = id?;
    let Ok(asset) = id.value.trim().parse::<Erc20>() else {
        section.fault(
            ConfigCode::UnknownAsset,
            "id",
            "expected an asset as eip155:<chain>/erc20:<token>",
        );
        return None;
    };
    // The chain of an asset is subject to the same rule as a network that is named.
    let chain = reader::Text {
        value: asset.chain().to_string(),
        span: id.span,
        key: id.key,
    };
    parts::chain(section, &chain, mainnet)?;
    Some(Asset {
        id: asset,
        symbol: symbol?.value.into(),
        decimals: decimals?,
        domain: TokenDomain {
            name: name?.value.into(),
            version: version?.value.into(),
        },
        transfer: transfer?,
    })
}
