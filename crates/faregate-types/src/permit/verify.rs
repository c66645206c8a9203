//! Whether a permit pays a price: one table of checks in the order of the product, each refusal in its words
//! (specs/permit.md §1.8, §2.3, §4).
//!
//! Stricter than the product where it gives access away: the EIP-712 domain and the chain are those of our own table, the
//! Permit2 contract is Uniswap's, a used nonce is refused, and a balance has to cover what is reserved already.

use alloy_primitives::{Address, B256, U256};

use super::decimal::Decimal;
use super::permit::{Permit, Terms};
use super::refused::Refused;
use crate::asset::Asset;
use crate::code::Code;
use crate::eip712::domain_separator;
use crate::id::PaymentId;
use crate::permit2;
use crate::signature::Signature65;
use crate::timestamp::Timestamp;

/// What a permit may be for: one asset, and what is asked for in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    asset: Asset,
    separator: B256,
    amount: U256,
    wallet: Address,
    pay_to: Address,
}

impl Price {
    /// So many atomic units of an asset, for `wallet` (`metadata.wallet_address`, which releases up to 0.2.0 sign for) or
    /// `pay_to` (which later ones sign for). Permits for allowances have to name `wallet`: it is who collects them.
    #[must_use]
    pub fn new(asset: Asset, amount: U256, wallet: Address, pay_to: Address) -> Self {
        let separator = domain_separator(&asset.domain, asset.id.chain(), asset.id.token());
        Self {
            asset,
            separator,
            amount,
            wallet,
            pay_to,
        }
    }

    /// The asset.
    #[must_use]
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Atomic units.
    #[must_use]
    pub const fn amount(&self) -> U256 {
        self.amount
    }

    /// Whom releases up to 0.2.0 sign for.
    #[must_use]
    pub const fn wallet(&self) -> Address {
        self.wallet
    }

    /// Whom later ones sign for.
    #[must_use]
    pub const fn pay_to(&self) -> Address {
        self.pay_to
    }

    /// What a permit over this asset signs, under the domain of our own table.
    #[must_use]
    pub fn digest(&self, permit: &Permit) -> B256 {
        permit.digest(self.separator)
    }
}

/// What is known before the chain is asked.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the gate builds by literal"
)]
pub struct Expected<'a> {
    /// What this resource costs, in each asset that is taken.
    pub prices: &'a [Price],
    /// The time.
    pub now: Timestamp,
    /// So many seconds a permit has to stay valid, so that it can be settled. The product asks for none.
    pub margin_secs: u64,
}

/// What the chain says at one block, and our own books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the gate builds by literal"
)]
pub struct ChainState {
    /// What the payer holds.
    pub balance: U256,
    /// What is reserved of it for other payments by our books.
    pub reserved: U256,
    /// What the payer allows the permit's spender (EIP-2612), or Permit2 (Permit2).
    pub allowance: U256,
    /// The nonce of the payer's next permit (EIP-2612); else not looked at.
    pub next_nonce: U256,
    /// Whether the nonce is used by the contract's word (EIP-3009, Permit2), or another permit with it has our books' word.
    pub is_nonce_taken: bool,
    /// The token contract's own domain separator, where it was read.
    pub domain_separator: Option<B256>,
}

/// A permit that its payer signed, for us, over enough, valid now. Whether the money is there is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    permit: &'a Permit,
    price: &'a Price,
    digest: B256,
}

/// A permit that pays, as far as anybody can know before it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Which payment.
    pub payment: PaymentId,
    /// What was signed: copies of a permit have one digest.
    pub digest: B256,
    /// Atomic units that settlement moves: the price; of an EIP-3009 authorization everything that is authorised.
    pub amount: U256,
    /// Somebody brought the permit to the chain before us: the allowance is there, only the transfer is missing.
    pub is_applied: bool,
    /// The product's word for people.
    pub message: &'static str,
}

