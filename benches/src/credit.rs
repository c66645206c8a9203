//! A credit core with many payers: who they are, their books, its service, and the guarantees that are asked of it, signed before
//! anything is measured.
//!
//! Everything follows from numbers, so that the process that asks and the process that answers agree without a word.

pub mod story;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, B256, U256, keccak256};
use faregate_core::credit::{
    Cursor, Happening, Identity, OpenTab, Place, ReqIds, TabEvent, TabId, Terms,
};
use faregate_core::port::access::AccessStore;
use faregate_core::port::credit::{Batch, CreditStore};
use faregate_devnet::chain::CREDIT_CORE;
use faregate_evm::LocalSigner;
use faregate_server::credit::{
    AuthSettings, ChainStanding, Parameters, RateSettings, Service, Settings, TokenKey,
};
use faregate_store::memory::MemoryLedger;
use faregate_store::postgres::{PostgresLedger, PostgresUrl};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::credit::{
    BlsSecretKey, Claims, Encoding, GuaranteeRequest, SigningScheme, digest, write,
};
use faregate_types::{SecretKey, Timestamp};
use tokio::sync::watch;

use crate::chain::{self, CHAIN};
use crate::{Failed, payer};

/// How long certificates can be redeemed, in seconds.
const EXPIRATION_SECS: u64 = 21 * 86_400;

/// How long a token of the service is good, in seconds: longer than any run.
const TOKEN_SECS: u64 = 7_200;

/// What every payer has, in atomic units.
const COLLATERAL: u64 = 1_000_000_000_000;

/// What every guarantee is for.
const AMOUNT: u64 = 1_000;

/// Recipients of the guarantees of many payers.
const RECIPIENTS: usize = 64;

/// Deposits that are entered, and tabs that are opened, at once.
const AT_ONCE: usize = 2_000;

/// Who asks for guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(clippy::exhaustive_enums, reason = "the cases that are measured")]
pub enum Crowd {
    /// 10,000 payers with a tab each.
    Spread,
    /// The same with 200 payers, for a look whether everything runs.
    Few,
    /// One payer with a tab for each who asks, numbered strictly.
    Hot,
    /// One payer with one tab, whose numbers are reserved.
    One,
    /// 1,000 payers of one shop, with a tab each in its token, whose numbers are reserved.
    Regulars,
    /// The same with 20 payers.
    FewRegulars,
    /// One payer of that shop.
    Regular,
}

impl Crowd {
    /// Its name as an argument.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Few => "few",
            Self::Hot => "hot",
            Self::One => "one",
            Self::Regulars => "regulars",
            Self::FewRegulars => "few-regulars",
            Self::Regular => "regular",
        }
    }

    /// Whether all of them pay one shop, which sells for a token.
    const fn is_of_shop(self) -> bool {
        matches!(self, Self::Regulars | Self::FewRegulars | Self::Regular)
    }

    /// How many tabs there are.
    const fn tabs(self) -> usize {
        match self {
            Self::Spread => 10_000,
            Self::Few => 200,
            Self::Hot => LANES_MAX,
            Self::Regulars => 1_000,
            Self::FewRegulars => 20,
            Self::One | Self::Regular => 1,
        }
    }

    /// How many wallets call.
    const fn recipients(self) -> usize {
        match self {
            Self::Spread | Self::Few => RECIPIENTS,
            Self::Hot => LANES_MAX,
            Self::One | Self::Regulars | Self::FewRegulars | Self::Regular => 1,
        }
    }

    const fn payer(self, tab: usize) -> usize {
        match self {
            Self::Spread | Self::Few | Self::Regulars | Self::FewRegulars => tab,
            Self::Hot | Self::One | Self::Regular => 0,
        }
    }

    fn asset(self) -> Result<Address, Failed> {
        if self.is_of_shop() {
            return Ok(chain::asset()?.id.token());
        }
        Ok(Address::ZERO)
    }

    fn identity(self, tab: usize) -> Result<Identity, Failed> {
        let recipient = tab.checked_rem(self.recipients()).ok_or("no recipients")?;
        Ok(Identity {
            payer: payer_of(self.payer(tab))?.address(),
            recipient: recipient_of(recipient)?.address(),
            asset: self.asset()?,
            version: 1,
        })
    }
}

/// The most that ask at once.
pub const LANES_MAX: usize = 128;

/// A payer.
fn payer_of(number: usize) -> Result<LocalSigner, Failed> {
    Ok(LocalSigner::new(payer::key(u64::try_from(number)?)?)?)
}

/// Whoever is paid.
///
/// # Errors
/// Never, but one time in 2¹²⁸.
pub fn recipient_of(number: usize) -> Result<LocalSigner, Failed> {
    Ok(LocalSigner::new(recipient_key(number)?)?)
}

/// The key of whoever is paid.
///
/// # Errors
/// As [`recipient_of`].
pub fn recipient_key(number: usize) -> Result<SecretKey, Failed> {
    let bytes = keccak256(format!("a recipient of the load program {number}"));
    Ok(SecretKey::from_bytes(bytes.0)?)
}

