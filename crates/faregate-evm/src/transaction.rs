//! Signed transactions: the bytes and their hash, both known before anything is sent.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use faregate_types::{ChainId, Signature65};

use crate::fees::Quote;
use crate::signer::{SignError, Signer};

/// A call of a contract that shall become a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) chain: ChainId,
    pub(crate) nonce: u64,
    pub(crate) quote: Quote,
    pub(crate) gas_limit: u64,
    pub(crate) to: Address,
    /// Wei sent along.
    pub(crate) value: U256,
    pub(crate) data: Bytes,
}

/// A signed transaction: what goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "kept and read back by callers")]
pub struct Signed {
    /// Its place among the sender's transactions. Of all with one nonce at most one is mined.
    pub nonce: u64,
    /// The hash of `raw`, by which everybody will know the transaction.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

impl Draft {
    /// The most this transaction can cost, in wei.
    pub(crate) fn cost_max(&self) -> U256 {
        let price = match self.quote {
            Quote::Eip1559 { fee_max, .. } => fee_max,
            Quote::Legacy { price } => price,
        };
        // 64 bits times 128 bits fits 256.
        let gas = U256::from(self.gas_limit).saturating_mul(U256::from(price));
        gas.saturating_add(self.value)
    }

    pub(crate) async fn sign(self, signer: &dyn Signer) -> Result<Signed, SignError> {
        let (nonce, gas_limit, value) = (self.nonce, self.gas_limit, self.value);
        let (to, input) = (TxKind::Call(self.to), self.data);
        match self.quote {
            Quote::Eip1559 { fee_max, tip } => {
                let tx = TxEip1559 {
                    chain_id: self.chain.get(),
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee_max,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list: Default::default(),
                    input,
                };
                signed(tx, signer).await
            }
            Quote::Legacy { price } => {
                let chain_id = Some(self.chain.get());
                let tx = TxLegacy {
                    chain_id,
                    nonce,
                    gas_price: price,
                    gas_limit,
                    to,
                    value,
                    input,
                };
                signed(tx, signer).await
            }
        }
    }
}

async fn signed<T>(tx: T, signer: &dyn Signer) -> Result<Signed, SignError>
where
    T: SignableTransaction<Signature> + Send + 'static,
    alloy_consensus::Signed<T>: Into<TxEnvelope>,
{
    let bytes = tx.input().len();
    let (digest, tx) = off_thread(bytes, move || (tx.signature_hash(), tx)).await?;
    let Signature65 { r, s, v, .. } = signer.sign_digest(digest).await?;
    let seal = move || {
        let nonce = tx.nonce();
        let signed = tx.into_signed(Signature::from_scalars_and_parity(r, s, v == 28));
        let raw = Bytes::from(Into::<TxEnvelope>::into(signed).encoded_2718());
        Signed {
            nonce,
            hash: keccak256(&raw),
            raw,
        }
    };
    off_thread(bytes, seal).await
}

/// Input up to this is encoded and hashed where it is, in less time than it takes to go to another thread and back.
const INPUT_BYTES_HERE_MAX: usize = 8 * 1024;

/// Encoding and hashing a hundred kilobytes takes a while.
async fn off_thread<R: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, SignError> {
    if bytes <= INPUT_BYTES_HERE_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| SignError::Away)
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Transaction;
    use alloy_eips::eip2718::Decodable2718;
    use faregate_types::SecretKey;

    use super::*;
    use crate::recover::recover;
    use crate::signer::LocalSigner;

    #[tokio::test]
    async fn a_signed_transaction_decodes_to_what_was_drafted_and_to_who_signed() {
        let signer = LocalSigner::new(SecretKey::from_bytes([9; 32]).unwrap()).unwrap();
        for quote in [
            Quote::Eip1559 {
                fee_max: 200,
                tip: 3,
            },
            Quote::Legacy { price: 200 },
        ] {
            let draft = Draft {
                chain: ChainId::BASE_SEPOLIA,
                nonce: 7,
                quote,
                gas_limit: 90_000,
                to: Address::repeat_byte(1),
                value: U256::from(5),
                data: Bytes::from_static(&[1, 2, 3]),
            };
            assert_eq!(draft.cost_max(), U256::from(18_000_005));
            let signed = draft.sign(&signer).await.unwrap();
            let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!(*envelope.tx_hash(), signed.hash);
            assert_eq!(
                (envelope.nonce(), envelope.gas_limit(), envelope.chain_id()),
                (7, 90_000, Some(84532))
            );
            assert_eq!(envelope.value(), U256::from(5));
            assert_eq!(envelope.max_fee_per_gas(), 200);
            assert_eq!(envelope.input().as_ref(), [1, 2, 3]);
            let signature = envelope.signature();
            let bytes: Vec<u8> = signature.as_bytes().to_vec();
            let signature = Signature65::parse(&bytes).unwrap();
            assert_eq!(
                recover(envelope.signature_hash(), &signature),
                Some(signer.address())
            );
        }
    }
}
