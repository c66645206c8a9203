//! How much one payer may owe for one route: what is held of it and has not ended, and what is on its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, U256};
use faregate_types::{Code, Erc20, Refusal};

use crate::port::{Away, CertificateStore};
use crate::rail::VerifyError;

/// Who, for what, in what.
type Key = (Address, Box<str>, Erc20);

/// What is on its way in this process. Copies are the same.
#[derive(Clone, Default)]
pub(super) struct Owing(Arc<Mutex<BTreeMap<Key, U256>>>);

/// An amount on its way; it is not any more when this is dropped.
pub(super) struct OnItsWay {
    owing: Owing,
    key: Key,
    amount: U256,
}

impl Owing {
    /// Lets an amount through if it, what is on its way and what is held come to no more than `max`. What has just arrived may
    /// be counted twice for a moment, and nothing is ever left out: too much never gets through.
    pub(super) async fn enter(
        &self,
        certificates: &dyn CertificateStore,
        key: Key,
        amount: U256,
        max: U256,
    ) -> Result<OnItsWay, VerifyError> {
        let on_its_way = {
            let mut all = self.lock();
            let sum = all.entry(key.clone()).or_default();
            *sum = sum.saturating_add(amount);
            *sum
        };
        let entered = OnItsWay {
            owing: self.clone(),
            key,
            amount,
        };
        let (payer, route, asset) = &entered.key;
        let held = certificates.owed(*payer, route, *asset).await;
        let held = held.map_err(|_| Away {
            code: Code::StoreUnavailable,
        })?;
        match held.checked_add(on_its_way) {
            Some(sum) if sum <= max => Ok(entered),
            _ => Err(Refusal::new(Code::CreditLimitReached).payer(*payer).into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, U256>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut all = self.owing.lock();
        if let Some(sum) = all.get_mut(&self.key) {
            *sum = sum.saturating_sub(self.amount);
            if sum.is_zero() {
                all.remove(&self.key);
            }
        }
    }
}