fn tab_id(number: usize) -> TabId {
    let bytes = keccak256(format!("a tab of the load program {number}"));
    TabId(U256::from_be_bytes(bytes.0))
}

/// The key of certificates.
///
/// # Errors
/// Never.
pub fn bls_key() -> Result<BlsSecretKey, Failed> {
    Ok(BlsSecretKey::from_bytes(&[7; 32])?)
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A guarantee that somebody asks for: on which tab, and the body of the request.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Wish {
    /// Which of the recipients asks.
    pub recipient: usize,
    /// JSON.
    pub body: String,
}

/// For each of `lanes` what it asks for, `count` in all. Lanes share no tab with strict numbers, and each asks in their order.
///
/// # Errors
/// A signature that cannot be made.
pub fn wishes(crowd: Crowd, lanes: usize, count: usize) -> Result<Vec<Vec<Wish>>, Failed> {
    let each = count.checked_div(lanes).ok_or("no lanes")?;
    let numbers: Vec<usize> = (0..lanes).collect();
    let at = now();
    let (mut all, half) = (Vec::with_capacity(lanes), lanes.div_ceil(2).max(1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = numbers
            .chunks(half)
            .map(|part| {
                scope.spawn(move || {
                    let one = |lane: &usize| lane_of(crowd, (*lane, lanes), each, at);
                    part.iter().map(one).collect::<Result<Vec<_>, Failed>>()
                })
            })
            .collect();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "signing panicked")??);
        }
        Ok(all)
    })
}

/// `count` promises to the shop of a crowd, its payers in turn. Their numbers are reserved, so they may come in any order.
///
/// # Errors
/// A signature that cannot be made.
pub fn promises(crowd: Crowd, count: usize) -> Result<Vec<GuaranteeRequest>, Failed> {
    let parties: Result<Vec<Party>, Failed> =
        (0..crowd.tabs()).map(|tab| Party::of(crowd, tab)).collect();
    let (parties, at) = (parties?, now());
    let one = |place: usize| {
        let turn = place.checked_rem(parties.len()).ok_or("no tabs")?;
        let number = place.checked_div(parties.len()).unwrap_or(0);
        parties.get(turn).ok_or("no tabs")?.request(number, at)
    };
    let half = count.div_ceil(2);
    std::thread::scope(|scope| {
        let threads = [0..half, half..count]
            .map(|places| scope.spawn(|| places.map(one).collect::<Result<Vec<_>, Failed>>()));
        let mut all = Vec::with_capacity(count);
        for thread in threads {
            all.extend(thread.join().map_err(|_| "signing panicked")??);
        }
        Ok(all)
    })
}

fn lane_of(
    crowd: Crowd,
    (lane, lanes): (usize, usize),
    count: usize,
    at: Timestamp,
) -> Result<Vec<Wish>, Failed> {
    // The tabs of this lane, in turn; of a shared tab, its share of the numbers.
    let tabs: Vec<usize> = match crowd {
        Crowd::One | Crowd::Regular => vec![0],
        _ => (lane..crowd.tabs()).step_by(lanes).collect(),
    };
    let parties: Result<Vec<_>, Failed> = tabs.iter().map(|tab| Party::of(crowd, *tab)).collect();
    let parties = parties?;
    let mut wishes = Vec::with_capacity(count);
    for place in 0..count {
        let turn = place.checked_rem(parties.len()).ok_or("no tabs")?;
        let party = parties.get(turn).ok_or("no tabs")?;
        let number = match crowd {
            Crowd::One | Crowd::Regular => place.saturating_mul(lanes).saturating_add(lane),
            _ => place.checked_div(parties.len()).unwrap_or(0),
        };
        wishes.push(Wish {
            recipient: party.tab.checked_rem(crowd.recipients()).unwrap_or(0),
            body: write(&party.request(number, at)?),
        });
    }
    Ok(wishes)
}

/// Who owes whom on a tab.
#[derive(Debug)]
pub struct Party {
    tab: usize,
    identity: Identity,
    payer: LocalSigner,
}

impl Party {
    /// The two of a tab.
    ///
    /// # Errors
    /// Never.
    pub fn of(crowd: Crowd, tab: usize) -> Result<Self, Failed> {
        Ok(Self {
            tab,
            identity: crowd.identity(tab)?,
            payer: payer_of(crowd.payer(tab))?,
        })
    }

    /// Claims of the payer, signed.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn request(&self, number: usize, at: Timestamp) -> Result<GuaranteeRequest, Failed> {
        let claims = Claims {
            payer: self.identity.payer,
            recipient: self.identity.recipient,
            tab_id: tab_id(self.tab).0,
            req_id: U256::from(number),
            amount: U256::from(AMOUNT),
            asset: self.identity.asset,
            timestamp: at,
            validation: None,
        };
        let digest = claims.digest(Encoding::TypedV1, claims_domain());
        Ok(GuaranteeRequest {
            signature: self.payer.sign_now(digest.ok_or("no digest")?)?,
            claims,
            scheme: SigningScheme::Eip712,
        })
    }
}

