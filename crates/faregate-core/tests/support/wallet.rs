//! A Lightning wallet that makes real invoices and tells their preimages to whoever "pays" them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use faregate_core::Away;
use faregate_core::port::lightning::{
    InvoiceAsk, MadeInvoice, ReceiveAbilities, ReceiveBackend, UNAVAILABLE,
};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

/// The time its invoices are made at, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// Makes invoices, and tells the preimages to whoever "pays" them.
#[derive(Default)]
pub struct Wallet {
    preimages: Mutex<Vec<[u8; 32]>>,
    pub away: AtomicBool,
}

impl Wallet {
    pub fn made(&self) -> usize {
        self.preimages.lock().unwrap().len()
    }

    pub fn pay(&self, hash: PaymentHash) -> Preimage {
        let made = self.preimages.lock().unwrap();
        let mut found = made.iter().map(|bytes| Preimage::from_bytes(*bytes));
        found.find(|preimage| preimage.hash() == hash).unwrap()
    }
}

impl ReceiveBackend for Wallet {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: false,
            subscribe: false,
            sets_expiry: true,
            unit: Msat::new(1),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        if self.away.load(Ordering::SeqCst) {
            return ready(Err(UNAVAILABLE)).boxed();
        }
        let mut made = self.preimages.lock().unwrap();
        let mut preimage = [7; 32];
        preimage[..8].copy_from_slice(&made.len().to_be_bytes());
        made.push(preimage);
        let hash = Preimage::from_bytes(preimage).hash();
        let key = SecretKey::from_slice(&[0x11; 32]).unwrap();
        let draft = InvoiceBuilder::new(Currency::Regtest)
            .description(ask.description.to_string())
            .payment_hash(sha256::Hash::from_byte_array(*hash.as_bytes()))
            .payment_secret(PaymentSecret([9; 32]))
            .duration_since_epoch(Duration::from_secs(NOW))
            .min_final_cltv_expiry_delta(80)
            .amount_milli_satoshis(ask.amount.get())
            .expiry_time(Duration::from_secs(ask.expiry_secs.into()));
        let sign = |hash: &_| Secp256k1::new().sign_ecdsa_recoverable(hash, &key);
        let invoice = draft.build_signed(sign).unwrap().to_string().into();
        ready(Ok(MadeInvoice {
            invoice,
            handle: None,
        }))
        .boxed()
    }
}
