//! Payments of wallets that do not exist yet (ERC-6492), tried out: the factory deploys the wallet, the token moves its
//! money, and neither happens.
//!
//! It takes one `eth_call` without a recipient, which runs `contracts/src/WalletProbe.sol` as if it were being deployed. So
//! nothing has to stand on the chain for it.

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{Revert, SolError, SolValue, sol};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, Refusal};

use crate::diagnose::diagnose;
use crate::limits::PROBE_GAS_MAX;
use crate::network::Network;
use crate::node::{NodeError, Silence, shorten};
use crate::rpc::{Called, Simulation};
use crate::verify::{self, Proof, Stop};
use crate::wallet::Deployment;

sol! {
    #[derive(Debug)]
    struct Try {
        address factory;
        bytes factoryData;
        uint256 factoryGas;
        address wallet;
        address token;
        bytes transfer;
        uint256 transferGas;
    }
}

/// How far it came: `Outcome` of the contract, and for [`Refused`](Self::Refused) the token's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    FactoryFailed,
    NoWallet,
    Refused(Bytes),
    Moved,
}

/// Gas of the probe beside the two calls it makes: being created, reading its arguments, paying for its answer.
const OWN_GAS: u64 = 400_000;

/// Tries the factory and the payment. The wallet may have been deployed meanwhile; then the payment alone decides.
pub(crate) async fn probe(
    network: &Network,
    payment: &ExactPayment,
    proof: &Proof,
    deployment: &Deployment,
) -> Result<(), Stop> {
    let transfer = verify::wallet_transfer(network, payment, proof);
    let (data, gas) = question(payment.payer(), deployment, &transfer);
    let answer = network.rpc.run_code(network.sender, data, gas).await?;
    let refused = |detail: &'static str| {
        let refusal = Refusal::new(Code::InvalidExactEvmPayloadUndeployedSmartWallet);
        Err(refusal.payer(payment.payer()).detail(detail).into())
    };
    let outcome = match answer {
        Called::Returned(answer) => decode(&answer).ok_or(NodeError::Away(Silence::Unreadable))?,
        Called::Reverted(_) => return refused("the deployment cannot be simulated"),
    };
    match outcome {
        Outcome::Moved => Ok(()),
        Outcome::FactoryFailed => {
            refused("the factory reverts, or needs more gas than a transaction may have")
        }
        Outcome::NoWallet => refused("the factory deploys nothing at the payer's address"),
        Outcome::Refused(reason) => {
            let words = Revert::abi_decode(&reason).ok();
            let words = words.map(|revert| shorten(&revert.reason).to_owned());
            let refusal = diagnose(&network.rpc, payment, words.as_deref()).await;
            // The wallet may have been deployed, and have paid, a moment ago.
            Err(Stop::Disowned(refusal))
        }
    }
}

/// The code to run, and the gas it may use. Factory and token get as much as is left of a transaction with just their call.
fn question(wallet: Address, deployment: &Deployment, transfer: &Simulation) -> (Bytes, u64) {
    let gas_of = |data: &Bytes| {
        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let before = bytes.saturating_mul(16).saturating_add(21_000);
        transfer.gas_max.saturating_sub(before)
    };
    let (factory_gas, transfer_gas) = (gas_of(&deployment.data), gas_of(&transfer.data));
    let job = Try {
        factory: deployment.factory,
        factoryData: deployment.data.clone(),
        factoryGas: U256::from(factory_gas),
        wallet,
        token: transfer.to,
        transfer: transfer.data.clone(),
        transferGas: U256::from(transfer_gas),
    };
    let data = [CODE, &job.abi_encode()].concat();
    let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
    let inside = factory_gas.saturating_add(transfer_gas);
    // Only 63 of 64 parts are handed on. A byte costs 40 at most (EIP-7623).
    let gas = inside
        .saturating_add(inside.div_ceil(32))
        .saturating_add(bytes.saturating_mul(40))
        .saturating_add(OWN_GAS);
    (data.into(), gas.min(PROBE_GAS_MAX))
}

/// `None` when it is not an answer of this contract.
fn decode(answer: &[u8]) -> Option<Outcome> {
    let (outcome, reason) = <(U256, Bytes)>::abi_decode_params(answer).ok()?;
    match u8::try_from(outcome).ok()? {
        0 => Some(Outcome::FactoryFailed),
        1 => Some(Outcome::NoWallet),
        2 => Some(Outcome::Refused(reason)),
        3 => Some(Outcome::Moved),
        _ => None,
    }
}

