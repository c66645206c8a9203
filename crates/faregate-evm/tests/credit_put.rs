//! The contracts of credit, put onto a chain that has none, some or all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U64};
use common::{Notes, World, artifact, new_key};
use faregate_evm::credit::{Creation, Deployment, PutError, Timing};
use faregate_evm::{Account, SendError};
use faregate_types::credit::BlsSecretKey;
use serde_json::json;

const TIMING: Timing = Timing {
    remuneration_grace: 1,
    tab_expiration: 3_600,
    synchronization_delay: 1,
    withdrawal_grace: 4_000,
};

/// A chain, an administrator with ether, and a deployment of whose contracts nothing is there.
struct Site {
    world: World,
    admin: Address,
    account: Account,
    deployment: Deployment,
}

impl Site {
    async fn new() -> Self {
        let world = World::start().await;
        let signer = world.gas_payer().await;
        let admin = signer.address();
        let mut config = world.config();
        config.gas_limit_max = 10_000_000;
        let account = Account::connect(config, Arc::new(signer)).await.unwrap();
        let mut secret = [0; 32];
        secret[12..].copy_from_slice(new_key().address().as_slice());
        let key = BlsSecretKey::from_bytes(&secret).unwrap();
        let deployment = Deployment {
            chain: world.chain,
            key: key.public_key().words(),
            tokens: vec![world.asset.id.token()],
            // Its own, so that nothing is there already on a node that tests share.
            registries: vec![new_key().address()],
            timing: TIMING,
            admin,
            governor: admin,
            governance_delay: 0,
            guardian: new_key().address(),
            operator: new_key().address(),
        };
        Self {
            world,
            admin,
            account,
            deployment,
        }
    }

    /// Puts a deployment; in which block the core came, and how many transactions it took.
    async fn put(&self, deployment: &Deployment) -> (Option<u64>, u64) {
        let before = self.world.sent_by(self.admin).await;
        let created = deployment.put(&self.account).await.unwrap();
        let [.., withdrawal] = deployment.core().timing();
        assert_eq!(
            self.account.ask(&withdrawal).await.unwrap(),
            deployment.timing.withdrawal_grace
        );
        let decoder = self.account.ask(&deployment.core().version_config(2)).await;
        assert_eq!(Some(decoder.unwrap().decoder), deployment.decoder());
        (created, self.world.sent_by(self.admin).await - before)
    }
}

#[tokio::test]
async fn where_nothing_is_all_of_it_is_put_and_then_nothing_more() {
    let site = Site::new().await;
    let (created, sent) = site.put(&site.deployment).await;
    let newest: U64 = site.world.rpc("eth_blockNumber", json!([])).await;
    let block = created.unwrap();
    assert!((1..=newest.to::<u64>()).contains(&block), "{block}");
    assert_eq!(sent, 3 + 3, "contracts, then steps");
    assert_eq!(site.put(&site.deployment).await, (None, 0));
}

#[tokio::test]
async fn whoever_was_interrupted_goes_on_where_it_ended() {
    let site = Site::new().await;
    let creations = site.deployment.creations();
    assert!(creations[0].put(&site.account).await.unwrap().is_some());
    for creation in &creations {
        creation.put(&site.account).await.unwrap();
    }
    let first = &site.deployment.steps()[0];
    let sent = site.account.send(first, &Notes::default()).await;
    sent.unwrap();
    assert_eq!(site.put(&site.deployment).await, (None, 3));
}

#[tokio::test]
async fn what_was_set_up_otherwise_is_set_up_again() {
    let site = Site::new().await;
    site.put(&site.deployment).await;
    let longer = Timing {
        withdrawal_grace: TIMING.withdrawal_grace + 1,
        ..TIMING
    };
    let changed = Deployment {
        timing: longer,
        ..site.deployment.clone()
    };
    assert_eq!(changed.core(), site.deployment.core());
    assert_eq!(site.put(&changed).await, (None, 3));
    let changed = Deployment {
        operator: new_key().address(),
        ..changed
    };
    assert_eq!(site.put(&changed).await, (None, 3));
    assert_eq!(site.put(&changed).await, (None, 0));
}

#[tokio::test]
async fn somebody_else_sets_up_nothing() {
    let site = Site::new().await;
    let theirs = Deployment {
        admin: new_key().address(),
        ..site.deployment
    };
    let refused = theirs.put(&site.account).await.unwrap_err();
    let PutError::Send(SendError::Reverted(why)) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(why.name(), Some("AccessManagedUnauthorized"));
}

#[tokio::test]
async fn where_nothing_can_be_created_that_is_said() {
    let world = World::start().await;
    if !world.is_own() {
        return; // Others need what is taken away here.
    }
    let deployer = faregate_devnet::chain::CREATE2_DEPLOYER;
    world.place(deployer, Bytes::new()).await;
    let account = Account::connect(world.config(), Arc::new(world.gas_payer().await)).await;
    let registry = Creation::of(&artifact("TestValidationRegistry", "bytecode"));
    let refused = registry.put(&account.unwrap()).await.unwrap_err();
    assert!(matches!(refused, PutError::NoDeployer), "{refused:?}");
}
