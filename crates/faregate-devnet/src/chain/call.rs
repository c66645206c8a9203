//! Running something without mining it: calls and gas estimates.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionInput, TransactionRequest,
    state::{AccountOverride, StateOverride},
};
use alloy_sol_types::{Panic, Revert, SolError};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::result::{ExecutionResult, HaltReason},
};

use super::{
    engine::{BlockRef, Chain},
    error::{CallError, TxRejection},
    evm::{BlockContext, Runner},
    limits,
    state::View,
    tx::authorizations,
};

/// A call as a client asks for it.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) request: TransactionRequest,
    pub(crate) state: Option<StateOverride>,
    pub(crate) block: Option<Box<BlockOverrides>>,
}

impl Chain {
    /// Runs a call on the state after `at` and answers what it returned.
    pub(crate) fn call(&self, call: &Call, at: BlockRef) -> Result<Bytes, CallError> {
        let (mut view, context) = self.stage(call, at)?;
        let gas = gas_allowance(&call.request, &view)?;
        let tx = to_env(&call.request, gas)?;
        output(
            Runner::calling(&mut view, &context)
                .run(tx)
                .map_err(refused)?,
        )
    }

    /// The least gas limit, within 1.5 %, with which a call succeeds.
    ///
    /// What a run used is not enough: a call hands at most 63/64 of the rest on, refunds come only at the end, and
    /// contracts may look at what is left. So the limit is searched for.
    pub(crate) fn estimate(&self, call: &Call, at: BlockRef) -> Result<u64, CallError> {
        let (mut view, context) = self.stage(call, at)?;
        let allowance = gas_allowance(&call.request, &view)?;
        let mut trial = Trial {
            runner: Runner::calling(&mut view, &context),
            request: &call.request,
        };
        let first = match trial.run(allowance) {
            Err(CallError::Rejected(TxRejection::IntrinsicGas { .. }))
            | Ok(ExecutionResult::Halt {
                reason: HaltReason::OutOfGas(_),
                ..
            }) => return Err(CallError::GasAllowance(allowance)),
            other => other?,
        };
        let (used, spent) = (first.tx_gas_used(), first.gas().total_gas_spent());
        output(first)?;
        Ok(trial.least(used, spent, allowance))
    }

    /// Calls a contract from nobody, as of now.
    pub(crate) fn call_contract(&self, to: Address, input: Bytes) -> Result<Bytes, CallError> {
        let call = Call {
            request: TransactionRequest::default()
                .to(to)
                .input(TransactionInput::new(input)),
            ..Call::default()
        };
        self.call(&call, BlockRef::Latest)
    }

    fn stage(&self, call: &Call, at: BlockRef) -> Result<(View<'_>, BlockContext), CallError> {
        let mut view = self.view_at(at)?;
        let mut context = self.context_at(at)?;
        if let Some(overrides) = &call.state {
            override_state(&mut view, overrides)?;
        }
        if let Some(overrides) = &call.block {
            override_block(&mut context, overrides)?;
        }
        Ok((view, context))
    }

    /// What a call on the state after `at` sees of its block.
    ///
    /// On `latest` the time is the present, not that of the newest block: a real chain makes blocks all the time, so
    /// there the two are seconds apart, while this one may have been idle for an hour. Without that, a signature that is
    /// valid since ten minutes ago would look as if it were not valid yet.
    fn context_at(&self, at: BlockRef) -> Result<BlockContext, CallError> {
        let next = self.next_context();
        if at == BlockRef::Pending {
            return Ok(next);
        }
        let header = &self.block(at).ok_or(CallError::NoBlock)?.header;
        Ok(BlockContext {
            number: header.number,
            timestamp: if at == BlockRef::Latest {
                next.timestamp
            } else {
                header.timestamp
            },
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            prevrandao: header.mix_hash,
            coinbase: header.beneficiary,
            gas_limit: header.gas_limit,
            chain_id: self.chain_id,
        })
    }
}

/// Runs of one call with different gas limits.
struct Trial<'r, 'v, 'a> {
    runner: Runner<'v, 'a>,
    request: &'r TransactionRequest,
}

impl Trial<'_, '_, '_> {
    fn run(&mut self, gas: u64) -> Result<ExecutionResult, CallError> {
        self.runner.run(to_env(self.request, gas)?).map_err(refused)
    }

    /// Narrows down the least gas limit that suffices, knowing that `enough` does and that nothing below `used` can.
    fn least(&mut self, used: u64, spent: u64, mut enough: u64) -> u64 {
        let mut too_little = used.saturating_sub(1);
        // Most calls succeed with what they used, or with what they spent plus a stipend plus the 64th that calls hold back.
        let generous = spent
            .saturating_add(CALL_STIPEND)
            .saturating_mul(64)
            .div_ceil(63);
        let mut attempts = [used, generous].into_iter();
        while !close(too_little, enough) {
            let gas = match attempts.next() {
                Some(guess) if guess <= too_little || guess >= enough => continue,
                Some(guess) => guess,
                None => too_little.midpoint(enough),
            };
            if self.run(gas).is_ok_and(|result| result.is_success()) {
                enough = gas;
            } else {
                too_little = gas;
            }
        }
        enough
    }
}

/// Whether the two are one apart, or within 1.5 %.
const fn close(too_little: u64, enough: u64) -> bool {
    let distance = enough.saturating_sub(too_little);
    distance <= 1 || distance.saturating_mul(1_000) <= enough.saturating_mul(15)
}

