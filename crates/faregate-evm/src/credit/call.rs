//! Transactions and questions to one `CreditCore`, and what the answers say.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use faregate_types::credit::words::{KeyWords, SignatureWords};

use super::ETH;
use super::abi::{Core, Erc20};
use crate::limits::{CREDIT_ANSWER_BYTES_MAX, CREDIT_CLAIMS_BYTES_MAX, CREDIT_RECORDS_MAX};

/// Gas of a call that moves collateral: a deposit of a token behind a proxy, or a withdrawal.
const MOVE_GAS: u64 = 200_000;

/// Gas of `approve` of a token behind a proxy.
const APPROVE_GAS: u64 = 100_000;

/// Gas of what one payment record writes.
const RECORD_GAS: u64 = 75_000;

/// What every transaction costs, with its decoding.
const FIXED_GAS: u64 = 30_000;

/// Gas of a remuneration: the pairing, hashing the claims to the curve, a decoder with its registry, the payout.
const REMUNERATE_GAS: u64 = 700_000;

/// The contract at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditCore {
    address: Address,
}

/// What to send to which contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// ETH sent along, in wei.
    pub value: U256,
    /// The calldata.
    pub data: Bytes,
    /// A gas limit that is enough; nodes estimate less.
    pub gas: u64,
}

/// What to ask which contract by `eth_call`, and how to read the answer.
#[derive(Clone, Debug)]
pub struct Question<T> {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
    read: fn(&[u8]) -> Option<T>,
}

impl<T> Question<T> {
    pub(super) const fn new(to: Address, data: Bytes, read: fn(&[u8]) -> Option<T>) -> Self {
        Self { to, data, read }
    }

    /// Reads the answer; `None` when it is not one of this contract.
    #[must_use]
    pub fn read(&self, answer: &[u8]) -> Option<T> {
        if answer.len() > CREDIT_ANSWER_BYTES_MAX {
            return None;
        }
        (self.read)(answer)
    }
}

/// One payer's collateral in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssetBalance {
    /// The asset; [`ETH`] comes first, then tokens in the order of their registration.
    pub asset: Address,
    /// All of it, what is asked back included.
    pub collateral: U256,
    /// When the withdrawal was requested, in Unix seconds; 0 without one.
    pub requested_at: U256,
    /// How much is asked back; 0 without a request.
    pub requested: U256,
}

/// What became of a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TabStatus {
    /// What its payer paid and the operator recorded.
    pub paid: U256,
    /// Whether collateral was ever paid out for it; how much: [`CreditCore::remunerated_amount`].
    pub remunerated: bool,
    /// Its asset; [`ETH`] also for a tab of which nothing is known.
    pub asset: Address,
}

/// How certificates of one version are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionConfig {
    /// The key that signs them.
    pub key: KeyWords,
    /// What their first word has to be.
    pub domain: B256,
    /// The contract that reads them; zero for version 1, which `CreditCore` reads itself.
    pub decoder: Address,
    /// Whether any is taken.
    pub enabled: bool,
}

/// The contract's timing parameters, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers set all four, and a fifth would change the contract"
)]
pub struct Timing {
    /// How long after its guarantee a payer may pay before collateral is taken.
    pub remuneration_grace: u64,
    /// How old a guarantee may be when it is redeemed.
    pub tab_expiration: u64,
    /// How long the operator may take to notice a withdrawal request.
    pub synchronization_delay: u64,
    /// How long a withdrawal takes.
    pub withdrawal_grace: u64,
}

/// A payment that an operator records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what the contract's call takes")]
pub struct Payment {
    /// Names the payment for good: a second record under this id changes nothing.
    pub id: B256,
    /// The tab.
    pub tab: U256,
    /// The asset it was paid in.
    pub asset: Address,
    /// How much.
    pub amount: U256,
}

impl Payment {
    /// What the contract keeps under the id: `keccak256(abi.encode(tab, asset, amount))`.
    #[must_use]
    pub fn digest(&self) -> B256 {
        alloy_primitives::keccak256((self.tab, self.asset, self.amount).abi_encode())
    }

    const fn encode(&self) -> Core::PaymentRecord {
        Core::PaymentRecord {
            id: self.id,
            tabId: self.tab,
            asset: self.asset,
            amount: self.amount,
        }
    }
}

/// A signature as the contract's calls take it.
const fn g2_point(words: &SignatureWords) -> Core::G2Point {
    let [x0a, x0b, x1a, x1b, y0a, y0b, y1a, y1b] = *words;
    Core::G2Point {
        x_c0_a: x0a,
        x_c0_b: x0b,
        x_c1_a: x1a,
        x_c1_b: x1b,
        y_c0_a: y0a,
        y_c0_b: y0b,
        y_c1_a: y1a,
        y_c1_b: y1b,
    }
}

/// A verification key as the contract's calls take it.
#[must_use]
pub const fn g1_point(words: &KeyWords) -> Core::G1Point {
    let [x_a, x_b, y_a, y_b] = *words;
    Core::G1Point { x_a, x_b, y_a, y_b }
}

