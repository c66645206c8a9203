//! The demo's credit: collateral once, then promises instead of payments, and what becomes of them.

use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, U256};
use faregate_client::credit::{CreditClient, CreditError};
use faregate_devnet::DevAccount;
use faregate_types::Timestamp;
use faregate_types::credit::api::SettlementStatus;
use faregate_types::credit::{Certificate, Claims, GuaranteeVersion, SigningScheme};

use super::{Steps, broken, on_chain};
use crate::commands::paid::money;
use crate::exit::Failed;
use crate::stack::{self, DevCredit, Stack};

/// How often the core is asked until it has seen what happened on the chain.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// In atomic units of the asset.
const DEPOSIT: u64 = 10_000_000;
const FIRST: u64 = 2_000_000;
const SECOND: u64 = 3_000_000;

/// Both sides of a tab.
struct Sides<'a> {
    stack: &'a Stack,
    steps: Steps,
    payer: CreditClient,
    recipient: CreditClient,
    asset: Address,
}

/// Deposits, owes twice, pays one of the two, does not pay the other, and takes back what is left.
///
/// # Errors
/// When a step does not go as it should.
pub(super) async fn owe(stack: &Stack, steps: Steps) -> Result<(), Failed> {
    let sides = Sides {
        stack,
        steps,
        payer: side(stack, stack::payer()).await?,
        recipient: side(stack, stack::payee()).await?,
        asset: stack.asset.id.token(),
    };
    sides.deposit().await?;
    let (tab, last) = sides.promise().await?;
    sides.pay(tab).await?;
    sides.remunerate(tab, &last).await?;
    sides.withdraw().await
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
    fn usd(&self, units: u64) -> String {
        money(U256::from(units), &self.stack.asset)
    }

    /// Waits until the core says so; the demo's own time limit ends this. Total and locked.
    async fn balance(&self, expected: (u64, u64)) -> Result<(), Failed> {
        let expected = (U256::from(expected.0), U256::from(expected.1));
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
        let allowance = amount.saturating_add(U256::from(FIRST));
        let approved = user.approve(self.asset, allowance).await;
        approved.map_err(credit_failed)?;
        let mined = user.deposit(self.asset, amount).await;
        mined.map_err(credit_failed)?;
        self.balance((DEPOSIT, 0)).await?;
        let contract = self.payer.contract();
        let said = format!(
            "{} of {} in {contract}",
            self.usd(DEPOSIT),
            self.payer.address()
        );
        self.steps.say("collateral", &said);
        Ok(())
    }

    /// Two promises on one tab; the certificate of the last one is worth both.
    async fn promise(&self) -> Result<(U256, Certificate), Failed> {
        let about = self.recipient.recipient();
        let opened = about.create_tab(self.payer.address(), self.asset, None, GuaranteeVersion::V1);
        let tab = opened.await.map_err(credit_failed)?.id;
        self.steps.say("tab", &format!("{tab:#x}"));
        let mut last = None;
        for (req, units) in [(0_u64, FIRST), (1, SECOND)] {
            let claims = Claims {
                payer: self.payer.address(),
                recipient: self.recipient.address(),
                tab_id: tab,
                req_id: U256::from(req),
                amount: U256::from(units),
                asset: self.asset,
                timestamp: Timestamp::from(SystemTime::now()),
                validation: None,
            };
            let user = self.payer.user();
            let signed = user.sign_payment(claims, SigningScheme::Eip712).await;
            let signed = signed.map_err(credit_failed)?;
            let issued = about.issue_payment_guarantee(&signed).await;
            let issued = issued.map_err(credit_failed)?;
            let said = format!(
                "{} more, signed by the payer, certified by the core",
                self.usd(units)
            );
            self.steps.say("guarantee", &said);
            last = Some(issued.certificate);
        }
        self.balance((DEPOSIT, FIRST.saturating_add(SECOND)))
            .await?;
        let last = last.ok_or_else(|| broken("nothing was certified"))?;
        Ok((tab, last))
    }

    async fn pay(&self, tab: U256) -> Result<(), Failed> {
        let (user, recipient) = (self.payer.user(), self.recipient.address());
        let paid = user.pay_tab(tab, U256::ZERO, U256::from(FIRST), recipient, self.asset);
        paid.await.map_err(credit_failed)?;
        self.balance((DEPOSIT, SECOND)).await?;
        let said = format!(
            "{} of the tab, recorded by the operator, unlocked",
            self.usd(FIRST)
        );
        self.steps.say("paid", &said);
        Ok(())
    }

    /// The rest is never paid: the contract pays it, and not more than it.
    async fn remunerate(&self, tab: U256, last: &Certificate) -> Result<(), Failed> {
        self.pass(DevCredit::timing().remuneration_grace).await?;
        let recipient = self.recipient.address();
        let had = on_chain(self.stack, recipient).await?;
        let about = self.recipient.recipient();
        about.remunerate(last).await.map_err(credit_failed)?;
        let received = on_chain(self.stack, recipient).await?.checked_sub(had);
        if received != Some(U256::from(SECOND)) {
            return Err(broken("the contract did not pay what was owed"));
        }
        self.balance((DEPOSIT.saturating_sub(SECOND), 0)).await?;
        let over = about.tab(tab).await.map_err(credit_failed)?;
        if over.is_none_or(|tab| tab.settlement != SettlementStatus::Remunerated) {
            return Err(broken("the tab is not over"));
        }
        let said = format!(
            "{} by the contract for the last certificate, out of the collateral",
            self.usd(SECOND)
        );
        self.steps.say("remunerated", &said);
        Ok(())
    }

    async fn withdraw(&self) -> Result<(), Failed> {
        let (user, left) = (self.payer.user(), DEPOSIT.saturating_sub(SECOND));
        let had = on_chain(self.stack, self.payer.address()).await?;
        let asked = user.request_withdrawal(self.asset, U256::from(left)).await;
        asked.map_err(credit_failed)?;
        self.pass(DevCredit::timing().withdrawal_grace).await?;
        let done = user.finalize_withdrawal(self.asset).await;
        done.map_err(credit_failed)?;
        self.balance((0, 0)).await?;
        let back = on_chain(self.stack, self.payer.address())
            .await?
            .checked_sub(had);
        if back != Some(U256::from(left)) {
            return Err(broken("the collateral did not come back"));
        }
        self.steps.say(
            "withdrawn",
            &format!("{}, all that was left", self.usd(left)),
        );
        Ok(())
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
