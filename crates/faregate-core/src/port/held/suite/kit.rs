//! Made-up certificates. Nobody looks at their signatures here: that is done before they are kept.

use alloy_primitives::{Address, U256, keccak256};
use faregate_types::credit::{BlsSignature, Certificate, GuaranteeVersion};
use faregate_types::{Amount, ChainId, Erc20, PaymentId, Timestamp};

use crate::port::HeldCertificate;

pub(super) const CHAIN: ChainId = ChainId::evm(84_532);

pub(super) fn address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

pub(super) fn payer(number: u64) -> Address {
    address(0xaaaa_0000 + number)
}

/// ETH, and tokens from 1 on.
pub(super) fn asset(number: u64) -> Erc20 {
    let token = if number == 0 {
        Address::ZERO
    } else {
        address(0xa55e_0000 + number)
    };
    Erc20::new(CHAIN, token)
}

pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

pub(super) fn money(units: u64) -> U256 {
    U256::from(units)
}

/// Number `req` of a tab of payer 1 in token 1, over 10 units, promised a second after the one before, sold by `/joke`.
pub(super) fn held(tab: u64, req: u64) -> HeldCertificate {
    let key = [tab.to_be_bytes(), req.to_be_bytes()].concat();
    HeldCertificate {
        payment: PaymentId::from_bytes(keccak256(&key).0),
        route: "/joke".into(),
        chain: CHAIN,
        tab: money(tab),
        req: money(req),
        version: GuaranteeVersion::V1,
        payer: payer(1),
        recipient: address(0xbbbb_0001),
        amount: Amount::new(money(10), asset(1)),
        total: money(10 * (req + 1)),
        promised_at: at(req),
        certificate: Certificate {
            claims: key.into(),
            signature: BlsSignature::from_bytes(&[7; BlsSignature::LENGTH]).unwrap(),
        },
        at: at(req + 1),
    }
}
