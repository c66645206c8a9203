//! Methods that send and sign.

use alloy_consensus::TypedTransaction;
use alloy_primitives::{Address, B256, Bytes, TxKind, eip191_hash_message};
use alloy_rpc_types_eth::TransactionRequest;

use super::{Answer, Node, error::RpcError, json as to_json, params::Params};
use crate::chain::{
    accounts,
    call::Call,
    engine::{BlockRef, Chain},
    tx::SignedTx,
};

impl Node {
    /// Sending and signing.
    pub(super) fn send_methods(&self, method: &str, params: &mut Params) -> Option<Answer> {
        Some(match method {
            "eth_sendRawTransaction" => self.send_raw(params).and_then(to_json),
            "eth_sendRawTransactionSync" => {
                self.send_raw(params).and_then(|hash| self.receipt_of(hash))
            }
            "eth_sendTransaction" | "eth_sendUnsignedTransaction" => {
                self.send(params).and_then(to_json)
            }
            "eth_signTransaction" => self.sign_transaction(params),
            "eth_sign" => sign(params, 0, 1),
            "personal_sign" => sign(params, 1, 0),
            _ => return None,
        })
    }

    fn send_raw(&self, params: &mut Params) -> Result<B256, RpcError> {
        let bytes = params.required::<Bytes>(0)?;
        let chain_id = self.read().chain_id;
        // The signature is recovered before the chain is locked: that is most of the work of a plain transfer.
        let signed = SignedTx::decode(&bytes, chain_id)?;
        Ok(self.write().submit(signed)?)
    }

    fn send(&self, params: &mut Params) -> Result<B256, RpcError> {
        let request = params.required::<TransactionRequest>(0)?;
        // Filling in the nonce and using it must be one step.
        let mut chain = self.write();
        let signed = complete(&chain, request)?;
        Ok(chain.submit(signed)?)
    }

    fn sign_transaction(&self, params: &mut Params) -> Answer {
        let request = params.required::<TransactionRequest>(0)?;
        let signed = complete(&self.read(), request)?;
        to_json(Bytes::from(signed.encoded()))
    }

    fn receipt_of(&self, hash: B256) -> Answer {
        let chain = self.read();
        let mined = chain.blocks.tx(&hash);
        let receipt = mined.and_then(|(block, index)| super::view::receipt(block, index));
        match receipt {
            Some(receipt) => to_json(receipt),
            None => Err(RpcError::server(format!(
                "transaction {hash} was added to the pool but is not mined yet"
            ))),
        }
    }
}

/// Fills in what is missing and signs.
pub(super) fn complete(
    chain: &Chain,
    mut request: TransactionRequest,
) -> Result<SignedTx, RpcError> {
    let from = request.from.unwrap_or_else(|| {
        accounts::ACCOUNTS
            .first()
            .map_or(Address::ZERO, |account| account.address)
    });
    if accounts::find(from).is_none() && !chain.impersonated.contains(&from) {
        return Err(RpcError::server(format!(
            "unknown account {from}: not one of the dev accounts and not impersonated"
        )));
    }
    request.from = Some(from);
    request.to.get_or_insert(TxKind::Create);
    request
        .nonce
        .get_or_insert_with(|| chain.pending_nonce(from));
    request.chain_id.get_or_insert(chain.chain_id);
    if request.gas_price.is_none() {
        let tip = *request.max_priority_fee_per_gas.get_or_insert_with(|| {
            chain
                .suggested_tip()
                .min(request.max_fee_per_gas.unwrap_or(u128::MAX))
        });
        let base_fee = u128::from(chain.base_fee_after(chain.head().map(AsRef::as_ref)));
        request
            .max_fee_per_gas
            .get_or_insert_with(|| base_fee.saturating_mul(2).saturating_add(tip));
    }
    if request.gas.is_none() {
        let call = Call {
            request: request.clone(),
            ..Call::default()
        };
        request.gas = Some(chain.estimate(&call, BlockRef::Pending)?);
    }
    let tx: TypedTransaction = request
        .build_typed_tx()
        .map_err(|_| RpcError::params("the fields do not make up a transaction"))?;
    Ok(SignedTx::sign(tx, from, chain.chain_id)?)
}

/// Signs a message as EIP-191 says. The two methods that do this differ in the order of their parameters.
fn sign(params: &mut Params, account: usize, message: usize) -> Answer {
    let address = params.required::<Address>(account)?;
    let message = params.required::<Bytes>(message)?;
    let signature = accounts::find(address)
        .and_then(|account| account.sign(eip191_hash_message(&message)))
        .ok_or_else(|| RpcError::server(format!("unknown account {address}")))?;
    to_json(Bytes::from(signature.as_bytes()))
}
