//! The questions we ask a node, typed. Only the fields we read are parsed, so that the extra fields and transaction
//! types of rollups do no harm.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::{Revert, SolCall, SolError};
use faregate_core::port::Away;
use faregate_types::Code;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::node::{Answered, Node, NodeError, shorten};

/// The chain did not answer.
pub(crate) const CHAIN_AWAY: Away = Away {
    code: Code::ChainUnavailable,
};

/// A node, asked in our words.
#[derive(Debug)]
pub(crate) struct Rpc(Node);

/// What a call of a contract came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Called<T> {
    Returned(T),
    /// The contract refused: its reason, where it gave one in words.
    Reverted(Option<Box<str>>),
}

/// A receipt, as far as it is evidence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    pub(crate) block_number: U64,
    /// 1: it ran; 0: it was reverted; absent before Byzantium.
    #[serde(default)]
    pub(crate) status: Option<U64>,
    #[serde(default)]
    pub(crate) gas_used: Option<U64>,
    /// Wei per gas.
    #[serde(default)]
    pub(crate) effective_gas_price: Option<U256>,
    #[serde(default)]
    pub(crate) logs: Vec<Log>,
}

/// A transaction, as far as it tells what was asked of the chain.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transaction {
    #[serde(default)]
    pub(crate) to: Option<Address>,
    pub(crate) input: Bytes,
}

/// An event.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    #[serde(default)]
    pub(crate) transaction_hash: Option<B256>,
    #[serde(default)]
    pub(crate) block_number: Option<U64>,
}

/// The newest block.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) number: U64,
    /// Seconds since the epoch.
    pub(crate) timestamp: U64,
}

/// A block's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub(crate) number: U64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    /// Seconds since the epoch.
    pub(crate) timestamp: U64,
}

/// Which blocks events are asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// One, by its hash: a node that does not have it says so.
    Hash(B256),
    /// From the first to the last, both included.
    Range(u64, u64),
}

/// What transactions paid lately.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeeHistory {
    #[serde(default)]
    pub(crate) base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    pub(crate) reward: Option<Vec<Vec<U256>>>,
}

/// A call to simulate: nobody pays gas, nothing changes.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Wei sent along.
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    pub(crate) gas_max: u64,
}

impl Simulation {
    fn to_json(&self) -> Value {
        let mut call = json!({ "from": self.from, "to": self.to, "data": self.data, "gas": U64::from(self.gas_max) });
        if let (false, Some(members)) = (self.value.is_zero(), call.as_object_mut()) {
            members.insert("value".to_owned(), json!(self.value));
        }
        call
    }
}

impl Rpc {
    pub(crate) const fn new(node: Node) -> Self {
        Self(node)
    }

    /// For questions that only one module asks.
    pub(crate) const fn node(&self) -> &Node {
        &self.0
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, NodeError> {
        self.0
            .call::<U64>("eth_chainId", json!([]))
            .await
            .map(|id| id.to())
    }

    /// True when there is code at an address. An EIP-7702 delegation is code.
    pub(crate) async fn has_code(&self, account: Address) -> Result<bool, NodeError> {
        let code: Bytes = self
            .0
            .call("eth_getCode", json!([account, "latest"]))
            .await?;
        Ok(!code.is_empty())
    }

    /// The same, as of a block. A node that does not have the block refuses.
    pub(crate) async fn has_code_at(
        &self,
        account: Address,
        block: u64,
    ) -> Result<bool, NodeError> {
        let code: Bytes = self
            .0
            .call("eth_getCode", json!([account, U64::from(block)]))
            .await?;
        Ok(!code.is_empty())
    }

    /// Wei.
    pub(crate) async fn balance(&self, account: Address) -> Result<U256, NodeError> {
        self.0
            .call("eth_getBalance", json!([account, "latest"]))
            .await
    }

    /// The next nonce of an account, transactions in the node's pool included.
    pub(crate) async fn pending_nonce(&self, account: Address) -> Result<u64, NodeError> {
        self.0
            .call::<U64>("eth_getTransactionCount", json!([account, "pending"]))
            .await
            .map(|nonce| nonce.to())
    }

    /// The next nonce of an account, as of the newest block.
    pub(crate) async fn mined_nonce(&self, account: Address) -> Result<u64, NodeError> {
        self.0
            .call::<U64>("eth_getTransactionCount", json!([account, "latest"]))
            .await
            .map(|nonce| nonce.to())
    }

    /// The next nonce of an account, as of a block.
    pub(crate) async fn nonce_at(&self, account: Address, block: u64) -> Result<u64, NodeError> {
        self.0
            .call::<U64>(
                "eth_getTransactionCount",
                json!([account, U64::from(block)]),
            )
            .await
            .map(|nonce| nonce.to())
    }

    /// Reads a function of a contract, at the newest block or at a numbered one.
    pub(crate) async fn read<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        block: Option<u64>,
    ) -> Result<Called<C::Return>, NodeError> {
        let block = block.map_or_else(|| json!("latest"), |number| json!(U64::from(number)));
        self.read_in(contract, call, block).await
    }

