//! Transactions: from bytes to something that can run.

use alloy_consensus::{
    Signed, Transaction as _, TxEnvelope, TypedTransaction, transaction::SignableTransaction,
};
use alloy_eips::{Decodable2718, Encodable2718, Typed2718, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Signature, U256};
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        transaction::{RecoveredAuthority, RecoveredAuthorization},
    },
};

use super::{accounts, error::TxRejection, limits};

/// A transaction with its sender, checked as far as that is possible without looking at the chain's state.
#[derive(Clone, Debug)]
pub(crate) struct SignedTx {
    pub(crate) envelope: TxEnvelope,
    pub(crate) sender: Address,
    pub(crate) hash: B256,
}

impl SignedTx {
    /// Reads what `eth_sendRawTransaction` got.
    pub(crate) fn decode(bytes: &[u8], chain_id: u64) -> Result<Self, TxRejection> {
        if bytes.len() > limits::TX_BYTES_MAX {
            return Err(TxRejection::Oversized {
                size: bytes.len(),
                max: limits::TX_BYTES_MAX,
            });
        }
        // Blob transactions come with their blobs; say what is wrong with them before trying to read those.
        if bytes.first() == Some(&alloy_eips::eip2718::EIP4844_TX_TYPE_ID) {
            return Err(TxRejection::TypeNotSupported);
        }
        let envelope =
            TxEnvelope::decode_2718_exact(bytes).map_err(|_| TxRejection::Undecodable)?;
        check_chain_id(envelope.chain_id(), chain_id)?;
        let sender = accounts::recover(envelope.signature_hash(), envelope.signature())
            .ok_or(TxRejection::Signature)?;
        Ok(Self {
            hash: *envelope.tx_hash(),
            sender,
            envelope,
        })
    }

    /// Signs for one of the dev accounts, or makes a transaction that looks signed for an impersonated one.
    pub(crate) fn sign(
        tx: TypedTransaction,
        sender: Address,
        chain_id: u64,
    ) -> Result<Self, TxRejection> {
        check_chain_id(tx.chain_id(), chain_id)?;
        if tx.is_eip4844() {
            return Err(TxRejection::TypeNotSupported);
        }
        let signature = match accounts::find(sender) {
            Some(account) => account
                .sign(tx.signature_hash())
                .ok_or(TxRejection::Signature)?,
            // Nobody can sign for an impersonated account: the address itself stands where `r` would, so that equal
            // transactions of two such accounts have different hashes.
            None => Signature::new(U256::from_be_slice(sender.as_slice()), U256::from(1), false),
        };
        let signed: Signed<TypedTransaction> = tx.into_signed(signature);
        let envelope = TxEnvelope::from(signed);
        Ok(Self {
            hash: *envelope.tx_hash(),
            sender,
            envelope,
        })
    }

    /// What this costs at most: gas at the full fee, plus the value sent.
    pub(crate) fn cost_max(&self) -> U256 {
        U256::from(self.envelope.gas_limit())
            .saturating_mul(U256::from(self.envelope.max_fee_per_gas()))
            .saturating_add(self.envelope.value())
    }

    /// The bytes that `eth_getRawTransactionByHash` answers.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        self.envelope.encoded_2718()
    }

    /// The form the interpreter runs.
    pub(crate) fn to_env(&self) -> TxEnv {
        let tx = &self.envelope;
        TxEnv {
            tx_type: tx.ty(),
            caller: self.sender,
            gas_limit: tx.gas_limit(),
            gas_price: tx.max_fee_per_gas(),
            kind: tx.kind(),
            value: tx.value(),
            data: tx.input().clone(),
            nonce: tx.nonce(),
            chain_id: tx.chain_id(),
            access_list: tx.access_list().cloned().unwrap_or_default(),
            gas_priority_fee: tx.max_priority_fee_per_gas(),
            authorization_list: authorizations(tx.authorization_list().unwrap_or_default()),
            ..TxEnv::default()
        }
    }
}

/// Recovers the authorities of an EIP-7702 list; one that does not recover is skipped by the interpreter, as the EIP asks.
pub(crate) fn authorizations(
    list: &[SignedAuthorization],
) -> Vec<Either<SignedAuthorization, RecoveredAuthorization>> {
    list.iter()
        .map(|signed| {
            let authority = signed
                .signature()
                .ok()
                .and_then(|signature| {
                    accounts::recover(signed.inner().signature_hash(), &signature)
                })
                .map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            Either::Right(RecoveredAuthorization::new_unchecked(
                signed.inner().clone(),
                authority,
            ))
        })
        .collect()
}

/// A legacy transaction without a chain id (before EIP-155) is taken: the CREATE2 deployer of every chain began as one.
fn check_chain_id(have: Option<u64>, want: u64) -> Result<(), TxRejection> {
    match have {
        Some(have) if have != want => Err(TxRejection::ChainId { have, want }),
        Some(_) | None => Ok(()),
    }
}
