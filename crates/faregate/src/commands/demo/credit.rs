//! The demo's credit: collateral once, then jokes for promises, in both guarantee versions, and what becomes of them.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use faregate_client::credit::{CreditClient, CreditError};
use faregate_client::{Caps, Client, OnCredit, Prefer, ShownCertificate, limits};
use faregate_core::port::{CertificateStore as _, NoTrail};
use faregate_devnet::DevAccount;
use faregate_evm::credit::{answer_as_validator, ask_validator};
use faregate_ledger::AccountId;
use faregate_types::PaymentId;
use faregate_types::credit::api::SettlementStatus;
use faregate_types::credit::{Certificate, Guarantee, GuaranteeVersion};

use super::{Row, Steps, balanced, broken, client, network_title, on_chain, payer, served};
use crate::commands::paid::money;
use crate::exit::Failed;
use crate::stack::{self, DevCredit, Stack};

/// How often the core is asked until it has seen what happened on the chain.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// In atomic units of the asset.
const DEPOSIT: u64 = 10_000_000;

/// What the validator says of the joke, of 100.
const SCORE: u8 = 95;

/// Both sides of the tabs.
struct Sides<'a> {
    stack: &'a Stack,
    steps: Steps,
    payer: CreditClient,
    recipient: CreditClient,
    asset: Address,
}

/// A joke that is owed for.
struct Owed {
    payment: PaymentId,
    tab: U256,
    number: U256,
    amount: U256,
    took: Duration,
}

/// Deposits, buys a joke with each guarantee version, pays for one, does not pay for the other, and takes back what is left.
///
/// # Errors
/// When a step does not go as it should.
pub(super) async fn buy(stack: &Stack, steps: Steps) -> Result<Row, Failed> {
    let sides = Sides {
        stack,
        steps,
        payer: side(stack, stack::payer()).await?,
        recipient: side(stack, stack::payee()).await?,
        asset: stack.asset.id.token(),
    };
    sides.deposit().await?;
    let plain = sides.joke(GuaranteeVersion::V1).await?;
    let conditional = sides.joke(GuaranteeVersion::V2).await?;
    let owed = sides.owe(&plain, &conditional).await?;
    let transaction = sides.pay(&plain, conditional.amount).await?;
    sides.remunerate(&conditional).await?;
    sides.audit(owed).await?;
    sides.withdraw(conditional.amount).await?;
    Ok(Row {
        rail: "credit",
        network: network_title(stack),
        price: money(plain.amount, &stack.asset),
        transaction,
        took: plain.took,
    })
}