/// The other way.
pub(super) const fn key_words(point: &Core::G1Point) -> KeyWords {
    [point.x_a, point.x_b, point.y_a, point.y_b]
}

/// What a payer writes into the calldata of a plain ETH transfer to the recipient, so that it counts for a tab: UTF-8, the
/// numbers in minimal lower-case hexadecimal.
#[must_use]
pub fn eth_tab_calldata(tab: U256, req: U256) -> Bytes {
    format!("tab_id:{tab:#x};req_id:{req:#x}")
        .into_bytes()
        .into()
}

/// Transactions.
impl CreditCore {
    /// The contract at this address.
    #[must_use]
    pub const fn at(address: Address) -> Self {
        Self { address }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Leaves collateral: ETH with the call, or a token that the contract may already take ([`approve`](Self::approve)).
    #[must_use]
    pub fn deposit(&self, asset: Address, amount: U256) -> Call {
        if asset == ETH {
            let data = Core::depositCall {}.abi_encode();
            return self.call(amount, data, MOVE_GAS);
        }
        self.call(
            U256::ZERO,
            Core::depositStablecoinCall { asset, amount }.abi_encode(),
            MOVE_GAS,
        )
    }

    /// Lets the contract take so much of a token. It goes to the token, not to the contract.
    #[must_use]
    pub fn approve(&self, token: Address, amount: U256) -> Call {
        let spender = self.address;
        Call {
            to: token,
            value: U256::ZERO,
            data: Erc20::approveCall { spender, amount }.abi_encode().into(),
            gas: APPROVE_GAS,
        }
    }

    /// Asks collateral back, in place of whatever was asked for before.
    #[must_use]
    pub fn request_withdrawal(&self, asset: Address, amount: U256) -> Call {
        let data = if asset == ETH {
            Core::requestWithdrawal_0Call { amount }.abi_encode()
        } else {
            Core::requestWithdrawal_1Call { asset, amount }.abi_encode()
        };
        self.call(U256::ZERO, data, MOVE_GAS)
    }

    /// Takes the request back.
    #[must_use]
    pub fn cancel_withdrawal(&self, asset: Address) -> Call {
        let data = if asset == ETH {
            Core::cancelWithdrawal_0Call {}.abi_encode()
        } else {
            Core::cancelWithdrawal_1Call { asset }.abi_encode()
        };
        self.call(U256::ZERO, data, MOVE_GAS)
    }

    /// Takes what was asked back, after the grace period.
    #[must_use]
    pub fn finalize_withdrawal(&self, asset: Address) -> Call {
        let data = if asset == ETH {
            Core::finalizeWithdrawal_0Call {}.abi_encode()
        } else {
            Core::finalizeWithdrawal_1Call { asset }.abi_encode()
        };
        self.call(U256::ZERO, data, MOVE_GAS)
    }

    /// Pays a tab in ETH: a plain transfer to the recipient that carries [`eth_tab_calldata`]. The contract is not in it.
    #[must_use]
    pub fn pay_tab_in_eth(&self, tab: U256, req: U256, amount: U256, recipient: Address) -> Call {
        Call {
            to: recipient,
            value: amount,
            data: eth_tab_calldata(tab, req),
            gas: MOVE_GAS,
        }
    }

    /// Pays a tab in a token that the contract may take; the money goes to the recipient. ETH is paid with
    /// [`pay_tab_in_eth`](Self::pay_tab_in_eth).
    #[must_use]
    pub fn pay_tab(&self, tab: U256, token: Address, amount: U256, recipient: Address) -> Call {
        let call = Core::payTabInERC20TokenCall {
            tabId: tab,
            asset: token,
            amount,
            recipient,
        };
        self.call(U256::ZERO, call.abi_encode(), MOVE_GAS)
    }

    /// Redeems a certificate; anyone may send it. `None` when its claims are longer than any certificate.
    #[must_use]
    pub fn remunerate(&self, claims: &[u8], signature: &SignatureWords) -> Option<Call> {
        if claims.len() > CREDIT_CLAIMS_BYTES_MAX {
            return None;
        }
        let call = Core::remunerateCall {
            guarantee: Bytes::copy_from_slice(claims),
            signature: g2_point(signature),
        };
        Some(self.call(U256::ZERO, call.abi_encode(), REMUNERATE_GAS))
    }

    /// Records one payment, once per id.
    #[must_use]
    pub fn record_payment(&self, payment: &Payment) -> Call {
        let call = Core::recordPaymentByIdCall {
            id: payment.id,
            tabId: payment.tab,
            asset: payment.asset,
            amount: payment.amount,
        };
        self.call(U256::ZERO, call.abi_encode(), records_gas(1))
    }

    /// Records many payments in one transaction. One that is refused is told by a log and stops none of the others.
    /// `None` for none, or for more than [`CreditCore::RECORDS_MAX`].
    #[must_use]
    pub fn record_payments(&self, payments: &[Payment]) -> Option<Call> {
        if payments.is_empty() || payments.len() > Self::RECORDS_MAX {
            return None;
        }
        let call = Core::recordPaymentsByIdCall {
            records: payments.iter().map(Payment::encode).collect(),
        };
        Some(self.call(U256::ZERO, call.abi_encode(), records_gas(payments.len())))
    }

    /// How many payments one transaction records.
    pub const RECORDS_MAX: usize = CREDIT_RECORDS_MAX;

    fn call(&self, value: U256, data: Vec<u8>, gas: u64) -> Call {
        Call {
            to: self.address,
            value,
            data: data.into(),
            gas,
        }
    }
}

fn records_gas(records: usize) -> u64 {
    let records = u64::try_from(records).unwrap_or(u64::MAX);
    FIXED_GAS.saturating_add(RECORD_GAS.saturating_mul(records))
}

/// Questions.
impl CreditCore {
    /// All collateral of a payer: ETH first, then tokens in the order of their registration.
    #[must_use]
    pub fn user_assets(&self, user: Address) -> Question<Vec<AssetBalance>> {
        self.ask(&Core::getUserAllAssetsCall { user }, |answer| {
            let assets = Core::getUserAllAssetsCall::abi_decode_returns(answer).ok()?;
            let read = |asset: Core::UserAsset| AssetBalance {
                asset: asset.asset,
                collateral: asset.collateral,
                requested_at: asset.withdrawalRequestTimestamp,
                requested: asset.withdrawalRequestAmount,
            };
            Some(assets.into_iter().map(read).collect())
        })
    }

