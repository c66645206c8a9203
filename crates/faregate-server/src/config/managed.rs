//! `[managed]`: receiving Lightning for others.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use faregate_core::custody::{CustodyRules, FeeRule};
use faregate_http::Reach;
use faregate_types::MoneyText;
use faregate_types::lightning::{BitcoinNetwork, Msat};

use super::error::ConfigCode;
use super::facilitator::Surroundings;
use super::lightning::{self, LightningBackend, LightningKind};
use super::parts;
use super::reader::Section;
use super::store::{self, StoreConfig};
use crate::limits;
use crate::managed::{OwnerRule, Owners, Settings};

const OWNERS: &str = "expected for whom money is received: Lightning addresses, *@host for all of a host, or * for anybody";

/// `[managed]`: a service that makes invoices for others and passes the money on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagedConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where its ledger is.
    pub store: StoreConfig,
    /// The wallet or node that receives and pays out.
    pub wallet: LightningBackend,
    /// Its network.
    pub network: BitcoinNetwork,
    /// Fees, payouts.
    pub rules: CustodyRules,
    /// Who may use it, how much, and the directory.
    pub settings: Settings,
}

/// Reads `[managed]`.
pub(super) fn read(section: &Section<'_, '_>, about: Surroundings<'_>) -> Option<ManagedConfig> {
    let default = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, limits::MANAGED_PORT));
    let bind = parts::bind(section, default);
    let path = |key, default: &str| {
        let text = section.text(key);
        PathBuf::from(text.map_or_else(|| default.to_owned(), |text| text.value))
    };
    let store = store::read(section, "managed.db");
    let directory = path("directory", "managed.directory.json");
    let rules = rules(section);
    let owners = owners(section);
    let usual = Settings::default();
    let private = section.flag("private_addresses").unwrap_or(false);
    let settings = Settings {
        owners: Owners::Anybody,
        invoices_per_minute: count(section, "invoices_per_minute", usual.invoices_per_minute),
        invoices_per_minute_all: count(
            section,
            "invoices_per_minute_all",
            usual.invoices_per_minute_all,
        ),
        registrations_per_hour: count(
            section,
            "registrations_per_hour",
            usual.registrations_per_hour,
        ),
        amount_max: amount(section, "amount_max", usual.amount_max),
        directory: Some(directory),
        reach: if private {
            Reach::Anywhere
        } else {
            Reach::Public
        },
        shutdown: section
            .number("shutdown_secs", 0..=3_600)
            .map_or(usual.shutdown, Duration::from_secs),
    };
    let (wallet, network) = wallet(section, about)?;
    Some(ManagedConfig {
        bind,
        store,
        wallet,
        network,
        rules,
        settings: Settings {
            owners: owners?,
            ..settings
        },
    })
}

/// `[managed.lightning]`.
fn wallet(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
) -> Option<(LightningBackend, BitcoinNetwork)> {
    let Some(table) = section.section("lightning") else {
        section.missing(
            "lightning",
            "expected [managed.lightning] with the wallet or node that receives and pays out",
        );
        return None;
    };
    let backend = lightning::backend(&table);
    let network = lightning::network(&table, about.mainnet);
    if let Some(backend) = &backend
        && !can_pay_safely(&backend.kind)
    {
        let message = "expected a wallet that pays and can tell later what became of a payment: lnd, cln, lnbits, phoenixd, blink, alby-hub, nwc or ldk";
        table.fault(ConfigCode::Contradiction, "backend", message);
    }
    table.finish();
    backend.zip(network)
}

/// Payouts are followed until their end is known.
const fn can_pay_safely(kind: &LightningKind) -> bool {
    match kind {
        LightningKind::Lnd { .. }
        | LightningKind::Cln
        | LightningKind::Lnbits
        | LightningKind::Phoenixd
        | LightningKind::Blink { .. }
        | LightningKind::AlbyHub
        | LightningKind::Nwc
        | LightningKind::Ldk { .. } => true,
        LightningKind::Alby
        | LightningKind::Strike
        | LightningKind::OpenNode
        | LightningKind::Address { .. }
        | LightningKind::Managed { .. } => false,
    }
}

fn rules(section: &Section<'_, '_>) -> CustodyRules {
    let usual = CustodyRules::default();
    let ppm = |key, usual| {
        let number = section.number(key, 0..=1_000_000);
        number
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(usual)
    };
    let expiry = section.number("invoice_expiry_secs", limits::MANAGED_EXPIRY_SECS);
    let fee = FeeRule {
        ppm: ppm("fee_ppm", usual.fee.ppm),
        min: amount(section, "fee_min", usual.fee.min),
    };
    let rules = CustodyRules {
        fee,
        invoice_expiry_secs: expiry
            .and_then(|secs| u32::try_from(secs).ok())
            .unwrap_or(usual.invoice_expiry_secs),
        description: section
            .text("description")
            .map_or(usual.description, |text| text.value.into()),
        payout_min: amount(section, "payout_min", usual.payout_min),
        payout_max: amount(section, "payout_max", usual.payout_max),
        routing_max: FeeRule {
            // What was taken for it, unless the file says otherwise.
            ppm: ppm("routing_max_ppm", fee.ppm),
            min: amount(section, "routing_max_min", usual.routing_max.min),
        },
        payout_time: usual.payout_time,
    };
    if rules.payout_max < rules.payout_min {
        let message = "the largest payout is smaller than the smallest";
        section.fault(ConfigCode::Contradiction, "payout_max", message);
    }
    rules
}

fn amount(section: &Section<'_, '_>, key: &'static str, usual: Msat) -> Msat {
    let Some(text) = section.text(key) else {
        return usual;
    };
    let money = MoneyText::parse(text.value.trim()).ok();
    let read = money.and_then(|money| Msat::from_money(&money).ok());
    read.unwrap_or_else(|| {
        section.fault(
            ConfigCode::Price,
            key,
            "expected an amount such as \"1000 sat\"",
        );
        usual
    })
}

fn count(section: &Section<'_, '_>, key: &'static str, usual: NonZeroU32) -> NonZeroU32 {
    let number = section.number(key, 1..=limits::RATE_MAX);
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.and_then(NonZeroU32::new).unwrap_or(usual)
}

fn owners(section: &Section<'_, '_>) -> Option<Owners> {
    const KEY: &str = "owners";
    let Some(texts) = section.texts(KEY) else {
        section.missing(KEY, OWNERS);
        return None;
    };
    if texts.is_empty() || texts.len() > limits::OWNERS_MAX {
        section.fault(ConfigCode::Value, KEY, OWNERS);
        return None;
    }
    if let [only] = &*texts
        && only.value.trim() == "*"
    {
        return Some(Owners::Anybody);
    }
    let rules = texts.iter().map(|text| {
        let rule = owner(text.value.trim());
        if rule.is_none() {
            let (span, key) = (&text.span, &text.key);
            section.reader().fault(ConfigCode::Value, span, key, OWNERS);
        }
        rule
    });
    rules.collect::<Option<Vec<_>>>().map(Owners::These)
}

fn owner(text: &str) -> Option<OwnerRule> {
    match text.strip_prefix("*@") {
        // A host is good when an address there would be.
        Some(host) => format!("owner@{host}").parse().ok().map(
            |address: faregate_types::lightning::LightningAddress| {
                OwnerRule::Host(address.host().into())
            },
        ),
        None => text.parse().ok().map(OwnerRule::Address),
    }
}
