//! From an invoice of ours to what is owed for it.

use faregate_ledger::{Payment, Step};
use faregate_types::{Code, PaymentId};

use super::entry::{self, Kind};
use super::{Custody, Standing, standing};
use crate::port::Away;
use crate::port::lightning::InvoiceState;

impl Custody {
    /// Asks the wallet about an invoice, and records what became of it.
    pub(super) async fn collect(&self, share: &Payment) -> Result<Standing, Away> {
        let id = share.claim.id;
        let wanted = entry::wanted(share).ok_or(Away {
            code: Code::Internal,
        })?;
        let step = match self.wallets.receiver.look_up(&wanted).await? {
            InvoiceState::Paid { .. } => Step::Settle {
                transaction: Some(wanted.payment_hash.to_string().into()),
            },
            InvoiceState::Expired => Step::Fail {
                code: Code::InvoiceExpired,
            },
            InvoiceState::Cancelled => Step::Fail {
                code: Code::InvoiceUnusable,
            },
            // A wallet that does not know its own invoice proves nothing.
            InvoiceState::Open | InvoiceState::Unknown => return Ok(Standing::Open),
        };
        // The fee first: as long as the share is open somebody asks again, and ends both.
        self.end_fee(Kind::Fee.id(&wanted.payment_hash), &step)
            .await?;
        self.books.advance(id, step.clone()).await?;
        self.patience.forget(id);
        Ok(match step {
            Step::Settle { .. } => Standing::Paid,
            _ => Standing::Ended,
        })
    }

    /// Where there is no fee there is no entry.
    async fn end_fee(&self, id: PaymentId, step: &Step) -> Result<(), Away> {
        match self.books.payment(id).await? {
            Some(fee) if standing(fee.state) == Standing::Open => {
                self.books.advance(id, step.clone()).await
            }
            _ => Ok(()),
        }
    }
}
