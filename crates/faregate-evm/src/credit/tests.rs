use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, LogData, U256, b256, hex, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent, SolValue};
use faregate_types::credit::words::SignatureWords;
use proptest::prelude::*;
use serde_json::Value;

use super::abi::{Core, Erc20, ValidationDecoder, ValidationRegistry};
use super::*;

fn vectors(kind: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../conformance/vectors/4mica.json"
    );
    let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let of_kind: Vec<_> = all
        .into_iter()
        .filter(|vector| vector["kind"] == kind)
        .collect();
    assert!(!of_kind.is_empty(), "{kind}");
    of_kind
}

fn vector(name: &str, kind: &str) -> Value {
    let found = vectors(kind).into_iter().find(|v| v["name"] == name);
    found.unwrap_or_else(|| panic!("{name}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn number(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

/// What upstream's newest contract has and this one leaves out: it holds tokens itself, so no share of a pool is anybody's.
const LEFT_OUT: [&str; 3] = [
    "guaranteeCapacity(address,address)",
    "stablecoinAToken(address)",
    "principalBalance(address,address)",
];

/// The event without its recipient, as the ABI in the SDKs still has it; no deployed contract ever logged it.
const OLD_TAB_PAID: &str = "TabPaid(uint256,address,address,uint256)";

#[test]
fn functions_events_and_errors_are_those_of_the_vectors() {
    let functions: BTreeMap<[u8; 4], &str> = Core::CoreCalls::SELECTORS
        .iter()
        .map(|selector| {
            (
                *selector,
                Core::CoreCalls::name_by_selector(*selector).unwrap_or(""),
            )
        })
        .collect();
    let foreign = [
        ValidationRegistry::getValidationStatusCall::SELECTOR,
        ValidationDecoder::decodeCall::SELECTOR,
    ];
    let errors = Core::CoreErrors::SELECTORS;
    let mut seen = 0;
    for vector in vectors("selectors") {
        let table = |kind: &str| -> Vec<(String, Vec<u8>)> {
            let Some(entries) = vector["expected"][kind].as_object() else {
                return Vec::new();
            };
            let pairs = entries.iter();
            pairs
                .map(|(name, hex)| (name.clone(), bytes(hex)))
                .collect()
        };
        for (name, selector) in table("function") {
            let selector = selector.try_into().unwrap();
            let known = functions.contains_key(&selector) || foreign.contains(&selector);
            assert_ne!(known, LEFT_OUT.contains(&name.as_str()), "{name}");
            seen += 1;
        }
        for (name, topic) in table("event") {
            let known = Event::topics().iter().any(|known| known[..] == topic[..]);
            assert_ne!(known, name == OLD_TAB_PAID, "{name}");
            seen += 1;
        }
        for (name, selector) in table("error") {
            let known = errors.iter().any(|known| known[..] == selector[..]);
            assert!(known, "{name}");
            let said = Revert::of_selector(selector.try_into().unwrap());
            assert_eq!(said.name(), name.split('(').next(), "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 102, "all that the vectors list");
}

/// What a compiled contract's interface has of one kind, by the first bytes of its hash.
fn artifact(contract: &str, kind: &str) -> BTreeSet<Vec<u8>> {
    let path = format!(
        "{}/../../contracts/artifacts/{contract}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let length = if kind == "event" { 32 } else { 4 };
    let entries = json["abi"].as_array().unwrap().iter();
    let of_kind = entries.filter(|entry| entry["type"] == kind);
    of_kind
        .map(|entry| {
            let inputs = entry["inputs"].as_array().unwrap();
            let types: Vec<_> = inputs.iter().map(spell).collect();
            let text = format!("{}({})", entry["name"].as_str().unwrap(), types.join(","));
            keccak256(text)[..length].to_vec()
        })
        .collect()
}

fn spell(input: &Value) -> String {
    let kind = input["type"].as_str().unwrap();
    let Some(array) = kind.strip_prefix("tuple") else {
        return kind.to_owned();
    };
    let members = input["components"].as_array().unwrap();
    let types: Vec<_> = members.iter().map(spell).collect();
    format!("({}){array}", types.join(","))
}

fn all<const N: usize>(selectors: &[[u8; N]]) -> BTreeSet<Vec<u8>> {
    selectors.iter().map(|one| one.to_vec()).collect()
}

#[test]
fn the_codes_are_the_artifacts() {
    let codes = [
        ("CreditManager", include_str!("creation/manager.hex")),
        ("CreditCore", include_str!("creation/core.hex")),
        (
            "ValidationGuaranteeDecoder",
            include_str!("creation/decoder.hex"),
        ),
    ];
    for (contract, digits) in codes {
        let path = format!(
            "{}/../../contracts/artifacts/{contract}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let bytecode = json["bytecode"].as_str().unwrap();
        assert_eq!(bytecode, format!("0x{}", digits.trim_end()), "{contract}");
    }
}

/// Neither side has a function, event or error that the other has not.
#[test]
fn the_interface_is_the_artifact() {
    let core = |kind| artifact("CreditCore", kind);
    assert_eq!(core("function"), all(Core::CoreCalls::SELECTORS));
    assert_eq!(core("event"), all(Core::CoreEvents::SELECTORS));
    assert_eq!(core("error"), all(Core::CoreErrors::SELECTORS));
    let calls = ValidationDecoder::ValidationDecoderCalls::SELECTORS;
    assert_eq!(
        artifact("ValidationGuaranteeDecoder", "function"),
        all(calls)
    );
    let errors = ValidationDecoder::ValidationDecoderErrors::SELECTORS;
    assert_eq!(artifact("ValidationGuaranteeDecoder", "error"), all(errors));
    let registry = |kind| artifact("TestValidationRegistry", kind);
    let calls = ValidationRegistry::ValidationRegistryCalls::SELECTORS;
    assert_eq!(registry("function"), all(calls));
    let events = ValidationRegistry::ValidationRegistryEvents::SELECTORS;
    assert_eq!(registry("event"), all(events));
}

#[test]
fn calls_are_those_of_the_sdk() {
    let core = CreditCore::at(Address::repeat_byte(0xc0));
    let mut seen = 0;
    for vector in vectors("calldata") {
        let (inputs, data) = (&vector["inputs"], bytes(&vector["expected"]["data"]));
        let args = &inputs["args"];
        let made = match vector["name"].as_str().unwrap() {
            "remunerate_calldata_v1" => {
                let words = signature_words(&bytes(&inputs["cert"]["signature"]));
                let claims = bytes(&inputs["cert"]["claims"]);
                core.remunerate(&claims, &words).unwrap().data
            }
            "calldata_depositStablecoin" => core.deposit(address(&args[0]), number(&args[1])).data,
            "calldata_payTabInERC20Token" => {
                let (tab, token) = (number(&args[0]), address(&args[1]));
                let (amount, recipient) = (number(&args[2]), address(&args[3]));
                core.pay_tab(tab, token, amount, recipient).data
            }
            "calldata_getPaymentStatus" => core.payment_status(number(&args[0])).data,
            "calldata_getGuaranteeVersionConfig" => {
                core.version_config(number(&args[0]).try_into().unwrap())
                    .data
            }
            "calldata_getUserAllAssets" => core.user_assets(address(&args[0])).data,
            "pay_tab_eth_calldata" => {
                let req = U256::from(inputs["req_id"].as_u64().unwrap());
                eth_tab_calldata(number(&inputs["tab_id"]), req)
            }
            other => panic!("{other} is not checked"),
        };
        assert_eq!(made, data, "{}", vector["name"]);
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// Compressed bytes and words carry the same x; y comes from elsewhere, here from the expected calldata of the one
/// certificate that is redeemed in the vectors.
fn signature_words(compressed: &[u8]) -> SignatureWords {
    let vector = vector("remunerate_calldata_v1", "calldata");
    let data = bytes(&vector["expected"]["data"]);
    let word = |at: usize| B256::from_slice(&data[4 + 32 * at..4 + 32 * (at + 1)]);
    let words: SignatureWords = std::array::from_fn(|at| word(1 + at));
    let x_c0 = [&words[0][16..], &words[1][..]].concat();
    assert_eq!(compressed[48..], x_c0);
    words
}

#[test]
fn records_are_told_apart_by_their_digest() {
    let vector = &vectors("record_payment_digest")[0];
    let payment = Payment {
        id: B256::ZERO,
        tab: number(&vector["inputs"]["tab_id"]),
        asset: address(&vector["inputs"]["asset"]),
        amount: number(&vector["inputs"]["amount"]),
    };
    assert_eq!(payment.digest()[..], bytes(&vector["expected"]["digest"]));
}

#[test]
fn eth_has_calls_of_its_own() {
    let core = CreditCore::at(Address::repeat_byte(0xc0));
    let amount = U256::from(5);
    let deposit = core.deposit(ETH, amount);
    assert_eq!(
        (deposit.value, &deposit.data[..]),
        (amount, &[0xd0, 0xe3, 0x0d, 0xb0][..])
    );
    let token = Address::repeat_byte(7);
    assert_eq!(core.deposit(token, amount).value, U256::ZERO);
    let selectors = [
        (core.request_withdrawal(ETH, amount), 0x9ee6_79e8_u32),
        (core.request_withdrawal(token, amount), 0xda95_ebf7),
        (core.cancel_withdrawal(ETH), 0x2261_1280),
        (core.cancel_withdrawal(token), 0x3e0d_b869),
        (core.finalize_withdrawal(ETH), 0xc5b6_aa2f),
        (core.finalize_withdrawal(token), 0x4abf_24cb),
    ];
    for (call, selector) in selectors {
        assert_eq!(call.data[..4], selector.to_be_bytes());
        assert_eq!((call.to, call.value), (core.address(), U256::ZERO));
    }
    let approve = core.approve(token, amount);
    assert_eq!(approve.to, token);
    assert_eq!(approve.data[..4], Erc20::approveCall::SELECTOR);
}

#[test]
fn too_many_records_and_too_long_claims_are_refused() {
    let core = CreditCore::at(Address::ZERO);
    let payment = Payment {
        id: B256::repeat_byte(1),
        tab: U256::MAX,
        asset: ETH,
        amount: U256::MAX,
    };
    assert!(core.record_payments(&[]).is_none());
    let most = vec![payment; CreditCore::RECORDS_MAX];
    let call = core.record_payments(&most).unwrap();
    assert!(call.gas <= crate::limits::BATCH_GAS_MAX, "{}", call.gas);
    assert!(call.data.len() <= crate::limits::BATCH_BYTES_MAX);
    assert!(
        core.record_payments(&[most, vec![payment]].concat())
            .is_none()
    );
    let words = [B256::ZERO; 8];
    assert!(core.remunerate(&[0; 8 << 10], &words).is_some());
    assert!(core.remunerate(&[0; (8 << 10) + 1], &words).is_none());
}

#[test]
fn answers_are_read() {
    let core = CreditCore::at(Address::ZERO);
    let user = Address::repeat_byte(1);
    let row = |asset: Address, n: u64| Core::UserAsset {
        asset,
        collateral: U256::from(n),
        withdrawalRequestTimestamp: U256::from(n + 1),
        withdrawalRequestAmount: U256::from(n + 2),
    };
    let answer = vec![row(ETH, 10), row(user, 20)].abi_encode();
    let question = core.user_assets(user);
    let read = question.read(&answer).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!((read[1].asset, read[1].collateral), (user, U256::from(20)));
    assert_eq!(
        (read[1].requested_at, read[1].requested),
        (U256::from(21), U256::from(22))
    );
    assert!(question.read(&answer[..answer.len() - 1]).is_none());
    let many = vec![row(ETH, 1); 200].abi_encode();
    assert!(question.read(&many).is_none(), "longer than any answer");
    let status = (U256::from(3), true, user).abi_encode_params();
    let status = core.payment_status(U256::ZERO).read(&status).unwrap();
    assert_eq!(
        (status.paid, status.remunerated, status.asset),
        (U256::from(3), true, user)
    );
    let [grace, ..] = core.timing();
    assert_eq!(grace.read(&U256::from(7).abi_encode()), Some(7));
    assert_eq!(grace.read(&U256::MAX.abi_encode()), None);
    assert_eq!(grace.read(&[]), None);
}

#[test]
fn events_are_read() {
    let (user, asset, to) = (
        Address::repeat_byte(1),
        Address::repeat_byte(2),
        Address::repeat_byte(3),
    );
    let (tab, amount) = (U256::from(9), U256::from(100));
    let debited = Core::CollateralDebited {
        user,
        asset,
        tabId: tab,
        recipient: to,
        amount,
        outstanding: U256::from(1),
    };
    assert_eq!(
        Event::decode(&debited.encode_log_data()),
        Some(Event::Debited {
            user,
            asset,
            tab,
            recipient: to,
            amount,
            outstanding: U256::from(1),
        })
    );
    let paid = Core::TabPaid {
        tabId: tab,
        asset,
        user,
        recipient: to,
        amount,
    };
    let log = paid.encode_log_data();
    assert_eq!(
        Event::decode(&log),
        Some(Event::TabPaid {
            tab,
            asset,
            user,
            recipient: to,
            amount,
        })
    );
    let refused = Core::PaymentRecordRefused {
        id: B256::ZERO,
        tabId: tab,
        asset,
        amount,
        reason: Core::InvalidAsset::SELECTOR.into(),
    };
    let Some(Event::PaymentRefused { reason, .. }) = Event::decode(&refused.encode_log_data())
    else {
        panic!("not read");
    };
    assert_eq!(reason.name(), Some("InvalidAsset"));
    let short = LogData::new_unchecked(log.topics()[..2].to_vec(), log.data.clone());
    assert_eq!(Event::decode(&short), None, "a topic is missing");
    let long = LogData::new_unchecked(log.topics().to_vec(), vec![0; 2_000].into());
    assert_eq!(Event::decode(&long), None);
    let other = LogData::new_unchecked(vec![B256::ZERO], log.data);
    assert_eq!(Event::decode(&other), None);
}

#[test]
fn reverts_are_read() {
    let revert = |data: Vec<u8>| Revert::decode(&data.into());
    assert_eq!(revert(vec![]), Revert::Silent);
    assert_eq!(
        revert(Core::TabExpired {}.abi_encode()),
        Revert::Named("TabExpired")
    );
    let unsupported = Core::UnsupportedAsset { asset: ETH };
    assert_eq!(
        revert(unsupported.abi_encode()).name(),
        Some("UnsupportedAsset")
    );
    // What the decoder of version 2 says, with arguments of any length.
    let tag = ValidationDecoder::ValidationTagMismatch {
        expected: "x".repeat(500),
        actual: String::new(),
    };
    assert_eq!(
        revert(tag.abi_encode()).name(),
        Some("ValidationTagMismatch")
    );
    // What tokens say in words: one short line of text, whoever wrote it.
    let words = |text: &str| revert(alloy_sol_types::Revert::from(text).abi_encode());
    let said = words("ERC20: transfer amount exceeds balance");
    let expected = Revert::Said("ERC20: transfer amount exceeds balance".to_owned());
    assert_eq!((said.name(), &said), (None, &expected));
    assert_eq!(
        said.to_string(),
        "\"ERC20: transfer amount exceeds balance\""
    );
    let bent = words("a\n\u{1b}[31mb\u{202e}c\u{2066}\u{200b}d");
    assert_eq!(bent, Revert::Said("a  [31mb c  d".to_owned()));
    let long = words(&"\u{e4}".repeat(1_000));
    assert!(matches!(long, Revert::Said(said) if said.len() == 200));
    assert_eq!(words(""), Revert::Silent);
    let overflow = alloy_sol_types::Panic::from(0x11_u64).abi_encode();
    assert_eq!(revert(overflow), Revert::Said("panic 0x11".to_owned()));
    // A text that is cut off, or bytes of another error, are shown as they are.
    let mut cut = alloy_sol_types::Revert::from("paused").abi_encode();
    cut.truncate(70);
    for data in [cut, vec![0xab; 500], vec![1]] {
        assert!(matches!(revert(data), Revert::Other(said) if said.len() <= 200));
    }
}

#[test]
fn the_tab_paid_topic_has_the_recipient() {
    let topic = b256!("0xb54478165024f1696255f1a7140aff169d808dfbbb509beabb9421daf9060b84");
    assert_eq!(Core::TabPaid::SIGNATURE_HASH, topic);
}

proptest! {
    #[test]
    fn nothing_from_outside_panics(data in prop::collection::vec(any::<u8>(), 0..400), topics in prop::collection::vec(any::<[u8; 32]>(), 0..5)) {
        let core = CreditCore::at(Address::ZERO);
        let _read = core.user_assets(ETH).read(&data);
        let _read = core.version_config(1).read(&data);
        let _read = core.tokens().read(&data);
        let _read = core.payment_status(U256::ZERO).read(&data);
        let _read = Revert::decode(&Bytes::from(data.clone()));
        let mut topics: Vec<B256> = topics.into_iter().map(B256::from).collect();
        for topic in Event::topics() {
            if let Some(first) = topics.first_mut() {
                *first = topic;
            }
            let _read = Event::decode(&LogData::new_unchecked(topics.clone(), data.clone().into()));
        }
    }
}