    /// The collateral of a payer in one asset.
    #[must_use]
    pub fn collateral(&self, user: Address, asset: Address) -> Question<U256> {
        self.ask(&Core::collateral_1Call { user, asset }, |answer| {
            Core::collateral_1Call::abi_decode_returns(answer).ok()
        })
    }

    /// What became of a tab.
    #[must_use]
    pub fn payment_status(&self, tab: U256) -> Question<TabStatus> {
        self.ask(&Core::getPaymentStatusCall { tabId: tab }, |answer| {
            let status = Core::getPaymentStatusCall::abi_decode_returns(answer).ok()?;
            Some(TabStatus {
                paid: status.paid,
                remunerated: status.remunerated,
                asset: status.asset,
            })
        })
    }

    /// How much collateral was paid out for a tab, over all of its certificates.
    #[must_use]
    pub fn remunerated_amount(&self, tab: U256) -> Question<U256> {
        self.ask(&Core::remuneratedAmountCall { tabId: tab }, |answer| {
            Core::remuneratedAmountCall::abi_decode_returns(answer).ok()
        })
    }

    /// What was recorded under an id ([`Payment::digest`]); zero when nothing was.
    #[must_use]
    pub fn record_digest(&self, id: B256) -> Question<B256> {
        self.ask(&Core::paymentRecordDigestCall { id }, |answer| {
            Core::paymentRecordDigestCall::abi_decode_returns(answer).ok()
        })
    }

    /// How certificates of a version are checked.
    #[must_use]
    pub fn version_config(&self, version: u64) -> Question<VersionConfig> {
        self.ask(&Core::getGuaranteeVersionConfigCall { version }, |answer| {
            let config = Core::getGuaranteeVersionConfigCall::abi_decode_returns(answer).ok()?;
            Some(VersionConfig {
                key: key_words(&config.verificationKey),
                domain: config.domainSeparator,
                decoder: config.decoder,
                enabled: config.enabled,
            })
        })
    }

    /// The tokens the contract takes, in the order of their registration.
    #[must_use]
    pub fn tokens(&self) -> Question<Vec<Address>> {
        self.ask(&Core::getERC20TokensCall {}, |answer| {
            Core::getERC20TokensCall::abi_decode_returns(answer).ok()
        })
    }

    /// How much of a token the contract may take from somebody. It is asked of the token.
    #[must_use]
    pub fn allowance(&self, token: Address, owner: Address) -> Question<U256> {
        let spender = self.address;
        let data = Erc20::allowanceCall { owner, spender }.abi_encode();
        Question::new(token, data.into(), |answer| {
            Erc20::allowanceCall::abi_decode_returns(answer).ok()
        })
    }

    /// Whether deposits, new withdrawals and payments of tabs are paused.
    #[must_use]
    pub fn paused(&self) -> Question<bool> {
        self.ask(&Core::pausedCall {}, |answer| {
            Core::pausedCall::abi_decode_returns(answer).ok()
        })
    }

    /// The four questions whose answers are the timing parameters, in the order of the fields of [`Timing`]. An answer
    /// that does not fit into 64 bits is none.
    #[must_use]
    pub fn timing(&self) -> [Question<u64>; 4] {
        let read: fn(&[u8]) -> Option<u64> =
            |answer| U256::abi_decode(answer).ok()?.try_into().ok();
        [
            self.ask(&Core::remunerationGracePeriodCall {}, read),
            self.ask(&Core::tabExpirationTimeCall {}, read),
            self.ask(&Core::synchronizationDelayCall {}, read),
            self.ask(&Core::withdrawalGracePeriodCall {}, read),
        ]
    }

    fn ask<C: SolCall, T>(&self, call: &C, read: fn(&[u8]) -> Option<T>) -> Question<T> {
        Question {
            to: self.address,
            data: call.abi_encode().into(),
            read,
        }
    }
}