/// `bytecode` of `contracts/artifacts/WalletProbe.json`.
const CODE: &[u8] = &hex!(
    "608060405234801561000f575f5ffd5b5060405161038938038061038983398101604081905261002e91610253565b5f806100398361006a"
    "565b915091505f8282604051602001610051929190610330565b6040516020818303038152906040529050805160208201f35b5f60608260"
    "6001516001600160a01b03163b5f036100e15782516020840151604085015161009992919061012e565b6100b45750506040805160208101"
    "9091525f80825292909150565b82606001516001600160a01b03163b5f036100e157505060408051602081019091525f8152600192909150"
    "565b6100fe83608001518460a001518560c0015161012e60201b60201c565b1561011b57505060408051602081019091525f815260039290"
    "9150565b6002610125610143565b91509150915091565b5f5f5f8451602086015f8887f1949350505050565b60603d610100811115610155"
    "57506101005b6040519150808252805f602084013e8101603f01601f191660405290565b634e487b7160e01b5f52604160045260245ffd5b"
    "60405160e081016001600160401b03811182821017156101a9576101a9610173565b60405290565b80516001600160a01b03811681146101"
    "c5575f5ffd5b919050565b5f82601f8301126101d9575f5ffd5b81516001600160401b038111156101f2576101f2610173565b604051601f"
    "8201601f19908116603f011681016001600160401b038111828210171561022057610220610173565b604052818152838201602001851015"
    "610237575f5ffd5b8160208501602083015e5f918101602001919091529392505050565b5f60208284031215610263575f5ffd5b81516001"
    "600160401b03811115610278575f5ffd5b820160e08185031215610289575f5ffd5b610291610187565b61029a826101af565b8152602082"
    "01516001600160401b038111156102b4575f5ffd5b6102c0868285016101ca565b602083015250604082810151908201526102dc60608301"
    "6101af565b60608201526102ed608083016101af565b608082015260a08201516001600160401b0381111561030a575f5ffd5b6103168682"
    "85016101ca565b60a08301525060c091820151918101919091529392505050565b5f6004841061034d57634e487b7160e01b5f5260216004"
    "5260245ffd5b8382526040602083015282518060408401528060208501606085015e5f606082850101526060601f19601f83011684010191"
    "5050939250505056fe"
);

#[cfg(test)]
mod tests {
    use alloy_primitives::bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_code_is_the_artifact() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../contracts/artifacts/WalletProbe.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
        let code: Bytes = artifact["bytecode"].as_str().unwrap().parse().unwrap();
        assert_eq!(code.as_ref(), CODE);
    }

    fn answer(outcome: u64, reason: &Bytes) -> Vec<u8> {
        (U256::from(outcome), reason.clone()).abi_encode_params()
    }

    #[test]
    fn answers() {
        let reason = bytes!("08c379a0");
        let cases = [
            (0, Some(Outcome::FactoryFailed)),
            (1, Some(Outcome::NoWallet)),
            (2, Some(Outcome::Refused(reason.clone()))),
            (3, Some(Outcome::Moved)),
            (4, None),
            (256, None),
            (u64::MAX, None),
        ];
        for (outcome, expected) in cases {
            assert_eq!(decode(&answer(outcome, &reason)), expected, "{outcome}");
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&answer(3, &Bytes::new())[..64]), None);
        assert_eq!(decode(&[0xff; 96]), None);
    }

    #[test]
    fn gas_is_what_a_transaction_would_have() {
        let deployment = Deployment {
            factory: Address::ZERO,
            data: Bytes::from([1; 100]),
        };
        let mut transfer = Simulation {
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ZERO,
            data: Bytes::from([1; 400]),
            gas_max: 500_000,
        };
        let (_, gas) = question(Address::ZERO, &deployment, &transfer);
        let inside: u64 = 2 * 500_000 - 2 * 21_000 - 16 * 500;
        assert!(gas > inside + inside.div_ceil(63) + OWN_GAS, "{gas}");
        transfer.gas_max = 0;
        let (_, gas) = question(Address::ZERO, &deployment, &transfer);
        assert!(gas > OWN_GAS, "{gas}");
        transfer.gas_max = u64::MAX;
        let (_, gas) = question(Address::ZERO, &deployment, &transfer);
        assert_eq!(gas, PROBE_GAS_MAX);
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            decode(&bytes);
        }

        #[test]
        fn bent_answers_never_panic(at in 0usize..128, value: u8) {
            let mut bytes = answer(2, &bytes!("08c379a0"));
            let at = at.min(bytes.len() - 1);
            bytes[at] = value;
            decode(&bytes);
        }
    }
}
