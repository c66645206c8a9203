use alloy_primitives::{b256, keccak256};
use alloy_sol_types::Revert;
use faregate_types::{Authorization, ChainId, eip2612};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const TREASURY: Address = address!("0x209693Bc6afc0C5328bA36FaF03C514EF312287C");

fn artifact() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../contracts/artifacts/PermitSettler.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn item(kind: PermitKind, token: u8) -> Item {
    let mut signature = [1; 65];
    signature[64] = 27;
    Item {
        kind,
        token: Address::repeat_byte(token),
        payer: Address::repeat_byte(7),
        value: U256::MAX,
        valid_after: U256::ZERO,
        deadline: U256::MAX,
        nonce: U256::MAX,
        signature: Signature65::parse(&signature).unwrap(),
    }
}

#[test]
fn the_code_is_the_artifact() {
    assert_eq!(
        format!("0x{CREATION}"),
        artifact()["bytecode"].as_str().unwrap()
    );
}

/// Every function, event and error that is declared here is one of the contract, spelled alike.
#[test]
fn the_abi_is_the_artifact() {
    let abi = artifact()["abi"].clone();
    let hash_of = |kind: &str, name: &str| {
        let entries = abi.as_array().unwrap().iter();
        let entry = entries
            .filter(|entry| entry["type"] == kind && entry["name"] == name)
            .collect::<Vec<_>>();
        assert_eq!(entry.len(), 1, "{kind} {name}");
        let types: Vec<_> = entry[0]["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(spell)
            .collect();
        keccak256(format!("{name}({})", types.join(",")))
    };
    let selectors = [
        ("settle", Abi::settleCall::SELECTOR),
        ("settleOne", Abi::settleOneCall::SELECTOR),
        ("forward", Abi::forwardCall::SELECTOR),
        ("collected", Abi::collectedCall::SELECTOR),
    ];
    for (name, selector) in selectors {
        assert_eq!(hash_of("function", name)[..4], selector, "{name}");
    }
    let topics = [
        ("Collected", Abi::Collected::SIGNATURE_HASH),
        ("ItemFailed", Abi::ItemFailed::SIGNATURE_HASH),
        ("ForwardFailed", Abi::ForwardFailed::SIGNATURE_HASH),
    ];
    for (name, topic) in topics {
        assert_eq!(hash_of("event", name), topic, "{name}");
    }
    let errors = [
        ("AlreadyCollected", Abi::AlreadyCollected::SELECTOR),
        ("AlreadyUsed", Abi::AlreadyUsed::SELECTOR),
        ("NonceMismatch", Abi::NonceMismatch::SELECTOR),
        ("PermitIgnored", Abi::PermitIgnored::SELECTOR),
        ("Expired", Abi::Expired::SELECTOR),
        ("NotSigned", Abi::NotSigned::SELECTOR),
        ("NoToken", Abi::NoToken::SELECTOR),
        ("Refused", Abi::Refused::SELECTOR),
    ];
    for (name, selector) in errors {
        assert_eq!(hash_of("error", name)[..4], selector, "{name}");
    }
}

/// The canonical name of an argument's type.
fn spell(argument: &Value) -> String {
    let kind = argument["type"].as_str().unwrap();
    let Some(array) = kind.strip_prefix("tuple") else {
        return kind.to_owned();
    };
    let parts = argument["components"].as_array().unwrap().iter();
    format!(
        "({}){array}",
        parts.map(spell).collect::<Vec<_>>().join(",")
    )
}

#[test]
fn an_address_follows_from_the_treasury() {
    let settler = PermitSettler::of(TREASURY).unwrap();
    let other = PermitSettler::of(Address::repeat_byte(1)).unwrap();
    assert_ne!(settler.address(), other.address());
    assert_eq!(settler.treasury(), TREASURY);
    assert_eq!(PermitSettler::of(Address::ZERO), None);

    // What the proxy is sent is the salt and the code that the address was made of.
    let deployment = settler.deployment();
    assert_eq!(deployment.data[..32], [0; 32]);
    let hash = keccak256(&deployment.data[32..]);
    let whole = [
        &[0xff],
        CREATE2_DEPLOYER.as_slice(),
        &[0; 32],
        hash.as_slice(),
    ]
    .concat();
    assert_eq!(settler.address().as_slice(), &keccak256(whole)[12..]);
    assert!(deployment.data.ends_with(TREASURY.as_slice()));
}

fn permit(terms: Terms) -> Permit {
    Permit {
        chain: ChainId::BASE_SEPOLIA,
        terms,
        signature: item(PermitKind::Eip2612, 1).signature,
    }
}

/// What is not for this contract, or not for the true Permit2, is no item.
#[test]
fn only_permits_for_the_contract_become_items() {
    let settler = PermitSettler::of(TREASURY).unwrap();
    let (token, payer) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let [value, deadline, nonce] = [3, 4, 5].map(U256::from);
    let eip2612 = |spender| {
        permit(Terms::Eip2612 {
            token,
            permit: eip2612::Permit {
                owner: payer,
                spender,
                value,
                nonce,
                deadline,
            },
        })
    };
    let erc3009 = |to| {
        permit(Terms::Erc3009 {
            token,
            authorization: Authorization {
                from: payer,
                to,
                value,
                valid_after: U256::from(2),
                valid_before: deadline,
                nonce: nonce.into(),
            },
        })
    };
    let permit2 = |spender, contract| {
        permit(Terms::Permit2 {
            owner: payer,
            contract,
            transfer: permit2::PermitTransferFrom {
                token,
                amount: value,
                spender,
                nonce,
                deadline,
            },
        })
    };
    let ours = settler.address();
    for (permit, kind, valid_after) in [
        (eip2612(ours), PermitKind::Eip2612, 0),
        (erc3009(ours), PermitKind::Erc3009, 2),
        (permit2(ours, permit2::CONTRACT), PermitKind::Permit2, 0),
    ] {
        let expected = Item {
            kind,
            token,
            payer,
            value,
            valid_after: U256::from(valid_after),
            deadline,
            nonce,
            signature: permit.signature,
        };
        assert_eq!(settler.item(&permit), Ok(expected));
    }
    for other in [TREASURY, Address::ZERO] {
        let refused = Err(NotOurs::Payee(other));
        assert_eq!(settler.item(&eip2612(other)), refused);
        assert_eq!(settler.item(&erc3009(other)), refused);
        assert_eq!(settler.item(&permit2(other, permit2::CONTRACT)), refused);
        let elsewhere = settler.item(&permit2(ours, other));
        assert_eq!(elsewhere, Err(NotOurs::Permit2(other)));
    }
}

#[test]
fn a_full_batch_stays_under_every_limit() {
    let settler = PermitSettler::of(TREASURY).unwrap();
    assert_eq!(settler.batch(&[], ITEM_GAS), Err(BatchError::Empty));
    let mixed = |index: usize| match index % 3 {
        0 => item(PermitKind::Eip2612, 1),
        1 => item(PermitKind::Erc3009, 1),
        _ => item(PermitKind::Permit2, 1),
    };
    let one_run = |_: usize| item(PermitKind::Erc3009, 1);
    for (make, item_gas, least) in [
        (&mixed as &dyn Fn(usize) -> Item, ITEM_GAS, 60),
        (&mixed, 0, 60),
        (&one_run, ITEM_GAS, 90),
        (&one_run, 10_000, 256),
    ] {
        let items: Vec<_> = (0..400).map(make).collect();
        let Err(BatchError::TooLarge { fits }) = settler.batch(&items, item_gas) else {
            panic!("400 fit");
        };
        assert!(fits >= least && fits <= BATCH_ITEMS_MAX, "{fits}");
        let call = settler.batch(&items[..fits], item_gas).unwrap();
        assert!(call.gas <= BATCH_GAS_MAX);
        assert!(call.data.len() <= BATCH_BYTES_MAX);
        assert!(
            fits == BATCH_ITEMS_MAX || settler.batch(&items[..=fits], item_gas).is_err(),
            "{fits}"
        );
    }
}

#[test]
fn arranged_items_make_one_run_per_token() {
    let mut items = Vec::new();
    for round in 0..3_u8 {
        items.push(item(PermitKind::Erc3009, 2));
        items.push(item(PermitKind::Erc3009, 1));
        let mut permit = item(PermitKind::Eip2612, 1);
        permit.nonce = U256::from(9 - round);
        items.push(permit);
    }
    let before = gas(&items, ITEM_GAS);
    arrange(&mut items);
    // Six runs became two.
    assert_eq!(
        before - gas(&items, ITEM_GAS),
        4 * (ITEM_GAS + ITEM_OVERHEAD)
    );
    let nonces: Vec<_> = items[..3].iter().map(|item| item.nonce).collect();
    assert_eq!(nonces, [7, 8, 9].map(U256::from));
}

#[test]
fn an_answer_is_one_verdict_per_item() {
    let answer = Abi::settleCall::abi_encode_returns(&vec![true, false]);
    assert_eq!(verdicts(&answer, 2), Some(vec![true, false]));
    assert_eq!(verdicts(&answer, 3), None);
    assert_eq!(verdicts(&answer[..40], 2), None);
    assert_eq!(verdicts(&[], 0), None);
}

#[test]
fn reasons() {
    let mismatch = Abi::NonceMismatch {
        next: U256::from(5),
    }
    .abi_encode();
    let words = Revert::from("no").abi_encode();
    let cases = [
        (vec![], Reason::Silent),
        (
            Abi::AlreadyCollected::SELECTOR.to_vec(),
            Reason::AlreadyCollected,
        ),
        (Abi::AlreadyUsed::SELECTOR.to_vec(), Reason::AlreadyUsed),
        (mismatch.clone(), Reason::NonceMismatch(U256::from(5))),
        (
            mismatch[..20].to_vec(),
            Reason::Other(mismatch[..20].to_vec().into()),
        ),
        (words.clone(), Reason::Other(words.into())),
    ];
    for (data, reason) in cases {
        assert_eq!(Reason::decode(&data.into()), reason);
    }
}

proptest! {
    /// Whatever is logged under whatever topic, reading it ends well.
    #[test]
    fn any_log_is_an_event_or_nothing(
        topic in 0..4_usize,
        topics in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        data in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let known = [
            Abi::Collected::SIGNATURE_HASH,
            Abi::ItemFailed::SIGNATURE_HASH,
            Abi::ForwardFailed::SIGNATURE_HASH,
            b256!("0x0000000000000000000000000000000000000000000000000000000000000001"),
        ];
        let rest = topics.into_iter().map(B256::from).take(3);
        let topics = std::iter::once(known[topic]).chain(rest).collect();
        let log = LogData::new_unchecked(topics, data.into());
        if let Some(event) = Event::decode(&log) {
            prop_assert!(topic < 3, "{event:?}");
        }
    }
}

/// What a lane puts together one by one is never more than one transaction holds, in whatever order it comes.
#[test]
fn a_batch_that_is_filled_one_by_one_fits() {
    use crate::batch::{Batching, Item as Batched};
    use crate::config::NetworkConfig;
    let url = "http://127.0.0.1:1".parse().unwrap();
    let mut config = NetworkConfig::new(ChainId::BASE_SEPOLIA, url, Vec::new());
    config.batch_items_max = 5_000;
    let (batching, settler) = (Batching::of(&config), PermitSettler::of(TREASURY).unwrap());
    let kinds = [
        PermitKind::Erc3009,
        PermitKind::Eip2612,
        PermitKind::Permit2,
    ];
    for (kinds, tokens) in [
        (&kinds[..], 4),
        (&kinds[..1], 1),
        (&kinds[..1], 200),
        (&kinds[1..2], 9),
    ] {
        let mut next = (0..).zip(kinds.iter().cycle()).map(|(number, kind)| {
            let token = u8::try_from(number % tokens).unwrap();
            Batched::Permit(settler, item(*kind, token))
        });
        let mut items = vec![next.next().unwrap()];
        let mut room = batching.begin(&items[0]).unwrap();
        let left = next.find(|item| {
            let fits = batching.take(&mut room, item);
            if fits {
                items.push(item.clone());
            }
            !fits
        });
        items.sort_by_key(Batched::order);
        let (to, _, gas) = batching.call(items.iter()).unwrap();
        assert_eq!(to, settler.address());
        assert!(
            gas <= BATCH_GAS_MAX && items.len() > 40,
            "{gas}: {}",
            items.len()
        );
        // Nor is room wasted.
        items.extend(left);
        items.extend((0..2).map(|_| Batched::Permit(settler, item(kinds[0], 250))));
        items.sort_by_key(Batched::order);
        assert!(batching.call(items.iter()).is_none());
    }
    let other = PermitSettler::of(Address::repeat_byte(9)).unwrap();
    let mixed = [settler, other].map(|settler| Batched::Permit(settler, item(kinds[0], 1)));
    assert!(batching.call(mixed.iter()).is_none());
}