    /// Reads a function of a contract as of the block with this hash, whatever became of that block (EIP-1898).
    pub(crate) async fn read_at<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        block: B256,
    ) -> Result<Called<C::Return>, NodeError> {
        self.read_in(contract, call, json!({ "blockHash": block }))
            .await
    }

    async fn read_in<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        block: Value,
    ) -> Result<Called<C::Return>, NodeError> {
        let data = Bytes::from(call.abi_encode());
        Ok(match self.ask_in(contract, data, block).await? {
            Called::Returned(data) => match C::abi_decode_returns(&data) {
                Ok(value) => Called::Returned(value),
                // No such function, or no contract: nothing in the shape that was asked for.
                Err(_) => Called::Reverted(None),
            },
            Called::Reverted(reason) => Called::Reverted(reason),
        })
    }

    /// Asks a contract, at the newest block or at a numbered one, and tells its answer as it is.
    pub(crate) async fn ask(
        &self,
        contract: Address,
        data: Bytes,
        block: Option<u64>,
    ) -> Result<Called<Bytes>, NodeError> {
        let block = block.map_or_else(|| json!("latest"), |number| json!(U64::from(number)));
        self.ask_in(contract, data, block).await
    }

    async fn ask_in(
        &self,
        contract: Address,
        data: Bytes,
        block: Value,
    ) -> Result<Called<Bytes>, NodeError> {
        let call = json!({ "to": contract, "data": data });
        called(self.0.call("eth_call", json!([call, block])).await)
    }

    /// Runs a transaction without sending it, and tells what it returned.
    pub(crate) async fn run(&self, call: &Simulation) -> Result<Called<Bytes>, NodeError> {
        let answer = self
            .0
            .call::<Bytes>("eth_call", json!([call.to_json(), "latest"]))
            .await;
        called(answer)
    }

    /// Runs code as if it were being deployed, without sending it, and tells what it returned.
    pub(crate) async fn run_code(
        &self,
        from: Address,
        code: Bytes,
        gas_max: u64,
    ) -> Result<Called<Bytes>, NodeError> {
        let call = json!({ "from": from, "data": code, "gas": U64::from(gas_max) });
        called(self.0.call("eth_call", json!([call, "latest"])).await)
    }

    /// Runs a transaction without sending it.
    pub(crate) async fn simulate(&self, call: &Simulation) -> Result<Called<()>, NodeError> {
        Ok(match self.run(call).await? {
            Called::Returned(_) => Called::Returned(()),
            Called::Reverted(reason) => Called::Reverted(reason),
        })
    }

    /// Runs a transaction without sending it and tells how much gas it needs.
    pub(crate) async fn estimate_gas(&self, call: &Simulation) -> Result<Called<u64>, NodeError> {
        let answer = self
            .0
            .call::<U64>("eth_estimateGas", json!([call.to_json()]))
            .await;
        called(answer.map(|gas| gas.to()))
    }

    /// [`run`](Self::run), with the bytes that a contract refused with.
    pub(crate) async fn try_out(
        &self,
        call: &Simulation,
    ) -> Result<Result<Bytes, Bytes>, NodeError> {
        tried(
            self.0
                .call("eth_call", json!([call.to_json(), "latest"]))
                .await,
        )
    }

    /// [`estimate_gas`](Self::estimate_gas), with the bytes that a contract refused with.
    pub(crate) async fn try_gas(&self, call: &Simulation) -> Result<Result<u64, Bytes>, NodeError> {
        let answer = self
            .0
            .call::<U64>("eth_estimateGas", json!([call.to_json()]))
            .await;
        tried(answer.map(|gas| gas.to()))
    }

    pub(crate) async fn fee_history(&self) -> Result<FeeHistory, NodeError> {
        self.0
            .call("eth_feeHistory", json!([U64::from(5), "latest", [50]]))
            .await
    }

    /// Wei per gas.
    pub(crate) async fn gas_price(&self) -> Result<U256, NodeError> {
        self.0.call("eth_gasPrice", json!([])).await
    }

    /// Hands signed bytes to the network.
    pub(crate) async fn send(&self, raw: &Bytes) -> Result<(), NodeError> {
        // The hash in the answer is not looked at: it is a function of the bytes, and we computed it.
        self.0
            .call::<Value>("eth_sendRawTransaction", json!([raw]))
            .await
            .map(drop)
    }

    /// The transaction, mined or not, if the node has it.
    pub(crate) async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, NodeError> {
        self.0.call("eth_getTransactionByHash", json!([hash])).await
    }

    pub(crate) async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, NodeError> {
        self.0
            .call("eth_getTransactionReceipt", json!([hash]))
            .await
    }

    pub(crate) async fn head(&self) -> Result<Head, NodeError> {
        self.0
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await
    }

    /// The newest block.
    pub(crate) async fn newest(&self) -> Result<Header, NodeError> {
        self.0
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await
    }

    /// The block with a number, if there is one.
    pub(crate) async fn block(&self, number: u64) -> Result<Option<Header>, NodeError> {
        self.0
            .call("eth_getBlockByNumber", json!([U64::from(number), false]))
            .await
    }

    /// The block with a hash, if the node has it.
    pub(crate) async fn block_by_hash(&self, hash: B256) -> Result<Option<Header>, NodeError> {
        self.0
            .call("eth_getBlockByHash", json!([hash, false]))
            .await
    }

    /// All events of some kinds that some contracts emitted.
    pub(crate) async fn all_logs(
        &self,
        contracts: &[Address],
        kinds: &[B256],
        blocks: Blocks,
    ) -> Result<Vec<Log>, NodeError> {
        let filter = match blocks {
            Blocks::Hash(hash) => json!({
                "address": contracts,
                "topics": [kinds],
                "blockHash": hash,
            }),
            Blocks::Range(first, last) => json!({
                "address": contracts,
                "topics": [kinds],
                "fromBlock": U64::from(first),
                "toBlock": U64::from(last),
            }),
        };
        self.0.call("eth_getLogs", json!([filter])).await
    }

    /// The newest block that the chain itself calls final, where it has one.
    pub(crate) async fn finalized(&self) -> Result<Option<Head>, NodeError> {
        self.0
            .call("eth_getBlockByNumber", json!(["finalized", false]))
            .await
    }

    /// Events of a contract in a range of blocks, both ends included. The first topic may be any of `kinds`; then come the
    /// others.
    pub(crate) async fn logs(
        &self,
        contract: Address,
        kinds: &[B256],
        topics: &[B256],
        (first, last): (u64, u64),
    ) -> Result<Vec<Log>, NodeError> {
        let others = topics.iter().map(|topic| json!(topic));
        let topics: Vec<_> = std::iter::once(json!(kinds)).chain(others).collect();
        let filter = json!({
            "address": contract,
            "topics": topics,
            "fromBlock": U64::from(first),
            "toBlock": U64::from(last),
        });
        self.0.call("eth_getLogs", json!([filter])).await
    }
}

