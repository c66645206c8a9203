//! Which transactions are taken.

use alloy_consensus::Transaction as _;

use super::{
    engine::{Chain, Mining},
    error::TxRejection,
    evm::intrinsic_gas,
    limits,
    tx::SignedTx,
};

impl Chain {
    /// What can be said against a transaction before it runs.
    pub(super) fn check(&self, signed: &SignedTx) -> Result<(), TxRejection> {
        if self.pool.get(&signed.hash).is_some() {
            return Err(TxRejection::AlreadyKnown);
        }
        let tx = &signed.envelope;
        let from = signed.sender;
        let (fee, tip) = (
            tx.max_fee_per_gas(),
            tx.max_priority_fee_per_gas().unwrap_or_default(),
        );
        if tip > fee {
            return Err(TxRejection::TipAboveFee { from, tip, fee });
        }
        if tx.gas_limit() > limits::BLOCK_GAS_MAX {
            return Err(TxRejection::GasLimit {
                gas: tx.gas_limit(),
                max: limits::BLOCK_GAS_MAX,
            });
        }
        if tx.is_create() && tx.input().len() > INITCODE_BYTES_MAX {
            return Err(TxRejection::InitCode {
                size: tx.input().len(),
                max: INITCODE_BYTES_MAX,
            });
        }
        if tx.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(TxRejection::EmptyAuthorizations);
        }
        let want = intrinsic_gas(&signed.to_env());
        if tx.gas_limit() < want {
            return Err(TxRejection::IntrinsicGas {
                have: tx.gas_limit(),
                want,
            });
        }
        self.check_account(signed)
    }

    fn check_account(&self, signed: &SignedTx) -> Result<(), TxRejection> {
        let tx = &signed.envelope;
        let from = signed.sender;
        let latest = self.latest();
        let next_nonce = latest.nonce(from);
        // EIP-2681: the last nonce can never be used.
        if tx.nonce() == u64::MAX {
            return Err(TxRejection::NonceMax);
        }
        if tx.nonce() < next_nonce {
            return Err(TxRejection::NonceTooLow {
                from,
                have: tx.nonce(),
                want: next_nonce,
            });
        }
        let base_fee = self.base_fee_after(self.head().map(AsRef::as_ref));
        // With a block for each transaction nothing would ever lower the base fee for one that waits, and its sender
        // would hang: better to say so. Otherwise it may wait, as on any network.
        if self.mining == Mining::Auto && tx.max_fee_per_gas() < u128::from(base_fee) {
            return Err(TxRejection::FeeBelowBase {
                from,
                fee: tx.max_fee_per_gas(),
                base_fee,
            });
        }
        let (have, want) = (latest.balance(from), signed.cost_max());
        if have < want {
            return Err(TxRejection::Funds { from, have, want });
        }
        Ok(())
    }
}

/// Limit of EIP-3860.
const INITCODE_BYTES_MAX: usize = 49_152;
