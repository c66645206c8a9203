//! Deploying the wallet of a payer (ERC-6492) before its payment is settled.
//!
//! The call of the factory is a transaction of its own. It goes through the signers' lanes like any other, but it is not
//! the payment: no books hear its hash, and whatever becomes of it, nothing of the payment has been sent. Who is
//! interrupted here starts anew, and finds the wallet deployed or not.
//!
//! There is one deployment per wallet at a time, in a task of its own. It outlives the settlement that ordered it, and
//! whoever settles another payment of the same wallet meanwhile waits for it, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, U256};
use faregate_core::port::SettleOutcome;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{ChainId, Code};
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::errand::{Fate, escort};
use crate::flight::{Landing, News};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::limits::DEPLOYMENT_TRIES;
use crate::meter::DEPLOYMENTS;
use crate::probe::probe;
use crate::rpc::{CHAIN_AWAY, Called, Receipt, Simulation};
use crate::settle::{Settling, nothing_sent};
use crate::told::{self, Teller, Told};
use crate::verify::{self, Means, Proof, Stop};
use crate::wallet::Deployment;

/// Where it will be told. Closed without it: nothing was sent, because whoever wanted to went away.
type Fated = Told<Fate>;

/// The wallets that are being deployed.
#[derive(Debug, Default)]
pub(crate) struct Deployments(Mutex<BTreeMap<Address, Fated>>);

/// What somebody finds who needs a wallet.
enum Entry {
    /// Nobody is deploying it. The fate goes into the first.
    Lead(Teller<Fate>, Fated),
    Follow(Fated),
}

impl Deployments {
    fn enter(&self, wallet: Address) -> Entry {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded by the queues of the lanes and what they have in the air.
        under_way.retain(|_, fated| fated.is_open());
        if let Some(fated) = under_way.get(&wallet) {
            return Entry::Follow(fated.clone());
        }
        let (end, fated) = told::channel();
        under_way.insert(wallet, fated.clone());
        Entry::Lead(end, fated)
    }
}

