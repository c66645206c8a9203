//! Payers with code: contract wallets (EIP-1271), delegated accounts (EIP-7702), and the wrapper of ERC-6492.
//!
//! Whether an account signs with its key or with its code is decided by the chain, at the moment of the question, and
//! exactly as the token decides it: code means that the code is asked, whatever an ECDSA recovery would say.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use faregate_types::x402::exact::ExactPayment;

use crate::bindings::Wallet;
use crate::network::Network;
use crate::node::NodeError;
use crate::rpc::{Called, Rpc, Simulation};

/// What an ERC-6492 wrapper holds: how to deploy the wallet, and what it will say yes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) factory: Address,
    pub(crate) factory_data: Bytes,
    pub(crate) signature: Bytes,
}

/// A call of a factory on the allow-list, which deploys the payer's wallet, as its wrapper says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) factory: Address,
    pub(crate) data: Bytes,
}

/// The bytes end like an ERC-6492 wrapper and are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes an ERC-6492 wrapper apart; `None` when the bytes do not end like one.
///
/// Strict: what stands before the suffix must be exactly what an encoder writes for `(address, bytes, bytes)`, so that
/// one wrapper has one meaning and one form.
pub(crate) fn unwrap(signature: &[u8]) -> Option<Result<Wrapped, Malformed>> {
    let (body, end) = signature.split_last_chunk::<32>()?;
    if !end.chunks_exact(2).all(|pair| pair == [0x64, 0x92]) {
        return None;
    }
    let parts = <(Address, Bytes, Bytes)>::abi_decode_params(body)
        .ok()
        .filter(|parts| parts.abi_encode_params() == body);
    Some(match parts {
        Some((factory, factory_data, signature)) => Ok(Wrapped {
            factory,
            factory_data,
            signature,
        }),
        None => Err(Malformed),
    })
}

/// The part of a signature that goes to the chain: what a wrapper holds, else all of it.
pub(crate) fn shown(signature: &Bytes) -> Bytes {
    match unwrap(signature) {
        Some(Ok(wrapped)) => wrapped.signature,
        Some(Err(Malformed)) | None => signature.clone(),
    }
}

/// What an account's code is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// A wallet may answer differently depending on who asks.
    pub(crate) by: Address,
    pub(crate) wallet: Address,
    pub(crate) digest: B256,
    pub(crate) signature: Bytes,
    pub(crate) gas_max: u64,
}

/// Asks the payer's code whether this is its signature, as the token would ask.
pub(crate) async fn agrees(
    network: &Network,
    payment: &ExactPayment,
    digest: B256,
    signature: &Bytes,
) -> Result<bool, NodeError> {
    let asked = Asked {
        by: payment.terms.asset.token(),
        wallet: payment.payer(),
        digest,
        signature: signature.clone(),
        gas_max: network.config.gas_limit_max,
    };
    confirms(&network.rpc, asked).await
}

/// Asks an account's code whether this is its signature (EIP-1271). A revert, a missing function and an answer of another
/// shape all mean no.
pub(crate) async fn confirms(rpc: &Rpc, asked: Asked) -> Result<bool, NodeError> {
    let question = Wallet::isValidSignatureCall {
        hash: asked.digest,
        signature: asked.signature,
    };
    let call = Simulation {
        from: asked.by,
        to: asked.wallet,
        value: U256::ZERO,
        data: question.abi_encode().into(),
        gas_max: asked.gas_max,
    };
    Ok(match rpc.run(&call).await? {
        Called::Returned(answer) => is_yes(&answer),
        Called::Reverted(_) => false,
    })
}