async fn side(stack: &Stack, account: Option<&DevAccount>) -> Result<CreditClient, Failed> {
    let credit = stack.credit().map_err(broken)?;
    let service = credit.url().parse();
    CreditClient::builder()
        .service(service.map_err(|_| broken("the credit core has no URL"))?)
        .signer(stack::signer(account)?)
        .contract(credit.contract())
        .connect()
        .await
        .map_err(credit_failed)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn credit_failed(error: CreditError) -> Failed {
    broken(&format!("credit: {error}"))
}

impl Sides<'_> {
    fn usd(&self, units: U256) -> String {
        money(units, &self.stack.asset)
    }

    /// Waits until the core says so; the demo's own time limit ends this. Total and locked.
    async fn balance(&self, expected: (U256, U256)) -> Result<(), Failed> {
        loop {
            let about = self.recipient.recipient();
            let found = about.balance(self.payer.address(), self.asset).await;
            let found = found.map_err(credit_failed)?;
            if found.is_some_and(|found| (found.total, found.locked) == expected) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn deposit(&self) -> Result<(), Failed> {
        let (user, amount) = (self.payer.user(), U256::from(DEPOSIT));
        // The contract takes the collateral now, and brings a payment to the recipient later.
        let allowance = amount.saturating_mul(U256::from(2));
        let approved = user.approve(self.asset, allowance).await;
        approved.map_err(credit_failed)?;
        let mined = user.deposit(self.asset, amount).await;
        mined.map_err(credit_failed)?;
        self.balance((amount, U256::ZERO)).await?;
        let (payer, contract) = (self.payer.address(), self.payer.contract());
        let said = format!("{} of {payer} in {contract}", self.usd(amount));
        self.steps.say("collateral", &said);
        Ok(())
    }

    /// A client that owes in this version: the header of the 402 offers version 2, its body version 1.
    fn shopper(&self, version: GuaranteeVersion) -> Result<Client, Failed> {
        let credit = OnCredit::new().core(self.payer.clone());
        let credit = match version {
            GuaranteeVersion::V1 => credit.registries([]),
            GuaranteeVersion::V2 => credit,
        };
        let caps = Caps::per_payment(limits::PER_PAYMENT_DEFAULT);
        client(payer()?.prefer(Prefer::Credit).credit(credit).caps(caps))
    }

    async fn joke(&self, version: GuaranteeVersion) -> Result<Owed, Failed> {
        let shopper = self.shopper(version)?;
        let url = format!("{}/joke", self.stack.gate_url());
        let asked = Instant::now();
        let bought = shopper.get(&url).send().await;
        let bought = bought.map_err(|error| broken(&format!("on credit: {error}")))?;
        let took = asked.elapsed();
        let (payment, joke) = served(bought).await?;
        let paid = payment.credit();
        let paid = paid.ok_or_else(|| broken("it was not bought on credit"))?;
        let ShownCertificate::Verified(certificate) = &paid.certificate else {
            return Err(broken("the gate shows no certificate of the core"));
        };
        if read(certificate)?.version() != version {
            return Err(broken("the guarantee is of another version"));
        }
        let owed = Owed {
            payment: payment.id,
            tab: paid.tab,
            number: paid.number,
            amount: payment.amount.value(),
            took,
        };
        let price = self.usd(owed.amount);
        let condition = match version {
            GuaranteeVersion::V1 => "",
            GuaranteeVersion::V2 => ", if its validator approves",
        };
        self.steps.say("asked", "GET /joke: 402 Payment Required");
        self.steps.say(
            "guarantee",
            &format!(
                "version {}: {price} on tab {:#x}{condition}, certified by the core",
                version.number(),
                owed.tab
            ),
        );
        self.steps.say("served", &joke);
        Ok(owed)
    }

    /// What was bought is owed and locked, and nothing moved.
    async fn owe(&self, first: &Owed, second: &Owed) -> Result<U256, Failed> {
        let owed = first.amount.saturating_add(second.amount);
        self.balance((U256::from(DEPOSIT), owed)).await?;
        let said = format!(
            "{} on two tabs, locked of the collateral; nothing was sent to the chain",
            self.usd(owed)
        );
        self.steps.say("owed", &said);
        Ok(owed)
    }

    /// One tab is paid: the transaction.
    async fn pay(&self, owed: &Owed, left: U256) -> Result<String, Failed> {
        let recipient = self.recipient.address();
        let had = on_chain(self.stack, recipient).await?;
        let user = self.payer.user();
        let paid = user.pay_tab(owed.tab, owed.number, owed.amount, recipient, self.asset);
        let mined = paid.await.map_err(credit_failed)?;
        self.arrived(had, owed.amount).await?;
        self.balance((U256::from(DEPOSIT), left)).await?;
        self.over(owed, SettlementStatus::Settled).await?;
        let said = format!(
            "{} for the first tab, recorded by the operator, unlocked",
            self.usd(owed.amount)
        );
        self.steps.say("paid", &said);
        Ok(mined.transaction.to_string())
    }

    /// The other tab is never paid: the contract pays it, with the certificate that the gate has kept.
    async fn remunerate(&self, owed: &Owed) -> Result<(), Failed> {
        let kept = self.stack.ledger.certificate(owed.payment).await;
        let kept = kept.map_err(|error| broken(&error.to_string()))?;
        let kept = kept.ok_or_else(|| broken("the gate has kept no certificate"))?;
        self.validate(&kept.certificate).await?;
        self.pass(DevCredit::timing().remuneration_grace).await?;
        let recipient = self.recipient.address();
        let had = on_chain(self.stack, recipient).await?;
        let about = self.recipient.recipient();
        let redeemed = about.remunerate(&kept.certificate).await;
        redeemed.map_err(credit_failed)?;
        self.arrived(had, owed.amount).await?;
        let left = U256::from(DEPOSIT).saturating_sub(owed.amount);
        self.balance((left, U256::ZERO)).await?;
        self.over(owed, SettlementStatus::Remunerated).await?;
        let said = format!(
            "{} for the second, out of the collateral, on the certificate that the gate has kept",
            self.usd(owed.amount)
        );
        self.steps.say("remunerated", &said);
        Ok(())
    }

    /// Version 2 is due when its validator has answered.
    async fn validate(&self, certificate: &Certificate) -> Result<(), Failed> {
        let policy = read(certificate)?.validation;
        let policy = policy.ok_or_else(|| broken("there is no condition"))?;
        let validator = side(self.stack, stack::validator()).await?;
        for call in [ask_validator(&policy), answer_as_validator(&policy, SCORE)] {
            let sent = validator.account().send(&call, &NoTrail).await;
            sent.map_err(|error| broken(&format!("validation: {error}")))?;
        }
        let (least, by) = (policy.min_score, policy.validator);
        let said = format!("{SCORE} of 100 for the second, {least} were asked for, by {by}");
        self.steps.say("validated", &said);
        Ok(())
    }

    /// Both books: those of the gate, and those of the core.
    async fn audit(&self, owed: U256) -> Result<(), Failed> {
        balanced(
            self.stack,
            AccountId::promised(self.recipient.address()),
            owed,
        )
        .await?;
        self.steps.say(
            "books",
            "every account adds up; what the gate was promised has arrived, nothing is locked",
        );
        Ok(())
    }

    async fn withdraw(&self, taken: U256) -> Result<(), Failed> {
        let (user, left) = (self.payer.user(), U256::from(DEPOSIT).saturating_sub(taken));
        let had = on_chain(self.stack, self.payer.address()).await?;
        let asked = user.request_withdrawal(self.asset, left).await;
        asked.map_err(credit_failed)?;
        self.pass(DevCredit::timing().withdrawal_grace).await?;
        let done = user.finalize_withdrawal(self.asset).await;
        done.map_err(credit_failed)?;
        self.balance((U256::ZERO, U256::ZERO)).await?;
        let back = on_chain(self.stack, self.payer.address()).await?;
        if back.checked_sub(had) != Some(left) {
            return Err(broken("the collateral did not come back"));
        }
        let said = format!("{}, all that was left", self.usd(left));
        self.steps.say("withdrawn", &said);
        Ok(())
    }

    /// So much has reached the seller since it had so much.
    async fn arrived(&self, had: U256, amount: U256) -> Result<(), Failed> {
        let has = on_chain(self.stack, self.recipient.address()).await?;
        if has.checked_sub(had) == Some(amount) {
            Ok(())
        } else {
            Err(broken("the chain does not show what was owed"))
        }
    }

    /// This became of the tab.
    async fn over(&self, owed: &Owed, end: SettlementStatus) -> Result<(), Failed> {
        let tab = self.recipient.recipient().tab(owed.tab).await;
        let tab = tab.map_err(credit_failed)?;
        if tab.is_some_and(|tab| tab.settlement == end) {
            Ok(())
        } else {
            Err(broken("the tab is not over"))
        }
    }

    /// Time that nobody waits for.
    async fn pass(&self, secs: u64) -> Result<(), Failed> {
        let devchain = self.stack.devchain();
        let devchain = devchain.ok_or_else(|| broken("there is no dev chain"))?;
        let passed = devchain.increase_time(secs.saturating_add(1)).await;
        passed.map_err(|error| broken(&error.to_string()))?;
        let mined = devchain.mine(1).await;
        mined.map_err(|error| broken(&error.to_string()))?;
        self.steps
            .say("time", &format!("{secs} seconds pass on the chain"));
        Ok(())
    }
}

/// What a certificate says.
fn read(certificate: &Certificate) -> Result<Guarantee, Failed> {
    let read = Guarantee::decode(&certificate.claims);
    let (said, _) = read.map_err(|error| broken(&error.to_string()))?;
    Ok(said)
}
