//! What is checked at start, each with its own error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::borrow::Cow;
use std::time::Duration;

use alloy_primitives::Address;
use common::{MULTICALL3, NO_CONTRACT, World, new_key};
use faregate_evm::{ConnectError, ExactFacilitator, NetworkConfig};
use faregate_types::{Asset, ChainId, Erc20, TransferMethod};

async fn connect(config: NetworkConfig) -> ConnectError {
    ExactFacilitator::builder()
        .network(config)
        .signer(new_key())
        .connect()
        .await
        .unwrap_err()
}

#[tokio::test]
async fn problem_21_every_mistake_in_the_assets_has_its_error() {
    let world = World::start().await;
    let (chain, asset) = (world.chain, world.asset.clone());
    let at = |chain: ChainId, token: Address| Asset {
        id: Erc20::new(chain, token),
        ..asset.clone()
    };
    let (elsewhere, nowhere) = (at(ChainId::BASE, asset.id.token()), at(chain, NO_CONTRACT));
    let no_token = at(chain, MULTICALL3);
    let permit2 = Asset {
        transfer: TransferMethod::Permit2,
        ..asset.clone()
    };
    let mut renamed = asset.clone();
    renamed.domain.name = Cow::Borrowed("USD Coin");
    let id = asset.id;
    let cases = [
        (vec![], ConnectError::NoAsset { chain }),
        (
            vec![elsewhere.clone()],
            ConnectError::AssetElsewhere {
                chain,
                asset: elsewhere.id,
            },
        ),
        (vec![permit2], ConnectError::TransferMethod { asset: id }),
        (
            vec![asset.clone(), nowhere.clone()],
            ConnectError::NoContract { asset: nowhere.id },
        ),
        (
            vec![no_token.clone()],
            ConnectError::NoDomain { asset: no_token.id },
        ),
        (vec![renamed], ConnectError::DomainMismatch { asset: id }),
    ];
    for (assets, expected) in cases {
        let mut config = world.config();
        config.assets = assets;
        assert_eq!(connect(config).await, expected);
    }
    let mut config = world.config();
    (config.chain, config.assets) = (ChainId::BASE, vec![elsewhere]);
    let expected = ConnectError::WrongChain {
        expected: ChainId::BASE,
        found: chain.get(),
    };
    assert_eq!(connect(config).await, expected);
}

#[tokio::test]
async fn an_unreachable_node_is_named_without_its_key() {
    let world = World::start().await;
    let chain = world.chain;
    let mut config = world.config_at("http://127.0.0.1:1/secret-key");
    config.rpc_timeout = Duration::from_secs(2);
    assert!(!format!("{config:?}").contains("secret"));
    let error = connect(config).await;
    assert_eq!(error, ConnectError::Unreachable { chain });
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn networks_and_signers_are_needed_once() {
    let world = World::start().await;
    let builder = ExactFacilitator::builder;
    let no_network = builder().signer(new_key());
    let no_signer = builder().network(world.config());
    let twice = builder()
        .network(world.config())
        .network(world.config())
        .signer(new_key());
    let cases = [
        (no_network, ConnectError::NoNetwork),
        (no_signer, ConnectError::NoSigner),
        (twice, ConnectError::NetworkTwice { chain: world.chain }),
    ];
    for (builder, expected) in cases {
        assert_eq!(builder.connect().await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn the_same_key_twice_is_one_signer() {
    let world = World::start().await;
    let key = new_key();
    let builder = ExactFacilitator::builder().network(world.config());
    let facilitator = builder
        .signer(key.clone())
        .signer(key.clone())
        .connect()
        .await
        .unwrap();
    assert_eq!(facilitator.signers(), [key.address()]);
    assert!(facilitator.ping().await.is_ok());
    assert!(!format!("{facilitator:?}").contains("http"));
}