/// Tells a contract's refusal from a node's.
fn called<T>(answer: Result<T, NodeError>) -> Result<Called<T>, NodeError> {
    match answer {
        Ok(value) => Ok(Called::Returned(value)),
        Err(NodeError::Refused(answer)) if is_revert(&answer) => {
            Ok(Called::Reverted(reason(&answer)))
        }
        Err(error) => Err(error),
    }
}

/// The same, with what the contract said in place of its words; empty when it said nothing.
fn tried<T>(answer: Result<T, NodeError>) -> Result<Result<T, Bytes>, NodeError> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(NodeError::Refused(answer)) if is_revert(&answer) => {
            Ok(Err(answer.data.unwrap_or_default()))
        }
        Err(error) => Err(error),
    }
}

/// Code 3 is the usual one; some nodes use others and say so in words.
fn is_revert(answer: &Answered) -> bool {
    answer.code == 3 || answer.data.is_some() || {
        let words = answer.message.to_ascii_lowercase();
        words.contains("revert") || HALTS.iter().any(|halt| words.contains(halt))
    }
}

/// How nodes say that a contract broke down instead of reverting. It is the contract's doing, not the node's: whoever
/// sent the transaction would see it fail.
const HALTS: [&str; 15] = [
    "out of gas",
    "outofgas",
    "gas required exceeds allowance",
    "gas uint64 overflow",
    "invalid opcode",
    "invalidfeopcode",
    "opcodenotfound",
    "invalid jump",
    "invalidjump",
    "stack underflow",
    "stackunderflow",
    "stack limit reached",
    "stackoverflow",
    "write protection",
    "return data out of bounds",
];

