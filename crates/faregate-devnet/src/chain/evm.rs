//! Running transactions: the one place that talks to the interpreter.

use std::convert::Infallible;

use alloy_primitives::{Address, B256, U256};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::{
        cfg::GasParams,
        result::{EVMError, ExecutionResult, InvalidTransaction},
    },
    handler::MainnetEvm,
    primitives::hardfork::SpecId,
};

use super::{error::TxRejection, state::View};

/// The rules in force: Prague, which brought the BLS12-381 precompiles.
pub(crate) const SPEC: SpecId = SpecId::PRAGUE;

/// What a contract can see of the block it runs in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockContext {
    pub(crate) chain_id: u64,
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: u64,
    pub(crate) gas_limit: u64,
    pub(crate) coinbase: Address,
    pub(crate) prevrandao: B256,
}

impl BlockContext {
    fn env(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.coinbase,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prevrandao),
            ..BlockEnv::default()
        }
    }
}

/// An interpreter that changes the view with every transaction it runs.
pub(crate) struct Runner<'v, 'a> {
    evm: MainnetEvm<EvmContext<'v, 'a>>,
}

type EvmContext<'v, 'a> =
    Context<BlockEnv, TxEnv, CfgEnv, &'v mut View<'a>, Journal<&'v mut View<'a>>, ()>;

impl<'v, 'a> Runner<'v, 'a> {
    /// For transactions that are to be mined: everything is checked. Only the rule that senders have no code is not, for
    /// the sake of impersonated contracts; who can really sign has no code anyway.
    pub(crate) fn mining(view: &'v mut View<'a>, block: &BlockContext) -> Self {
        Self::new(view, block, false)
    }

    /// For calls: nonces and base fee do not matter.
    pub(crate) fn calling(view: &'v mut View<'a>, block: &BlockContext) -> Self {
        Self::new(view, block, true)
    }

    fn new(view: &'v mut View<'a>, block: &BlockContext, call: bool) -> Self {
        let mut cfg = CfgEnv::new_with_spec(SPEC).with_chain_id(block.chain_id);
        cfg.disable_eip3607 = true;
        cfg.disable_nonce_check = call;
        cfg.disable_base_fee = call;
        // A legacy transaction may come without a chain id; those with one were compared when they arrived.
        cfg.tx_chain_id_check = false;
        let context = Context::mainnet()
            .with_db(view)
            .with_block(block.env())
            .with_cfg(cfg);
        Self {
            evm: context.build_mainnet(),
        }
    }

    /// Runs a transaction and keeps what it changed.
    pub(crate) fn commit(&mut self, tx: TxEnv) -> Result<ExecutionResult, TxRejection> {
        let sender = tx.caller;
        self.evm
            .transact_commit(tx)
            .map_err(|error| rejection(error, sender))
    }

    /// Runs a transaction and forgets what it changed.
    pub(crate) fn run(&mut self, tx: TxEnv) -> Result<ExecutionResult, TxRejection> {
        let sender = tx.caller;
        match self.evm.transact(tx) {
            Ok(done) => Ok(done.result),
            Err(error) => Err(rejection(error, sender)),
        }
    }
}

/// Gas a transaction costs before its first instruction runs, or its calldata floor (EIP-7623) if that is more.
pub(crate) fn intrinsic_gas(tx: &TxEnv) -> u64 {
    let gas = GasParams::new_spec(SPEC).initial_tx_gas_for_tx(tx, None);
    gas.initial_total_gas().max(gas.floor_gas())
}

fn rejection(error: EVMError<Infallible>, from: Address) -> TxRejection {
    let invalid = match error {
        EVMError::Transaction(invalid) => invalid,
        EVMError::Header(_) => return TxRejection::Invalid("the block header is not valid"),
        EVMError::Database(never) => match never {},
        EVMError::Custom(_) | EVMError::CustomAny(_) => {
            return TxRejection::Invalid("the interpreter stopped");
        }
    };
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => TxRejection::Funds {
            from,
            have: *balance,
            want: *fee,
        },
        InvalidTransaction::NonceTooLow { tx, state } => TxRejection::NonceTooLow {
            from,
            have: tx,
            want: state,
        },
        InvalidTransaction::CallGasCostMoreThanGasLimit {
            initial_gas: want,
            gas_limit: have,
        }
        | InvalidTransaction::GasFloorMoreThanGasLimit {
            gas_floor: want,
            gas_limit: have,
        } => TxRejection::IntrinsicGas { have, want },
        InvalidTransaction::GasPriceLessThanBasefee => {
            TxRejection::Invalid("max fee per gas less than block base fee")
        }
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            TxRejection::Invalid("max priority fee per gas higher than max fee per gas")
        }
        InvalidTransaction::CallerGasLimitMoreThanBlock => {
            TxRejection::Invalid("exceeds block gas limit")
        }
        InvalidTransaction::CreateInitCodeSizeLimit => {
            TxRejection::Invalid("max initcode size exceeded")
        }
        InvalidTransaction::NonceTooHigh { .. } => TxRejection::Invalid("nonce too high"),
        InvalidTransaction::OverflowPaymentInTransaction => {
            TxRejection::Invalid("gas * price + value overflows")
        }
        _ => TxRejection::Invalid("refused by the interpreter"),
    }
}