/// The domain that claims are signed in.
#[must_use]
pub fn claims_domain() -> B256 {
    digest::domain_separator("4mica", "1", CHAIN)
}

/// A credit service for a crowd whose money and tabs are in the books already. `books` is `memory`, the
/// address of a PostgreSQL database without books, or a path.
///
/// # Errors
/// The ledger.
pub async fn service(crowd: Crowd, books: &str) -> Result<Service, Failed> {
    let (books, access): (Arc<dyn CreditStore>, Arc<dyn AccessStore>) = match books {
        "memory" => {
            let books = faregate_store::memory::MemoryCredit::new(CHAIN);
            (Arc::new(books), Arc::new(MemoryLedger::new()))
        }
        address if PostgresUrl::is_meant(address) => {
            let ledger = PostgresLedger::open(&PostgresUrl::parse(address)?).await?;
            (Arc::new(ledger.credit(CHAIN).await?), Arc::new(ledger))
        }
        path => {
            let ledger = SqliteLedger::open(Path::new(path))?;
            (Arc::new(ledger.credit(CHAIN).await?), Arc::new(ledger))
        }
    };
    let terms = terms(crowd)?;
    fill(crowd, &*books, &terms).await?;
    let (terms, _) = watch::channel(Arc::new(terms));
    let (chain, _) = watch::channel(ChainStanding::Followed);
    Ok(Service {
        books,
        access,
        terms: terms.subscribe(),
        chain: chain.subscribe(),
        key: bls_key()?,
        recover: faregate_evm::recover,
        contracts: None,
        admin_seed: None,
        clock: Arc::new(now),
    })
}

fn terms(crowd: Crowd) -> Result<Terms, Failed> {
    Ok(Terms {
        versions: [1].into(),
        assets: [crowd.asset()?].into(),
        expiration_secs: EXPIRATION_SECS,
        ttl_default_secs: 86_400,
        req_ids: match crowd {
            Crowd::Spread | Crowd::Few | Crowd::Hot => ReqIds::Strict,
            Crowd::One | Crowd::Regulars | Crowd::FewRegulars | Crowd::Regular => ReqIds::Reserved,
        },
    })
}

/// Deposits, as from the chain, and tabs.
async fn fill(crowd: Crowd, books: &dyn CreditStore, terms: &Terms) -> Result<(), Failed> {
    let tabs: Vec<usize> = (0..crowd.tabs()).collect();
    let payers = tabs.last().map_or(0, |last| crowd.payer(*last));
    let payers: Vec<usize> = (0..=payers).collect();
    let mut from = None;
    for (number, payers) in (1_u64..).zip(payers.chunks(AT_ONCE)) {
        let at = now();
        let deposit = |payer: &usize| {
            let transaction = keccak256(format!("a deposit of the load program {payer}"));
            Ok(Happening {
                place: Place {
                    block: number,
                    transaction,
                    log: Some(0),
                },
                at,
                event: TabEvent::Deposited {
                    payer: payer_of(*payer)?.address(),
                    asset: crowd.asset()?,
                    amount: U256::from(COLLATERAL),
                },
            })
        };
        let happenings: Result<Vec<_>, Failed> = payers.iter().map(deposit).collect();
        let to = Cursor {
            number,
            hash: B256::left_padding_from(&number.to_be_bytes()),
            time: at,
        };
        let batch = Batch {
            from,
            to,
            happenings: happenings?,
        };
        books.enter(batch, terms.clone(), 0).await?;
        from = Some(to);
    }
    for tabs in tabs.chunks(AT_ONCE) {
        let open = tabs.iter().map(async |tab| {
            let command = OpenTab {
                id: tab_id(*tab),
                identity: crowd.identity(*tab)?,
                ttl_secs: None,
                at: now(),
            };
            books.open_tab(command, terms.clone()).await?;
            Ok::<_, Failed>(())
        });
        futures_util::future::try_join_all(open).await?;
    }
    Ok(())
}

/// Everybody signs in, and nobody comes too often.
///
/// # Errors
/// Never.
pub fn settings() -> Result<Settings, Failed> {
    Ok(Settings {
        parameters: Parameters {
            chain: CHAIN,
            contract: CREDIT_CORE,
            node_url: "".into(),
            eip712_name: "4mica".into(),
            eip712_version: "1".into(),
            tokens: vec![],
            registries: vec![],
        },
        auth: AuthSettings {
            required: true,
            key: TokenKey::new(&[9; 32]).ok_or("a short key")?,
            issuer: "4mica-core".into(),
            audience: "4mica".into(),
            domain: "core.example".into(),
            uri: "https://core.example".into(),
            statement: "Sign in to 4mica.".into(),
            nonce_ttl_secs: 300,
            access_ttl_secs: TOKEN_SECS,
            refresh_ttl_secs: TOKEN_SECS,
            wallets: vec![],
        },
        rates: RateSettings {
            calls_per_second: NonZeroU32::MAX,
            wallet_calls_per_second: NonZeroU32::MAX,
            sign_ins_per_minute: NonZeroU32::MAX,
        },
        origins: vec![],
        proxies: vec![],
        shutdown: Duration::from_secs(5),
    })
}