/// Checks everything that needs no chain: token and chain, payee, contract, time, signature. `recover` says who signed a
/// digest.
///
/// # Errors
/// The first check that failed.
pub fn check<'a>(
    permit: &'a Permit,
    expected: &Expected<'a>,
    recover: impl FnOnce(B256, &Signature65) -> Option<Address>,
) -> Result<Checked<'a>, Refused> {
    let price = offered(permit, expected.prices)?;
    check_payee(permit, price)?;
    check_time(permit, expected)?;
    let digest = permit.digest(price.separator);
    check_signer(permit, recover(digest, &permit.signature))?;
    Ok(Checked {
        permit,
        price,
        digest,
    })
}

impl<'a> Checked<'a> {
    /// The permit.
    #[must_use]
    pub const fn permit(&self) -> &'a Permit {
        self.permit
    }

    /// What it is for.
    #[must_use]
    pub const fn price(&self) -> &'a Price {
        self.price
    }

    /// What was signed. The same digest always gets the same token.
    #[must_use]
    pub const fn digest(&self) -> B256 {
        self.digest
    }

    /// Checks what only the chain and our books know: domain, nonce, value, allowance, balance.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn cover(&self, state: &ChainState) -> Result<Verified, Refused> {
        let price = self.price.amount;
        let mut verified = Verified {
            payment: self.permit.payment_id(),
            digest: self.digest,
            amount: price,
            is_applied: false,
            message: "Permit valid: signer verified as owner.",
        };
        match &self.permit.terms {
            Terms::Eip2612 { permit, .. } => {
                self.check_domain(state)?;
                verified.is_applied = is_applied(permit.nonce, permit.value, state);
                verified.message = "Permit signature verified and all conditions met";
                if state.is_nonce_taken
                    || (state.next_nonce != permit.nonce && !verified.is_applied)
                {
                    return Err(nonce_mismatch(permit.nonce, state));
                }
                if permit.value < price {
                    return Err(allowed_too_little(permit.value, price));
                }
                let required = price.saturating_add(state.reserved);
                if state.balance < required {
                    return Err(holds_too_little(state.balance, required));
                }
            }
            Terms::Erc3009 { authorization, .. } => {
                self.check_domain(state)?;
                verified.amount = authorization.value;
                verified.message = "Authorization valid: signer verified as authorizer.";
                check_unused(self.permit, state)?;
                self.check_transfer(authorization.value, state)?;
            }
            Terms::Permit2 { transfer, .. } => {
                check_unused(self.permit, state)?;
                self.check_transfer(transfer.amount, state)?;
                if state.allowance < transfer.amount {
                    return Err(allows_permit2_too_little(state.allowance, transfer.amount));
                }
            }
        }
        Ok(verified)
    }

    /// The contract's own word about its domain, against ours.
    fn check_domain(&self, state: &ChainState) -> Result<(), Refused> {
        let ours = self.price.separator;
        let Some(theirs) = state.domain_separator.filter(|theirs| *theirs != ours) else {
            return Ok(());
        };
        let asset = &self.price.asset;
        let message = "EIP-712 domain mismatch: provided token/name/version/chain_id do not match the token contract.";
        Err(Refused::verification(Code::PermitDomainMismatch, message)
            .with("token", asset.id.token())
            .with("chain_id", asset.id.chain().get())
            .with("domain_name", asset.domain.name.as_ref())
            .with("domain_version", asset.domain.version.as_ref())
            .with("expected_domain_separator", ours)
            .with("on_chain_domain_separator", theirs))
    }

    /// Price and balance of a permit that moves its whole value.
    fn check_transfer(&self, value: U256, state: &ChainState) -> Result<(), Refused> {
        let price = self.price.amount;
        let decimals = self.price.asset.decimals;
        if value < price {
            let coins = Decimal::from_units(price, decimals).to_string();
            let message = format!(
                "Authorized amount ({value}) is less than required payment ({price} smallest units = {coins} USD)."
            );
            return Err(Refused::verification(Code::PermitValueTooLow, message)
                .with("authorized_value", value)
                .with("required_value", price)
                .with_number("payment_amount", coins)
                .with("decimals", u64::from(decimals)));
        }
        let balance = state.balance;
        let required = price.saturating_add(state.reserved);
        if balance < required {
            let message = format!(
                "Insufficient token balance: owner has {balance} but {required} smallest units are required."
            );
            return Err(Refused::verification(Code::PermitBalanceTooLow, message)
                .with("owner_balance", balance)
                .with("required_value", required));
        }
        let whole = value.saturating_add(state.reserved);
        if balance < whole {
            let message = format!("Insufficient balance: owner_balance={balance} < value={whole}.");
            return Err(Refused::verification(Code::PermitBalanceTooLow, message)
                .with("owner_balance", balance)
                .with("value", whole));
        }
        Ok(())
    }
}

