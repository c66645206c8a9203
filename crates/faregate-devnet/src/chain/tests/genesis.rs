use std::borrow::Cow;

use alloy_primitives::{Address, U256, address, hex, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_types::{
    Asset, AssetRegistry, ChainId, Erc20, TokenDomain, TransferMethod, domain_separator, networks,
};

use super::{account, call_to, chain};
use crate::chain::{
    BATCH_SETTLER, CREATE2_DEPLOYER, ChainConfig, DEV_BALANCE_WEI, DevchainError, MULTICALL3,
    PERMIT2,
    engine::{BlockRef, Chain},
};

sol! {
    function name() returns (string);
    function version() returns (string);
    function symbol() returns (string);
    function decimals() returns (uint8);
    function DOMAIN_SEPARATOR() returns (bytes32);
    function balanceOf(address) returns (uint256);
    function getChainId() returns (uint256);
}

fn ask<C: SolCall>(chain: &Chain, to: Address, question: &C) -> C::Return {
    let output = chain
        .call(&call_to(to, question.abi_encode()), BlockRef::Latest)
        .unwrap();
    C::abi_decode_returns(&output).unwrap()
}

#[test]
fn every_known_network_has_its_usdc_with_its_domain() {
    let registry = AssetRegistry::builtin();
    let mut seen = 0;
    for asset in registry.iter() {
        let config = ChainConfig {
            chain_id: asset.id.chain().get(),
            ..ChainConfig::default()
        };
        let chain = Chain::new(&config).unwrap();
        let token = asset.id.token();
        assert_eq!(
            ask(&chain, token, &nameCall {}),
            asset.domain.name,
            "{}",
            asset.id
        );
        assert_eq!(
            ask(&chain, token, &versionCall {}),
            asset.domain.version,
            "{}",
            asset.id
        );
        assert_eq!(
            ask(&chain, token, &symbolCall {}),
            asset.symbol,
            "{}",
            asset.id
        );
        assert_eq!(
            ask(&chain, token, &decimalsCall {}),
            asset.decimals,
            "{}",
            asset.id
        );
        let separator = domain_separator(&asset.domain, asset.id.chain(), token);
        assert_eq!(
            ask(&chain, token, &DOMAIN_SEPARATORCall {}),
            separator,
            "{}",
            asset.id
        );
        let million = U256::from(1_000_000) * U256::from(10).pow(U256::from(asset.decimals));
        assert_eq!(
            ask(&chain, token, &balanceOfCall(account(9))),
            million,
            "{}",
            asset.id
        );
        assert!(registry.default_for(asset.id.chain()).is_some());
        seen += 1;
    }
    assert!(seen >= networks().len(), "{seen} assets");
}

#[test]
fn the_default_asset_of_the_network_is_the_usdc() {
    for chain_id in [84532, 8453, 1, 11_155_111, 31337, 42220] {
        let config = ChainConfig {
            chain_id,
            ..ChainConfig::default()
        };
        let expected = AssetRegistry::builtin()
            .default_for(ChainId::new(chain_id).unwrap())
            .unwrap()
            .id
            .token();
        assert_eq!(Chain::new(&config).unwrap().usdc, expected);
    }
}

#[test]
fn dev_accounts_are_funded_and_nobody_looks_used() {
    let (chain, _) = chain();
    assert_eq!(
        DEV_BALANCE_WEI,
        U256::from(10_000) * U256::from(10).pow(U256::from(18))
    );
    for index in 0..10 {
        assert_eq!(chain.latest().balance(account(index)), DEV_BALANCE_WEI);
        assert_eq!(chain.latest().nonce(account(index)), 0);
    }
    assert_eq!(chain.latest().nonce(Address::ZERO), 0);
    assert_eq!(chain.latest().balance(Address::ZERO), U256::ZERO);
    assert_eq!(chain.head_number(), 0);
}

#[test]
fn helper_contracts_are_at_their_addresses() {
    let (chain, _) = chain();
    assert_eq!(
        ask(&chain, MULTICALL3, &getChainIdCall {}),
        U256::from(84532)
    );
    let proxy = hex!(
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
    );
    assert_eq!(chain.latest().code(CREATE2_DEPLOYER), proxy[..]);
}

/// Configuration for a test chain holds on a real one: the address is the one a deployment there gets.
#[test]
fn the_batch_settler_stands_where_it_would_be_deployed() {
    let text = include_str!("../../../../../contracts/artifacts/BatchSettler.json");
    let artifact: serde_json::Value = serde_json::from_str(text).unwrap();
    let code = |field: &str| hex::decode(artifact[field].as_str().unwrap()).unwrap();
    let expected = CREATE2_DEPLOYER.create2_from_code([0; 32], code("bytecode"));
    assert_eq!(BATCH_SETTLER, expected);
    let (chain, _) = chain();
    assert_eq!(
        chain.latest().code(BATCH_SETTLER),
        code("deployedBytecode")[..]
    );
}

/// The address is that of this creation code and no other, and the domain is that of the chain it stands on.
#[test]
fn permit2_is_the_true_one_on_every_chain() {
    let text = include_str!("../../../../../contracts/artifacts/Permit2.json");
    let artifact: serde_json::Value = serde_json::from_str(text).unwrap();
    let field = |name: &str| hex::decode(artifact[name].as_str().unwrap()).unwrap();
    let salt: [u8; 32] = field("salt").try_into().unwrap();
    let made = CREATE2_DEPLOYER.create2_from_code(salt, field("bytecode"));
    assert_eq!(made, PERMIT2);
    for chain_id in [84532, 11_155_111] {
        let chain = Chain::new(&ChainConfig {
            chain_id,
            ..ChainConfig::default()
        })
        .unwrap();
        assert_eq!(chain.latest().code(PERMIT2).len(), 9152);
        let domain = (
            keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
            keccak256("Permit2"),
            U256::from(chain_id),
            PERMIT2,
        );
        let separator = ask(&chain, PERMIT2, &DOMAIN_SEPARATORCall {});
        assert_eq!(separator, keccak256(domain.abi_encode()));
        assert_eq!(chain.latest().nonce(PERMIT2), 1);
    }
}

#[test]
fn block_zero_is_sealed() {
    let (chain, _) = chain();
    let head = chain.head().unwrap();
    assert_eq!(head.hash, head.header.hash_slow());
    assert_eq!(head.header.timestamp, super::NOW);
}

#[test]
fn chains_that_cannot_start() {
    let start = |chain_id, asset| {
        Chain::new(&ChainConfig {
            chain_id,
            asset,
            ..ChainConfig::default()
        })
    };
    assert!(matches!(start(0, None), Err(DevchainError::ZeroChain)));
    assert!(matches!(
        start(424_242, None),
        Err(DevchainError::UnknownChain(424_242))
    ));
    assert!(matches!(
        start(84532, Some(own_asset(1))),
        Err(DevchainError::OtherChain { chain: 84532, .. })
    ));
}

#[test]
fn an_unknown_chain_starts_with_an_asset_of_its_own() {
    let asset = own_asset(424_242);
    let chain = Chain::new(&ChainConfig {
        chain_id: 424_242,
        asset: Some(asset.clone()),
        ..ChainConfig::default()
    })
    .unwrap();
    assert_eq!(chain.usdc, asset.id.token());
    assert_eq!(ask(&chain, chain.usdc, &nameCall {}), "Own Dollar");
    assert_eq!(ask(&chain, chain.usdc, &decimalsCall {}), 2);
}

fn own_asset(chain: u64) -> Asset {
    Asset {
        id: Erc20::new(
            ChainId::new(chain).unwrap(),
            address!("0x00000000000000000000000000000000000d011a"),
        ),
        symbol: Cow::Borrowed("OWN"),
        decimals: 2,
        domain: TokenDomain {
            name: Cow::Borrowed("Own Dollar"),
            version: Cow::Borrowed("7"),
        },
        transfer: TransferMethod::Eip3009,
    }
}
