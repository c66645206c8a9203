//! Made-up payments and spends, and child processes that are this test program itself.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;
use std::process::{Command, Stdio};

use faregate_ledger::{AccountId, Caps, Claim, Spend, Transfer, Worth};
use faregate_types::{
    Address, Amount, AssetId, ChainId, Fingerprint, PaymentId, RailName, Timestamp, U256,
};

/// Where a child finds the file.
pub(crate) const FILE: &str = "FAREGATE_TEST_FILE";

/// Tells children apart.
pub(crate) const CHILD: &str = "FAREGATE_TEST_CHILD";

/// One of this program's tests as a process of its own.
pub(crate) fn child(test: &str, file: &Path, number: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, file)
        .env(CHILD, number.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

pub(crate) fn id(number: u64) -> PaymentId {
    PaymentId::from_bytes(U256::from(number).to_be_bytes())
}

pub(crate) fn asset() -> AssetId {
    AssetId::erc20(ChainId::evm(84_532), Address::repeat_byte(0xaa))
}

pub(crate) fn claim(number: u64) -> Claim {
    Claim {
        id: id(number),
        rail: RailName::X402,
        fingerprint: Fingerprint::of(&[b"request"]),
        transfer: Transfer {
            debit: AccountId::payer(Address::left_padding_from(&(number % 7).to_be_bytes())),
            credit: AccountId::payee(Address::repeat_byte(0xbb)),
            amount: Amount::new(U256::from(1000 + number), asset()),
        },
        route: "GET /joke".into(),
        evidence: b"evidence".to_vec(),
        at: at(number),
        exposure_max: None,
        funds: None,
        idempotency: None,
    }
}

pub(crate) fn spend(number: u64, worth: u64) -> Spend {
    Spend {
        id: id(number),
        origin: "https://seller.example".into(),
        resource: "/joke".into(),
        path: "/joke".into(),
        payee: "payee/1".into(),
        payer: "payer/1".into(),
        amount: Amount::new(U256::from(worth), asset()),
        worth: Worth::new(U256::from(worth)),
        at: at(0),
        valid_until: at(60),
        credential: b"signed".to_vec(),
        request: vec![],
    }
}

pub(crate) fn per_host(cap: u64) -> Caps {
    Caps {
        per_payment: Worth::new(U256::MAX),
        total: None,
        per_host: Some(Worth::new(U256::from(cap))),
        per_period: None,
    }
}