/// The price in the permit's token of the permit's chain. The product looks at the token alone and takes the first.
fn offered<'a>(permit: &Permit, prices: &'a [Price]) -> Result<&'a Price, Refused> {
    let asset = permit.asset();
    if let Some(price) = prices.iter().find(|price| price.asset.id == asset) {
        return Ok(price);
    }
    let token = asset.token();
    let mut message = format!("Payment component not registered for token: {token}");
    if prices.iter().any(|price| price.asset.id.token() == token) {
        message.push_str(&format!(" on chain {}", asset.chain()));
    }
    Err(Refused::signature(Code::PermitNotOffered, message))
}

fn check_payee(permit: &Permit, price: &Price) -> Result<(), Refused> {
    let (ours, theirs) = (price.wallet, permit.terms.payee());
    if let Terms::Eip2612 { .. } = permit.terms {
        if theirs == ours {
            return Ok(());
        }
        let message = "Spender address does not match server address";
        return Err(Refused::verification(Code::PermitSpenderMismatch, message)
            .with("expected_spender", ours)
            .with("provided_spender", theirs));
    }
    if theirs != ours && theirs != price.pay_to {
        let message = "Receiver/spender does not match server wallet address.";
        return Err(Refused::verification(Code::PermitSpenderMismatch, message)
            .with("expected", price.pay_to)
            .with("provided", theirs));
    }
    match permit.terms {
        Terms::Permit2 { contract, .. } if contract != permit2::CONTRACT => {
            let message = "permit2_address is not the Permit2 contract.";
            Err(Refused::verification(Code::PermitContractMismatch, message)
                .with("expected", permit2::CONTRACT)
                .with("provided", contract))
        }
        _ => Ok(()),
    }
}

fn check_time(permit: &Permit, expected: &Expected<'_>) -> Result<(), Refused> {
    let now = U256::from(expected.now.as_secs());
    let until = now.saturating_add(U256::from(expected.margin_secs));
    let expired = |message: String| Refused::verification(Code::PermitExpired, message);
    let (end, last) = match &permit.terms {
        Terms::Eip2612 { permit, .. } => {
            if now > permit.deadline {
                return Err(expired("Permit has expired".to_owned())
                    .with("deadline", permit.deadline)
                    .with("current_time", now));
            }
            ("deadline", permit.deadline)
        }
        Terms::Erc3009 { authorization, .. } => {
            let (after, before) = (authorization.valid_after, authorization.valid_before);
            if now >= before {
                let message = format!(
                    "Authorization has expired: current_time={now} >= valid_before={before}."
                );
                return Err(expired(message)
                    .with("current_time", now)
                    .with("valid_before", before));
            }
            if now <= after {
                let message = format!(
                    "Authorization not yet valid: current_time={now} <= valid_after={after}."
                );
                return Err(Refused::verification(Code::PermitNotYetValid, message)
                    .with("current_time", now)
                    .with("valid_after", after));
            }
            // Valid strictly before, so its last second is the one before; it is above `now`, so above zero.
            ("valid_before", before.saturating_sub(U256::from(1)))
        }
        Terms::Permit2 { transfer, .. } => {
            let deadline = transfer.deadline;
            if now > deadline {
                let message =
                    format!("Permit has expired: current_time={now} > deadline={deadline}.");
                return Err(expired(message)
                    .with("current_time", now)
                    .with("deadline", deadline));
            }
            ("deadline", deadline)
        }
    };
    if until > last {
        let message = "Permit expires too soon to be settled".to_owned();
        return Err(expired(message)
            .with(end, last)
            .with("current_time", now)
            .with("required_seconds", expected.margin_secs));
    }
    Ok(())
}