impl Settling<'_, ExactPayment> {
    /// Asks the wallet about its signature; one that is not deployed is tried out, and has to be deployed.
    pub(crate) async fn ask_wallet<'p>(
        &self,
        proof: &'p Proof,
    ) -> Result<Option<&'p Deployment>, Stop> {
        let (network, payment) = (self.network, self.payment);
        match verify::means(network, payment, proof).await? {
            Means::Transfer(_) => Ok(None),
            Means::Deployment(deployment) => {
                verify::asset(network, payment).await?;
                probe(network, payment, proof, deployment).await?;
                Ok(Some(deployment))
            }
        }
    }

    /// Until the wallet is deployed. The error is the end of the settlement.
    pub(crate) async fn deploy(&self, deployment: &Deployment) -> Result<(), SettleOutcome> {
        let config = &self.network.config;
        let patience = config.queue_wait.saturating_add(config.receipt_wait);
        if let Ok(end) = timeout(patience, self.deployed(deployment)).await {
            return end;
        }
        self.network.doubt();
        Err(nothing_sent(Code::SettlementPending))
    }

    async fn deployed(&self, deployment: &Deployment) -> Result<(), SettleOutcome> {
        for _ in 0..DEPLOYMENT_TRIES {
            let fated = match self.network.deployments.enter(self.payment.payer()) {
                Entry::Lead(end, fated) => {
                    if !self.order(deployment, end).await? {
                        return Ok(());
                    }
                    fated
                }
                Entry::Follow(fated) => fated,
            };
            if let Some(fate) = fated.wait().await {
                return self.ended(fate).await;
            }
        }
        Err(nothing_sent(Code::SignerUnavailable))
    }

    /// Puts the call of the factory into a lane's queue. False when the wallet is there already.
    async fn order(
        &self,
        deployment: &Deployment,
        end: Teller<Fate>,
    ) -> Result<bool, SettleOutcome> {
        let (network, wallet) = (self.network, self.payment.payer());
        let gas_max = network.config.gas_limit_max;
        let call = Simulation {
            from: network.sender,
            to: deployment.factory,
            value: U256::ZERO,
            data: deployment.data.clone(),
            gas_max,
        };
        let (has_code, gas) = tokio::join!(
            network.rpc.has_code(wallet),
            network.rpc.estimate_gas(&call)
        );
        let gas = match (has_code, gas) {
            (Ok(true), _) => return Ok(false),
            (Ok(false), Ok(Called::Returned(gas))) if gas <= gas_max => gas,
            (Ok(false), Ok(_)) => {
                return self
                    .unless_deployed("the factory reverts, or needs more gas than allowed")
                    .await
                    .map(|()| false);
            }
            (Err(_), _) | (Ok(false), Err(_)) => return Err(nothing_sent(CHAIN_AWAY.code)),
        };
        let work = Work::Alone {
            call,
            gas_limit: with_margin(gas).min(gas_max),
            simulated_at: Instant::now(),
        };
        let (job, hears) = Job::new(None, work);
        if network.offer(job).is_none() {
            return Err(nothing_sent(Code::Overloaded));
        }
        tokio::spawn(watch(network.config.chain, hears, end));
        Ok(true)
    }

    async fn ended(&self, fate: Fate) -> Result<(), SettleOutcome> {
        match fate {
            Fate::Landed(Landing::Mined(receipt)) => self.mined(&receipt).await,
            Fate::Landed(Landing::Lost) => match self.is_deployed().await? {
                true => Ok(()),
                false => Err(nothing_sent(Code::SettlementPending)),
            },
            Fate::NotSent(NotSent::Reverted(_)) => {
                self.unless_deployed("the factory reverts").await
            }
            Fate::NotSent(why) => Err(self.not_sent(why).await),
        }
    }

    /// Looks for the wallet where the transaction was mined. A transaction that was reverted found it there, if somebody
    /// else was faster.
    async fn mined(&self, receipt: &Arc<Receipt>) -> Result<(), SettleOutcome> {
        let (wallet, block) = (self.payment.payer(), receipt.block_number.to());
        match self.network.rpc.has_code_at(wallet, block).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let refusal = self.no(Code::SmartWalletDeploymentFailed);
                let detail = format!("the factory was called in {}", receipt.transaction_hash);
                Err(SettleOutcome::Failed(refusal.detail(detail)))
            }
            Err(error) => {
                tracing::warn!(chain = %self.network.config.chain, %error, "the node cannot say whether a wallet was deployed");
                Err(nothing_sent(CHAIN_AWAY.code))
            }
        }
    }

    /// Nothing was sent, because it would not work. Perhaps because somebody else did it.
    async fn unless_deployed(&self, detail: &'static str) -> Result<(), SettleOutcome> {
        if self.is_deployed().await? {
            return Ok(());
        }
        let refusal = self.no(Code::InvalidExactEvmPayloadUndeployedSmartWallet);
        Err(SettleOutcome::Failed(refusal.detail(detail)))
    }

    async fn is_deployed(&self) -> Result<bool, SettleOutcome> {
        let asked = self.network.rpc.has_code(self.payment.payer()).await;
        asked.map_err(|_| nothing_sent(CHAIN_AWAY.code))
    }
}

/// Goes with a deployment to its end, whoever waits for that.
async fn watch(chain: ChainId, hears: mpsc::Receiver<News>, end: Teller<Fate>) {
    if let Some(fate) = escort(hears).await {
        counter!(DEPLOYMENTS, "network" => chain.to_string(), "outcome" => outcome(&fate))
            .increment(1);
        end.tell(fate);
    }
}

fn outcome(fate: &Fate) -> &'static str {
    match fate {
        Fate::Landed(Landing::Mined(receipt)) if receipt.status.is_some_and(|it| it.is_zero()) => {
            "reverted"
        }
        Fate::Landed(Landing::Mined(_)) => "mined",
        Fate::Landed(Landing::Lost) => "lost",
        Fate::NotSent(_) => "not_sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_deploys_and_others_wait_until_it_ended_or_was_given_up() {
        let (deployments, a, b) = (
            Deployments::default(),
            Address::repeat_byte(1),
            Address::repeat_byte(2),
        );
        let lead = |wallet| match deployments.enter(wallet) {
            Entry::Lead(end, fated) => (end, fated),
            Entry::Follow(_) => panic!("expected to lead"),
        };
        let (first, _) = lead(a);
        let Entry::Follow(fated) = deployments.enter(a) else {
            panic!("expected to follow");
        };
        let (_other, _) = lead(b);
        first.tell(Fate::Landed(Landing::Lost));
        assert!(fated.now().is_some());
        let (second, _) = lead(a);
        assert!(matches!(deployments.enter(a), Entry::Follow(_)));
        drop(second);
        drop(lead(a));
        assert!(matches!(deployments.enter(b), Entry::Follow(_)));
    }
}
