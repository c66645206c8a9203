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
use faregate_types::{Asset, AssetId, ChainId, TransferMethod};

async fn connect(config: NetworkConfig) -> ConnectError {
    ExactFacilitator::builder()
        .network(config)
        .signer(new_key())
        .connect()
        .await
        .unwrap_err()
}

#[tokio::test]
async fn every_mistake_of_a_configuration_has_its_error() {
    let world = World::start().await;
    let (chain, asset) = (world.chain, world.asset.clone());
    let at = |token: Address| Asset {
        id: AssetId::erc20(chain, token),
        ..asset.clone()
    };
    let with = |assets: Vec<Asset>| {
        let mut config = world.config();
        config.assets = assets;
        config
    };
    let named = |name: &'static str| {
        let mut asset = asset.clone();
        asset.domain.name = Cow::Borrowed(name);
        asset
    };
    let elsewhere = Asset {
        id: AssetId::erc20(ChainId::BASE, asset.id.token()),
        ..asset.clone()
    };
    let permit2 = Asset {
        transfer: TransferMethod::Permit2,
        ..asset.clone()
    };

    assert_eq!(connect(with(vec![])).await, ConnectError::NoAsset { chain });
    assert_eq!(
        connect(with(vec![elsewhere.clone()])).await,
        ConnectError::AssetElsewhere {
            chain,
            asset: elsewhere.id
        }
    );
    assert_eq!(
        connect(with(vec![permit2])).await,
        ConnectError::TransferMethod { asset: asset.id }
    );
    assert_eq!(
        connect(with(vec![asset.clone(), at(NO_CONTRACT)])).await,
        ConnectError::NoContract {
            asset: at(NO_CONTRACT).id
        }
    );
    assert_eq!(
        connect(with(vec![at(MULTICALL3)])).await,
        ConnectError::NoDomain {
            asset: at(MULTICALL3).id
        }
    );
    assert_eq!(
        connect(with(vec![named("USD Coin")])).await,
        ConnectError::DomainMismatch { asset: asset.id }
    );

    let mut config = with(vec![elsewhere]);
    config.chain = ChainId::BASE;
    let expected = ConnectError::WrongChain {
        expected: ChainId::BASE,
        found: chain.get(),
    };
    assert_eq!(connect(config).await, expected);

    let mut config = world.config_at("http://127.0.0.1:1/secret-key");
    config.rpc_timeout = Duration::from_secs(2);
    assert!(!format!("{config:?}").contains("secret"));
    let error = connect(config).await;
    assert_eq!(error, ConnectError::Unreachable { chain });
    assert!(!format!("{error:?} {error}").contains("secret"));

    let builder = ExactFacilitator::builder;
    assert_eq!(
        builder().signer(new_key()).connect().await.unwrap_err(),
        ConnectError::NoNetwork
    );
    assert_eq!(
        builder()
            .network(world.config())
            .connect()
            .await
            .unwrap_err(),
        ConnectError::NoSigner
    );
    let twice = builder()
        .network(world.config())
        .network(world.config())
        .signer(new_key());
    assert_eq!(
        twice.connect().await.unwrap_err(),
        ConnectError::NetworkTwice { chain }
    );
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
