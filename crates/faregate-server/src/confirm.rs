//! Asking a wallet whether an invoice was paid, for as long as a payer can wait.

use std::time::Duration;

use faregate_core::Away;
use faregate_core::port::lightning::{InvoiceState, Receiver, Wanted};
use faregate_core::rail::l402::Confirms;
use faregate_types::Code;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::limits::{CONFIRM_PAUSE, CONFIRM_PAUSE_MAX, CONFIRM_TIMEOUT, CONFIRMS_MAX};

/// Asks again until the invoice was paid or the time is over.
#[derive(Debug)]
pub(crate) struct Patient {
    receiver: Receiver,
    /// Who shows preimages of what nobody paid keeps the wallet busy no more than this.
    places: Semaphore,
}

impl Patient {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            places: Semaphore::new(CONFIRMS_MAX),
        }
    }

    async fn ask(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let _place = self.places.try_acquire().map_err(|_| Away {
            code: Code::Overloaded,
        })?;
        let end = Instant::now() + CONFIRM_TIMEOUT;
        let mut pause = CONFIRM_PAUSE;
        let mut last = Err(Away {
            code: Code::LightningUnavailable,
        });
        loop {
            match timeout_at(end, self.receiver.look_up(wanted)).await {
                Ok(Ok(InvoiceState::Open)) => last = Ok(InvoiceState::Open),
                Ok(Err(away)) => last = Err(away),
                Ok(decided) => return decided,
                Err(_late) => return last,
            }
            if Instant::now() + pause >= end {
                return last;
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(CONFIRM_PAUSE_MAX)
}

impl Confirms for Patient {
    fn confirm<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(self.ask(wanted))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use faregate_core::port::lightning::{
        InvoiceAsk, MadeInvoice, ReceiveAbilities, ReceiveBackend, UNAVAILABLE, UNSUPPORTED,
    };
    use faregate_types::Timestamp;
    use faregate_types::lightning::{BitcoinNetwork, Msat, PaymentHash};
    use futures_util::FutureExt;
    use futures_util::future::{pending, ready};

    use super::*;

    /// Says one after the other, the last for ever; nothing at all when there is nothing left to say.
    #[derive(Default)]
    struct Said {
        answers: Mutex<VecDeque<Result<InvoiceState, Away>>>,
        asked: AtomicU32,
    }

    impl ReceiveBackend for Said {
        fn abilities(&self) -> ReceiveAbilities {
            ReceiveAbilities {
                look_up: true,
                subscribe: false,
                sets_expiry: true,
                unit: Msat::new(1),
            }
        }

        fn create<'a>(&'a self, _ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
            ready(Err(UNSUPPORTED)).boxed()
        }

        fn look_up<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let mut answers = self.answers.lock().unwrap();
            match answers.len() {
                0 => pending().boxed(),
                1 => ready(answers[0]).boxed(),
                _ => ready(answers.pop_front().unwrap()).boxed(),
            }
        }
    }

    async fn confirmed(
        answers: &[Result<InvoiceState, Away>],
    ) -> (Result<InvoiceState, Away>, u32) {
        let said = Arc::new(Said::default());
        said.answers.lock().unwrap().extend(answers.iter().copied());
        let backend = Arc::clone(&said) as Arc<dyn ReceiveBackend>;
        let clock = Arc::new(|| Timestamp::from_secs(0));
        let patient = Patient::new(Receiver::new(backend, BitcoinNetwork::Regtest, clock));
        let wanted = Wanted {
            payment_hash: PaymentHash::from_bytes([1; 32]),
            amount: Msat::new(10),
            handle: None,
        };
        let before = Instant::now();
        let state = patient.confirm(&wanted).await;
        assert!(before.elapsed() <= CONFIRM_TIMEOUT);
        (state, said.asked.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn a_wallet_that_is_behind_is_given_a_moment_and_no_more() {
        const PAID: Result<InvoiceState, Away> = Ok(InvoiceState::Paid { amount: None });
        const OPEN: Result<InvoiceState, Away> = Ok(InvoiceState::Open);
        assert_eq!(confirmed(&[PAID]).await, (PAID, 1));
        assert_eq!(confirmed(&[OPEN, Err(UNAVAILABLE), PAID]).await, (PAID, 3));
        for state in [
            InvoiceState::Expired,
            InvoiceState::Cancelled,
            InvoiceState::Unknown,
        ] {
            assert_eq!(confirmed(&[Ok(state)]).await, (Ok(state), 1));
        }
        let (state, asked) = confirmed(&[OPEN]).await;
        assert_eq!(state, OPEN);
        assert!((3..20).contains(&asked), "{asked}");
        assert_eq!(confirmed(&[Err(UNSUPPORTED)]).await.0, Err(UNSUPPORTED));
        let silent = confirmed(&[]).await;
        assert_eq!(silent, (Err(UNAVAILABLE), 1));
        let less = Ok(InvoiceState::Paid {
            amount: Some(Msat::new(9)),
        });
        assert_eq!(
            confirmed(&[less]).await.0.unwrap_err().code,
            Code::LightningAnswerInvalid
        );
    }
}