fn reason(answer: &Answered) -> Option<Box<str>> {
    if let Some(data) = &answer.data
        && let Ok(revert) = Revert::abi_decode(data)
    {
        return Some(shorten(&revert.reason).into());
    }
    let (_, words) = answer.message.split_once("reverted: ")?;
    Some(words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: i64, message: &str, data: Option<&str>) -> Answered {
        Answered {
            code,
            message: message.into(),
            data: data.map(|data| data.parse().unwrap()),
        }
    }

    #[test]
    fn reverts_are_told_from_other_refusals_and_give_their_words() {
        let data = Revert::from("FiatTokenV2: authorization is expired").abi_encode();
        let data = Bytes::from(data).to_string();
        let cases = [
            (
                answered(3, "execution reverted", Some(&data)),
                true,
                Some("FiatTokenV2: authorization is expired"),
            ),
            (
                answered(3, "execution reverted: ERC20: no", None),
                true,
                Some("ERC20: no"),
            ),
            (
                answered(-32015, "VM execution error.", Some("0x")),
                true,
                None,
            ),
            (answered(-32000, "Execution Reverted", None), true, None),
            (answered(-32000, "out of gas", None), true, None),
            (answered(-32603, "EVM error OutOfGas", None), true, None),
            (
                answered(-32000, "invalid opcode: INVALID", None),
                true,
                None,
            ),
            (answered(-32000, "header not found", None), false, None),
            (
                answered(-32000, "insufficient funds for gas * price + value", None),
                false,
                None,
            ),
            (
                answered(-32601, "the method does not exist", None),
                false,
                None,
            ),
        ];
        for (answer, revert, words) in cases {
            assert_eq!(is_revert(&answer), revert, "{answer:?}");
            assert_eq!(reason(&answer).as_deref(), words, "{answer:?}");
        }
    }

    #[test]
    fn receipts_of_rollups_parse() {
        let receipt: Option<Receipt> = serde_json::from_value(json!({
            "type": "0x7e", "l1Fee": "0x1", "transactionHash": B256::ZERO, "blockNumber": "0x10", "status": "0x1",

            "logs": [{ "address": Address::ZERO, "topics": [], "data": "0x", "logIndex": "0x0" }],
        }))
        .unwrap();
        assert_eq!(receipt.unwrap().logs.len(), 1);
        assert!(
            serde_json::from_value::<Option<Receipt>>(Value::Null)
                .unwrap()
                .is_none()
        );
    }
}
