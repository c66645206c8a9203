//! A chain on which much happened at the contract of a credit core, and the books it is to be entered into.
//!
//! In turn there are blocks in which payers leave collateral and pay tabs in ETH, and blocks in which the operator records what was paid.
//! So every payment is two things that happen: it is found, and it is recorded.

use std::path::Path;

use alloy_primitives::{Address, B256, U256, keccak256};
use faregate_core::credit::{Cursor, Happening, Identity, Issue, OpenTab, Place, TabEvent};
use faregate_core::port::credit::{Batch, CreditStore};
use faregate_devnet::chain::CREDIT_CORE;
use faregate_devnet::{ChainConfig, CreditConfig, CreditTiming, Devchain};
use faregate_evm::credit::{Call, CreditCore, ETH, Payment};
use faregate_store::sqlite::{SqliteCredit, SqliteLedger};
use faregate_types::Timestamp;
use serde_json::{Value, json};

use super::{Crowd, bls_key, recipient_of, tab_id, terms};
use crate::chain::{CHAIN, account};
use crate::{Failed, http};

/// Deposits in a block, and payments.
const EACH: usize = 50;

/// Tabs that are paid for.
const TABS: usize = 500;

/// The places of the dev accounts that pay.
const PAYERS: [usize; 5] = [1, 2, 3, 4, 5];

/// The places of those who look after the contract.
const ADMIN: usize = 6;
const OPERATOR: usize = 7;

/// What a tab is good for, in wei, and what is paid for it at once.
const OWED: u64 = 1_000_000_000;
const PAID: u64 = 1_000;

/// The chain.
#[derive(Debug)]
pub struct Story {
    chain: Devchain,
    /// The block after which everything happened.
    pub before: u64,
    /// The last block.
    pub last: u64,
    /// How much happened.
    pub events: usize,
}

/// A dev chain with the contract on it that pays on the certificates made here.
///
/// # Errors
/// It does not start.
pub async fn chain() -> Result<Devchain, Failed> {
    let chain = Devchain::start(ChainConfig {
        chain_id: CHAIN.get(),
        credit: Some(CreditConfig {
            verification_key: bls_key()?.public_key().words(),
            operator: account(OPERATOR)?.address,
            admin: account(ADMIN)?.address,
            timing: CreditTiming::default(),
        }),
        ..ChainConfig::default()
    });
    Ok(chain.await?)
}

impl Story {
    /// A chain on which at least so much happened.
    ///
    /// # Errors
    /// It does not do as it is told.
    pub async fn tell(events: usize) -> Result<Self, Failed> {
        let chain = chain().await?;
        chain.mine(1).await?;
        chain.set_automine(false).await?;
        let before = chain.block_number().await?;
        let mut story = Self {
            chain,
            before,
            last: before,
            events: 0,
        };
        while story.events < events {
            story.go_on().await?;
        }
        story.last = story.chain.block_number().await?;
        Ok(story)
    }

    /// Its JSON-RPC.
    #[must_use]
    pub fn url(&self) -> String {
        self.chain.rpc_url()
    }

    /// A block of deposits and payments, and one in which the payments are recorded.
    async fn go_on(&mut self) -> Result<(), Failed> {
        let core = CreditCore::at(CREDIT_CORE);
        let (mut calls, mut payments) = (Vec::new(), Vec::new());
        for number in self.events..self.events.saturating_add(EACH) {
            let tab = number.checked_rem(TABS).ok_or("no tabs")?;
            let identity = identity(tab)?;
            let amount = U256::from(PAID);
            calls.push((identity.payer, core.deposit(ETH, amount)));
            let id = tab_id(tab).0;
            let pay = core.pay_tab_in_eth(id, U256::ZERO, amount, identity.recipient);
            calls.push((identity.payer, pay));
            payments.push((id, amount));
        }
        let hashes = self.send(&calls).await?;
        // The second of each pair paid.
        let paid = hashes.iter().skip(1).step_by(2).zip(payments);
        let records: Vec<Payment> = paid
            .map(|(hash, (tab, amount))| Payment {
                id: *hash,
                tab,
                asset: ETH,
                amount,
            })
            .collect();
        let record = core.record_payments(&records).ok_or("too many records")?;
        self.send(&[(account(OPERATOR)?.address, record)]).await?;
        self.events = self.events.saturating_add(EACH.saturating_mul(3));
        Ok(())
    }