/// What a run returned, or why it has no result.
fn output(result: ExecutionResult) -> Result<Bytes, CallError> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(CallError::Reverted {
            reason: revert_reason(&output),
            data: output,
        }),
        ExecutionResult::Halt { reason, .. } => Err(CallError::Halted(halt_text(&reason))),
    }
}

/// Why a call stopped, beginning as geth says it.
fn halt_text(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => {
            "invalid opcode: opcode not defined".to_owned()
        }
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        HaltReason::OutOfFunds => "insufficient balance for transfer".to_owned(),
        other => other.to_string(),
    }
}

/// The text of `Error(string)`, or what a `Panic(uint256)` means.
fn revert_reason(data: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(data) {
        return Some(revert.reason);
    }
    let panic = Panic::abi_decode(data).ok()?;
    Some(match panic.kind() {
        Some(kind) => kind.as_str().to_owned(),
        None => format!("unknown panic code: {:#x}", panic.code),
    })
}

fn refused(rejection: TxRejection) -> CallError {
    match rejection {
        TxRejection::Funds { from, have, .. } => CallError::Funds { from, have },
        other => CallError::Rejected(other),
    }
}

/// The gas a call may use: what it asks for, within a block, and within what its sender can pay if it names a price.
fn gas_allowance(request: &TransactionRequest, view: &View<'_>) -> Result<u64, CallError> {
    let wanted = request
        .gas
        .unwrap_or(limits::BLOCK_GAS_MAX)
        .min(limits::BLOCK_GAS_MAX);
    let price = gas_price(request)?;
    if price == 0 {
        return Ok(wanted);
    }
    let from = request.from.unwrap_or_default();
    let have = view.balance(from);
    let poor = CallError::Funds { from, have };
    let rest = have
        .checked_sub(request.value.unwrap_or_default())
        .ok_or(poor.clone())?;
    let affordable = rest.checked_div(U256::from(price)).unwrap_or_default();
    let affordable = u64::try_from(affordable).unwrap_or(u64::MAX);
    if affordable < CHEAPEST_TX_GAS {
        return Err(poor);
    }
    Ok(affordable.min(wanted))
}

fn gas_price(request: &TransactionRequest) -> Result<u128, CallError> {
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic {
        return Err(CallError::Argument(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    Ok(request
        .gas_price
        .or(request.max_fee_per_gas)
        .unwrap_or_default())
}

fn to_env(request: &TransactionRequest, gas_limit: u64) -> Result<TxEnv, CallError> {
    let input = request
        .input
        .unique_input()
        .map_err(|_| CallError::Argument("both data and input are set and differ"))?;
    let gas_price = gas_price(request)?;
    let tip = request.max_priority_fee_per_gas;
    let authorization_list =
        authorizations(request.authorization_list.as_deref().unwrap_or_default());
    let tx_type = if !authorization_list.is_empty() {
        4
    } else if request.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(request.access_list.is_some())
    };
    Ok(TxEnv {
        tx_type,
        caller: request.from.unwrap_or_default(),
        gas_limit,
        gas_price,
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: input.cloned().unwrap_or_default(),
        chain_id: None,
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: (tx_type >= 2).then(|| tip.unwrap_or_default().min(gas_price)),
        authorization_list,
        ..TxEnv::default()
    })
}

fn override_state(view: &mut View<'_>, overrides: &StateOverride) -> Result<(), CallError> {
    for (address, change) in overrides {
        override_account(view, *address, change)?;
    }
    Ok(())
}

fn override_account(
    view: &mut View<'_>,
    address: Address,
    change: &AccountOverride,
) -> Result<(), CallError> {
    if change.move_precompile_to.is_some() {
        return Err(CallError::Argument(
            "movePrecompileToAddress is not supported",
        ));
    }
    if change.state.is_some() && change.state_diff.is_some() {
        return Err(CallError::Argument(
            "account has both 'state' and 'stateDiff'",
        ));
    }
    let code = match &change.code {
        Some(code) => Some(
            Bytecode::new_raw_checked(code.clone())
                .map_err(|_| CallError::Argument("the code of a state override is not valid"))?,
        ),
        None => None,
    };
    view.edit(address, |info| {
        if let Some(balance) = change.balance {
            info.balance = balance;
        }
        if let Some(nonce) = change.nonce {
            info.nonce = nonce;
        }
        if let Some(code) = code {
            info.set_code(code);
        }
    });
    if change.state.is_some() {
        view.wipe_storage(address);
    }
    for (slot, value) in change.state.iter().chain(&change.state_diff).flatten() {
        view.set_slot(address, word(slot), word(value));
    }
    Ok(())
}

fn override_block(context: &mut BlockContext, overrides: &BlockOverrides) -> Result<(), CallError> {
    let small = |value: U256| {
        u64::try_from(value).map_err(|_| CallError::Argument("a block override is out of range"))
    };
    if let Some(number) = overrides.number {
        context.number = small(number)?;
    }
    if let Some(base_fee) = overrides.base_fee {
        context.base_fee = small(base_fee)?;
    }
    context.timestamp = overrides.time.unwrap_or(context.timestamp);
    context.gas_limit = overrides.gas_limit.unwrap_or(context.gas_limit);
    context.coinbase = overrides.coinbase.unwrap_or(context.coinbase);
    context.prevrandao = overrides.random.unwrap_or(context.prevrandao);
    Ok(())
}

const fn word(bytes: &B256) -> U256 {
    U256::from_be_bytes(bytes.0)
}

/// Gas of the cheapest transaction there is.
const CHEAPEST_TX_GAS: u64 = 21_000;
/// Gas that a call with value gets on top.
const CALL_STIPEND: u64 = 2_300;
