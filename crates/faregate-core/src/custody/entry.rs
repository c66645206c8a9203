//! What managed mode writes into the ledger: which accounts, which ids, and what recovery needs to know.
//!
//! | entry | from | to | is about |
//! |---|---|---|---|
//! | share | `lightning/wallet` | `owner/<address>` | an invoice of ours |
//! | fee | `lightning/wallet` | `operator/fees` | the same |
//! | payout | `owner/<address>` | `lightning/wallet` | an invoice of the owner |
//! | routing | `operator/fees` | `lightning/wallet` | what the way of a payout cost |
//!
//! So what the account of the wallet has given and not got back is what the wallet has to hold for owners and operator.

use faregate_ledger::{AccountId, Claim, Payment, Transfer};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, LightningAddress, Msat, PaymentHash};
use faregate_types::{Code, Fingerprint, PaymentId, RailName, Timestamp};

use crate::port::Away;
use crate::port::lightning::Wanted;

/// The role of owners' accounts.
pub(super) const OWNER: &str = "owner";

const WALLET: &str = "lightning/wallet";
const FEES: &str = "operator/fees";

const BUG: Away = Away {
    code: Code::Internal,
};

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Share,
    Fee,
    Payout,
    Routing,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Share, Self::Fee, Self::Payout, Self::Routing];

    /// Where a payment has its route.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Fee => "fee",
            Self::Payout => "payout",
            Self::Routing => "routing",
        }
    }

    /// What an entry is for; `None` for a payment that is none of ours.
    pub(super) fn of(payment: &Payment) -> Option<Self> {
        let ours = payment.claim.rail == RailName::MANAGED;
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| ours && kind.as_str() == &*payment.claim.route)
    }

    /// One entry of each kind per invoice.
    pub(super) fn id(self, hash: &PaymentHash) -> PaymentId {
        let parts: [&[u8]; 3] = [
            b"faregate/custody/1",
            self.as_str().as_bytes(),
            hash.as_bytes(),
        ];
        PaymentId::from_bytes(*Fingerprint::of(&parts).as_bytes())
    }
}

/// The owner whose account this is.
pub(super) fn address(account: &AccountId) -> Option<LightningAddress> {
    (account.role() == OWNER)
        .then(|| account.name().parse().ok())
        .flatten()
}

fn account(name: &str) -> Result<AccountId, Away> {
    AccountId::parse(name).map_err(|_| BUG)
}

/// The account of an owner.
pub(super) fn owner(address: &LightningAddress) -> Result<AccountId, Away> {
    account(&format!("{OWNER}/{address}"))
}

/// The owner's part of an invoice of ours.
pub(super) fn share(
    wanted: &Wanted,
    share: Msat,
    address: &LightningAddress,
    network: BitcoinNetwork,
    at: Timestamp,
) -> Result<Claim, Away> {
    let transfer = Transfer {
        debit: account(WALLET)?,
        credit: owner(address)?,
        amount: share.on(network),
    };
    Ok(claim(
        Kind::Share,
        &wanted.payment_hash,
        transfer,
        encode(wanted),
        at,
    ))
}

/// The operator's part; none when there is none.
pub(super) fn fee(
    wanted: &Wanted,
    fee: Msat,
    network: BitcoinNetwork,
    at: Timestamp,
) -> Result<Option<Claim>, Away> {
    if fee.is_zero() {
        return Ok(None);
    }
    let transfer = Transfer {
        debit: account(WALLET)?,
        credit: account(FEES)?,
        amount: fee.on(network),
    };
    let hash = &wanted.payment_hash;
    let claim = claim(Kind::Fee, hash, transfer, encode(wanted), at);
    Ok(Some(claim))
}

/// What an owner is paid, by this invoice.
pub(super) fn payout(
    invoice: &Bolt11,
    amount: Msat,
    address: &LightningAddress,
    at: Timestamp,
) -> Result<Claim, Away> {
    let transfer = Transfer {
        debit: owner(address)?,
        credit: account(WALLET)?,
        amount: amount.on(invoice.network()),
    };
    let evidence = invoice.as_str().as_bytes().to_vec();
    Ok(claim(
        Kind::Payout,
        &invoice.payment_hash(),
        transfer,
        evidence,
        at,
    ))
}

/// What the way of a payout cost.
pub(super) fn routing(invoice: &Bolt11, fee: Msat, at: Timestamp) -> Result<Claim, Away> {
    let transfer = Transfer {
        debit: account(FEES)?,
        credit: account(WALLET)?,
        amount: fee.on(invoice.network()),
    };
    Ok(claim(
        Kind::Routing,
        &invoice.payment_hash(),
        transfer,
        Vec::new(),
        at,
    ))
}

fn claim(
    kind: Kind,
    hash: &PaymentHash,
    transfer: Transfer,
    evidence: Vec<u8>,
    at: Timestamp,
) -> Claim {
    let id = kind.id(hash);
    Claim {
        id,
        rail: RailName::MANAGED,
        fingerprint: Fingerprint::of(&[id.as_bytes(), &evidence]),
        transfer,
        route: kind.as_str().into(),
        evidence,
        at,
        exposure_max: None,
        funds: None,
        idempotency: None,
    }
}

/// The invoice that a payout pays.
pub(super) fn invoice(payout: &Payment) -> Option<Bolt11> {
    let text = std::str::from_utf8(&payout.claim.evidence).ok()?;
    Bolt11::parse(text).ok()
}

/// Hash, amount in eight bytes, and the backend's name for the invoice if it has one.
fn encode(wanted: &Wanted) -> Vec<u8> {
    let handle = wanted.handle.as_deref().unwrap_or_default();
    [
        wanted.payment_hash.as_bytes(),
        &wanted.amount.get().to_be_bytes()[..],
        handle.as_bytes(),
    ]
    .concat()
}

/// What to ask the wallet about.
pub(super) fn wanted(share: &Payment) -> Option<Wanted> {
    let (hash, rest) = share.claim.evidence.split_first_chunk::<32>()?;
    let (amount, handle) = rest.split_first_chunk::<8>()?;
    let handle = std::str::from_utf8(handle).ok()?;
    Some(Wanted {
        payment_hash: PaymentHash::from_bytes(*hash),
        amount: Msat::new(u64::from_be_bytes(*amount)),
        handle: (!handle.is_empty()).then(|| handle.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let owner: LightningAddress = "shop@wallet.example".parse().unwrap();
        for handle in [None, Some("charge-7")] {
            let asked = Wanted {
                payment_hash: PaymentHash::from_bytes([7; 32]),
                amount: Msat::new(10_000),
                handle: handle.map(Into::into),
            };
            let at = Timestamp::from_secs(5);
            let claim = share(
                &asked,
                Msat::new(9_000),
                &owner,
                BitcoinNetwork::Regtest,
                at,
            );
            let claim = claim.unwrap();
            assert_eq!(address(&claim.transfer.credit), Some(owner.clone()));
            let payment = Payment::reserved(claim);
            assert_eq!(Kind::of(&payment), Some(Kind::Share));
            assert_eq!(wanted(&payment), Some(asked));
        }
        assert_eq!(address(&account(FEES).unwrap()), None);
    }

    #[test]
    fn every_kind_has_an_id_of_its_own() {
        let hash = PaymentHash::from_bytes([1; 32]);
        let ids: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.id(&hash)).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
    }
}
