//! What payers of the permit rail sign reaches the treasury: the contract, our calls of it, and Permit2 on a chain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use alloy_primitives::{Address, B256, Bytes, LogData, U256, address, keccak256};
use common::permit::KINDS;
use common::{FUNDS, World, new_key};
use faregate_evm::LocalSigner;
use faregate_evm::permit_settler::{
    Call, Event, ITEM_GAS, Item, PermitSettler, Reason, arrange, verdicts,
};
use faregate_types::permit::{Permit, PermitKind, Terms};
use faregate_types::{ChainId, Signature65};
use serde_json::{Value, json};

/// A chain with Permit2, a contract for a new treasury, and a payer who lets Permit2 take what is signed.
struct Shop {
    world: World,
    settler: PermitSettler,
    payer: LocalSigner,
}

impl Shop {
    async fn open(chain: ChainId) -> Self {
        let world = World::start_as(chain).await;
        world.place_permit2().await;
        let settler = PermitSettler::of(new_key().address()).unwrap();
        let payer = world.payer().await;
        let shop = Self {
            world,
            settler,
            payer,
        };
        shop.run(&settler.deployment()).await;
        assert!(!shop.world.code(settler.address()).await.is_empty());
        shop.world.approve_permit2(shop.payer.address()).await;
        shop
    }

    /// Sends one of our calls; it must succeed. What its logs say, the contract's and no other's.
    async fn run(&self, call: &Call) -> Vec<Event> {
        let bank = self.world.bank();
        let receipt = self
            .world
            .transact(bank, call.to, call.data.clone(), call.gas)
            .await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let logs = receipt["logs"].as_array().unwrap().iter();
        let ours = logs.filter(|log| {
            let emitter: Address = serde_json::from_value(log["address"].clone()).unwrap();
            emitter == self.settler.address()
        });
        ours.map(|log| {
            let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
            let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            Event::decode(&LogData::new_unchecked(topics, data)).unwrap()
        })
        .collect()
    }

    /// What a call answers, or the data it reverts with.
    async fn ask(&self, call: &Call) -> Result<Bytes, Bytes> {
        let question = json!({ "to": call.to, "data": call.data });
        let answer = self
            .world
            .try_rpc("eth_call", json!([question, "latest"]))
            .await;
        let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        match answer.get("result") {
            Some(result) => Ok(read(result)),
            None => Err(read(&answer["error"]["data"])),
        }
    }

    fn permit(&self, kind: PermitKind, nonce: u64, value: u64) -> Permit {
        let spender = self.settler.address();
        self.world.permit(&self.payer, spender, kind, nonce, value)
    }

    fn item(&self, kind: PermitKind, nonce: u64, value: u64) -> Item {
        let permit = self.permit(kind, nonce, value);
        self.settler.item(&permit).unwrap()
    }

    /// What left the payer is at the treasury, and nothing is in between.
    async fn check_paid(&self, value: u64) {
        let balances = [
            self.world.balance(self.payer.address()).await,
            self.world.balance(self.settler.address()).await,
            self.world.balance(self.settler.treasury()).await,
        ];
        assert_eq!(balances, [FUNDS - value, 0, value].map(U256::from));
    }
}