    /// Sends these and mines a block; their hashes.
    async fn send(&self, calls: &[(Address, Call)]) -> Result<Vec<B256>, Failed> {
        let batch = calls.iter().map(|(from, call)| {
            let sent = json!({"from": from, "to": call.to, "value": call.value, "data": call.data, "gas": U256::from(call.gas)});
            json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendTransaction", "params": [sent]})
        });
        let answers = ask(&self.url(), &batch.collect()).await?;
        let hash = |answer: &Value| {
            let hash = answer["result"].as_str().ok_or_else(|| answer.to_string());
            Ok::<B256, Failed>(hash?.parse()?)
        };
        let answers = answers.as_array().ok_or("no answers")?;
        let hashes = answers.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
        self.chain.mine(1).await?;
        Ok(hashes)
    }
}

async fn ask(url: &str, question: &Value) -> Result<Value, Failed> {
    let addr = url.strip_prefix("http://").ok_or("no http")?.parse()?;
    let request = http::post("/", question.to_string().as_bytes());
    let answer = http::once(addr, &request).await?;
    Ok(serde_json::from_slice(answer.body())?)
}

/// Who owes whom on a tab of the story.
fn identity(tab: usize) -> Result<Identity, Failed> {
    let place = tab.checked_rem(PAYERS.len()).unwrap_or(0);
    let payer = PAYERS.get(place).ok_or("no payer")?;
    Ok(Identity {
        payer: account(*payer)?.address,
        recipient: recipient_of(tab)?.address(),
        asset: ETH,
        version: 1,
    })
}

/// New books in a file that stand at a block of the chain, with the tabs that are paid for later.
///
/// # Errors
/// The ledger, the chain.
pub async fn books(file: &Path, url: &str, block: u64) -> Result<SqliteCredit, Failed> {
    let number = format!("{block:#x}");
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [number, false]});
    let answer = ask(url, &question).await?;
    let text = |name: &str| answer["result"][name].as_str().ok_or("no such block");
    let time: U256 = text("timestamp")?.parse()?;
    let at = Timestamp::from_secs(time.saturating_to());
    let books = SqliteLedger::open(file)?.credit(CHAIN).await?;
    let terms = terms(Crowd::Spread)?;
    let mut happenings = Vec::new();
    for payer in PAYERS {
        let payer = account(payer)?.address;
        happenings.push(Happening {
            place: Place {
                block,
                transaction: keccak256(payer),
                log: Some(0),
            },
            at,
            event: TabEvent::Deposited {
                payer,
                asset: ETH,
                amount: U256::from(OWED).saturating_mul(U256::from(TABS)),
            },
        });
    }
    let to = Cursor {
        number: block,
        hash: text("hash")?.parse()?,
        time: at,
    };
    let batch = Batch {
        from: None,
        to,
        happenings,
    };
    books.enter(batch, terms.clone(), 0).await?;
    let open = (0..TABS).map(async |tab| {
        let (id, identity) = (tab_id(tab), identity(tab)?);
        let open = OpenTab {
            id,
            identity,
            ttl_secs: None,
            at,
        };
        books.open_tab(open, terms.clone()).await?;
        let issue = Issue {
            tab: id,
            req: U256::ZERO,
            identity,
            amount: U256::from(OWED),
            timestamp: at,
            request: Box::default(),
            at,
        };
        books.issue(issue, terms.clone()).await?;
        Ok::<_, Failed>(())
    });
    futures_util::future::try_join_all(open).await?;
    Ok(books)
}