fn check_signer(permit: &Permit, signer: Option<Address>) -> Result<(), Refused> {
    let payer = permit.terms.payer();
    // Precompiles aside, nobody has the key of address 0, and contracts take it for "no signer".
    if signer == Some(payer) && !payer.is_zero() {
        return Ok(());
    }
    let refused = |message| Refused::verification(Code::PermitSignatureInvalid, message);
    Err(match permit.terms {
        Terms::Eip2612 { .. } => {
            let signer = signer.map_or_else(|| "none".to_owned(), |signer| signer.to_string());
            refused("Recovered signer does not match permit owner")
                .with("recovered_signer", signer)
                .with("permit_owner", payer)
        }
        Terms::Erc3009 { .. } => {
            refused("Signature invalid: signer does not match authorizer.").with("expected", payer)
        }
        Terms::Permit2 { .. } => {
            refused("Signature invalid: signer does not match owner.").with("expected", payer)
        }
    })
}

/// Whether the permit was brought to the chain by somebody else and nothing was taken yet: the next nonce is the one after
/// it, and the allowance is exactly its value. An allowance without end does not shrink, so it shows nothing.
fn is_applied(nonce: U256, value: U256, state: &ChainState) -> bool {
    nonce.checked_add(U256::from(1)) == Some(state.next_nonce)
        && state.allowance == value
        && !value.is_zero()
        && value != U256::MAX
}

const NONCE_MISMATCH: &str = "Permit nonce does not match on-chain nonce";
const TAKEN: &str = "taken by another permit";

/// A permit with this nonce was taken before.
#[must_use]
pub fn replayed(permit: &Permit) -> Refused {
    let taken = |what: &str, nonce: String| {
        let message = format!("{what} nonce was used before.");
        Refused::verification(Code::PermitNonceUsed, message).with("nonce", nonce)
    };
    match &permit.terms {
        Terms::Eip2612 { permit, .. } => {
            Refused::verification(Code::PermitNonceUsed, NONCE_MISMATCH)
                .with("permit_nonce", permit.nonce)
                .with("nonce_state", TAKEN)
        }
        Terms::Erc3009 { authorization, .. } => {
            taken("Authorization", authorization.nonce.to_string())
        }
        Terms::Permit2 { transfer, .. } => taken("Permit", transfer.nonce.to_string()),
    }
}

/// The payer holds less than this permit and what our books reserve for others.
#[must_use]
pub fn overdrawn(permit: &Permit, funds: U256, reserved: U256) -> Refused {
    holds_too_little(funds, reserved.saturating_add(permit.terms.value()))
}

fn nonce_mismatch(nonce: U256, state: &ChainState) -> Refused {
    let refused = Refused::verification(Code::PermitNonceUsed, NONCE_MISMATCH)
        .with("on_chain_nonce", state.next_nonce)
        .with("permit_nonce", nonce);
    if state.is_nonce_taken {
        refused.with("nonce_state", TAKEN)
    } else {
        refused
    }
}

/// An authorization's or an order's nonce.
fn check_unused(permit: &Permit, state: &ChainState) -> Result<(), Refused> {
    if state.is_nonce_taken {
        Err(replayed(permit))
    } else {
        Ok(())
    }
}

fn allowed_too_little(value: U256, price: U256) -> Refused {
    let message = "Permit authorized amount is less than required payment";
    Refused::verification(Code::PermitValueTooLow, message)
        .with("permit_value", value)
        .with("required_value", price)
}

fn holds_too_little(balance: U256, required: U256) -> Refused {
    let message = "Owner does not have sufficient token balance";
    Refused::verification(Code::PermitBalanceTooLow, message)
        .with("owner_balance", balance)
        .with("required_value", required)
}

fn allows_permit2_too_little(allowance: U256, amount: U256) -> Refused {
    let message =
        format!("Insufficient allowance: current allowance={allowance} < amount={amount}.");
    Refused::verification(Code::PermitAllowanceTooLow, message)
        .with("allowance", allowance)
        .with("amount", amount)
}