/// The magic value in the first word, padded with zeros; more may follow.
fn is_yes(answer: &[u8]) -> bool {
    answer.split_first_chunk::<32>().is_some_and(|(word, _)| {
        word.split_first_chunk::<4>().is_some_and(|(magic, rest)| {
            *magic == Wallet::isValidSignatureCall::SELECTOR && rest.iter().all(|byte| *byte == 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, bytes};
    use proptest::prelude::*;

    use super::*;

    fn suffix() -> Vec<u8> {
        [0x64, 0x92].repeat(16)
    }

    fn wrapper() -> Vec<u8> {
        let parts = (
            address!("0x1111111111111111111111111111111111111111"),
            bytes!("deadbeef"),
            Bytes::from([0xab; 65]),
        );
        [parts.abi_encode_params(), suffix()].concat()
    }

    /// Case `erc6492_unwrap` of the vectors.
    #[test]
    fn the_recorded_wrapper_is_taken_apart() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../conformance/vectors/x402.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let case = cases
            .iter()
            .find(|case| case["name"] == "erc6492_unwrap")
            .unwrap();
        let bytes = |value: &serde_json::Value| value.as_str().unwrap().parse::<Bytes>().unwrap();
        let expected = &case["expected"];
        let wrapped = unwrap(&bytes(&case["inputs"]["signature"]))
            .unwrap()
            .unwrap();
        assert_eq!(
            wrapped,
            Wrapped {
                factory: expected["factory"].as_str().unwrap().parse().unwrap(),
                factory_data: bytes(&expected["factoryCalldata"]),
                signature: bytes(&expected["innerSignature"]),
            }
        );
    }

    #[test]
    fn malformed_wrappers_are_told_from_other_signatures() {
        assert_eq!(unwrap(&[]), None);
        assert_eq!(unwrap(&[0xab; 65]), None);
        assert_eq!(unwrap(&[&suffix()[..], &[0]].concat()), None);
        assert!(unwrap(&wrapper()).unwrap().is_ok());
        let good = wrapper();
        let bent = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        let cases = [
            ("nothing before the suffix", suffix()),
            (
                "a plain signature before it",
                [vec![0xab; 65], suffix()].concat(),
            ),
            ("cut", good[32..].to_vec()),
            ("an address of 13 bytes and more", bent(0, 1)),
            ("the data begins elsewhere", bent(63, 0x61)),
            ("the data begins beyond the end", bent(32, 0xff)),
            ("the data is longer than there is", bent(3 * 32, 0xff)),
            ("the data reaches into the next part", bent(3 * 32 + 31, 33)),
            ("padding that is not zero", bent(4 * 32 + 31, 1)),
            ("two parts in one place", bent(95, 0x60)),
            (
                "a word too many",
                [&good[..good.len() - 32], &[0; 32], &suffix()].concat(),
            ),
        ];
        for (name, bytes) in cases {
            assert_eq!(unwrap(&bytes), Some(Err(Malformed)), "{name}");
        }
    }

    #[test]
    fn only_the_magic_value_is_a_yes() {
        let word = |start: &[u8]| {
            let mut word = start.to_vec();
            word.resize(32, 0);
            word
        };
        let magic = [0x16, 0x26, 0xba, 0x7e];
        assert!(is_yes(&word(&magic)));
        assert!(is_yes(&[word(&magic), vec![9; 7]].concat()));
        for no in [
            vec![],
            magic.to_vec(),
            word(&magic)[..31].to_vec(),
            word(&[]),
            word(&[0xff; 4]),
            word(&[0x16, 0x26, 0xba, 0x7e, 1]),
            [vec![0; 28], magic.to_vec()].concat(),
            [vec![0; 31], vec![1]].concat(),
        ] {
            assert!(!is_yes(&no), "{no:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), wrap: bool) {
            if wrap {
                bytes.extend(suffix());
            }
            let found = unwrap(&bytes);
            prop_assert!(!wrap || found.is_some());
            is_yes(&bytes);
        }

        #[test]
        fn bent_wrappers_never_panic_and_mean_one_thing(at in 0usize..288, value: u8) {
            let mut bytes = wrapper();
            let at = at.min(bytes.len() - 33);
            bytes[at] = value;
            if let Some(Ok(found)) = unwrap(&bytes) {
                let again = (found.factory, found.factory_data, found.signature).abi_encode_params();
                prop_assert_eq!([again, suffix()].concat(), bytes);
            }
        }
    }
}