/// Also where official clients expect it: on Sepolia, at the address of its USDC.
#[tokio::test]
async fn each_kind_pays_the_treasury_alone_on_base_sepolia_and_on_sepolia() {
    for chain in [ChainId::BASE_SEPOLIA, ChainId::new(11_155_111).unwrap()] {
        let shop = Shop::open(chain).await;
        if shop.world.is_own() && chain.get() == 11_155_111 {
            let usdc = address!("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238");
            assert_eq!(shop.world.asset.id.token(), usdc);
        }
        let mut paid = 0;
        for (kind, value) in KINDS.into_iter().zip([1, 20, 300]) {
            let item = shop.item(kind, 0, value);
            let events = shop.run(&shop.settler.single(&item, ITEM_GAS)).await;
            assert_eq!(events.len(), usize::from(kind != PermitKind::Erc3009));
            for event in events {
                let Event::Collected {
                    token,
                    payer,
                    value,
                    ..
                } = event
                else {
                    panic!("{event:?}");
                };
                assert_eq!(
                    (token, payer, value),
                    (item.token(), item.payer(), item.value())
                );
            }
            paid += value;
            shop.check_paid(paid).await;
            let again = shop.ask(&shop.settler.single(&item, ITEM_GAS)).await;
            let reason = Reason::decode(&again.unwrap_err());
            match kind {
                PermitKind::Eip2612 => assert_eq!(reason, Reason::AlreadyCollected),
                PermitKind::Erc3009 => assert_eq!(reason, Reason::AlreadyUsed),
                PermitKind::Permit2 => {
                    let invalid_nonce = keccak256("InvalidNonce()")[..4].to_vec();
                    assert_eq!(reason, Reason::Other(invalid_nonce.into()));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_batch_pays_what_it_can_and_says_what_it_cannot() {
    let shop = Shop::open(ChainId::BASE_SEPOLIA).await;
    let mut items = Vec::new();
    let (mut total, mut lost) = (U256::ZERO, U256::ZERO);
    for nonce in (0..4).rev() {
        for (kind, unit) in KINDS.into_iter().zip([1, 100, 10_000]) {
            let mut permit = shop.permit(kind, nonce, unit * (nonce + 1));
            total += permit.terms.value();
            // One is forged, and one is in another payer's name.
            match &mut permit.terms {
                Terms::Erc3009 { .. } if nonce == 1 => {
                    let mut forged = permit.signature.to_bytes();
                    forged[40] ^= 1;
                    permit.signature = Signature65::parse(&forged).unwrap();
                    lost += permit.terms.value();
                }
                Terms::Permit2 { owner, .. } if nonce == 2 => {
                    *owner = new_key().address();
                    lost += permit.terms.value();
                }
                _ => {}
            }
            items.push(shop.settler.item(&permit).unwrap());
        }
    }
    // Now the permits come first, by their nonces, then Permit2 and the authorizations, as they were: 3, 2, 1, 0.
    arrange(&mut items);
    let damaged = [5, 10];

    let call = shop.settler.batch(&items, ITEM_GAS).unwrap();
    let answer = shop.ask(&call).await.unwrap();
    let expected: Vec<_> = (0..12).map(|index| !damaged.contains(&index)).collect();
    assert_eq!(verdicts(&answer, 12), Some(expected));
    let events = shop.run(&call).await;
    let failed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ItemFailed {
                index,
                payer,
                nonce,
                ..
            } => Some((*index, *payer, *nonce)),
            _ => None,
        })
        .collect();
    let named = |index: usize| {
        (
            U256::from(index),
            items[index].payer(),
            items[index].nonce(),
        )
    };
    assert_eq!(failed, damaged.map(named));
    assert_eq!(events.len(), 7 + 2, "{events:?}");
    shop.check_paid((total - lost).to()).await;

    // Nothing more is to be had from any of them.
    let answer = shop.ask(&call).await.unwrap();
    assert_eq!(verdicts(&answer, 12), Some(vec![false; 12]));
}

#[tokio::test]
async fn what_others_executed_first_reaches_the_treasury_all_the_same() {
    let shop = Shop::open(ChainId::BASE_SEPOLIA).await;
    let permit = shop.permit(PermitKind::Eip2612, 0, 5);
    let item = shop.settler.item(&permit).unwrap();
    let (token, owner) = (item.token(), item.payer());
    shop.world.run_ahead_of(&permit).await;
    let call = shop.settler.single(&item, ITEM_GAS);
    assert_eq!(shop.run(&call).await.len(), 1);
    shop.check_paid(5).await;
    for (nonce, collected) in [(0, 1), (1, 0)] {
        let nonce = U256::from(nonce);
        let data = shop.settler.collected(token, owner, nonce);
        let question = json!({ "to": shop.settler.address(), "data": data });
        let answer: U256 = shop
            .world
            .rpc("eth_call", json!([question, "latest"]))
            .await;
        assert_eq!(answer, U256::from(collected));
    }

    let permit = shop.permit(PermitKind::Erc3009, 9, 70);
    let item = shop.settler.item(&permit).unwrap();
    shop.world.run_ahead_of(&permit).await;
    let waiting = shop.world.balance(shop.settler.address()).await;
    assert_eq!(waiting, U256::from(70));
    let call = shop.settler.batch(&[item], ITEM_GAS).unwrap();
    let events = shop.run(&call).await;
    assert!(
        matches!(
            &events[..],
            [Event::ItemFailed {
                reason: Reason::AlreadyUsed,
                ..
            }]
        ),
        "{events:?}"
    );
    shop.check_paid(75).await;
    shop.run(&shop.settler.forward(token)).await;
    shop.check_paid(75).await;
}

/// The largest batch there is stays within its gas limit, and nothing of it fails.
#[tokio::test]
async fn a_full_batch_settles_within_its_gas() {
    let shop = Shop::open(ChainId::BASE_SEPOLIA).await;
    let items: Vec<_> = (0..200)
        .map(|nonce| shop.item(PermitKind::Eip2612, nonce, 1))
        .collect();
    let fits = faregate_evm::permit_settler::fits(&items, ITEM_GAS);
    assert!((80..200).contains(&fits), "{fits}");
    let call = shop.settler.batch(&items[..fits], ITEM_GAS).unwrap();
    assert_eq!(shop.run(&call).await.len(), fits);
    shop.check_paid(u64::try_from(fits).unwrap()).await;
}
