//! Making invoices: BOLT 11 on regtest, signed by a dev key.

use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey, SignOnly};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

/// How many blocks a payee wants for claiming the last part of a payment. LND's default.
pub(super) const CLTV_EXPIRY: u64 = 80;

/// What goes into an invoice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'a> {
    pub(super) payment_hash: [u8; 32],
    pub(super) payment_secret: [u8; 32],
    pub(super) msat: u64,
    pub(super) memo: &'a str,
    /// In place of the memo.
    pub(super) description_hash: Option<[u8; 32]>,
    pub(super) created_secs: u64,
    pub(super) expiry_secs: u64,
}

/// Signs the invoices of one wallet.
#[derive(Debug)]
pub(super) struct InvoiceSigner {
    secp: Secp256k1<SignOnly>,
    key: SecretKey,
    node: [u8; 33],
}

impl InvoiceSigner {
    /// `None` if the bytes are no key.
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        let key = SecretKey::from_slice(key).ok()?;
        let secp = Secp256k1::signing_only();
        let node = PublicKey::from_secret_key(&secp, &key).serialize();
        Some(Self { secp, key, node })
    }

    /// The wallet's public key.
    pub(super) const fn node(&self) -> &[u8; 33] {
        &self.node
    }

    /// `None` for what does not fit into an invoice, such as a long description.
    pub(super) fn sign(&self, draft: Draft<'_>) -> Option<String> {
        let described = InvoiceBuilder::new(Currency::Regtest);
        let described = match draft.description_hash {
            Some(hash) => described.description_hash(sha256::Hash::from_byte_array(hash)),
            None => described.description(draft.memo.to_owned()),
        };
        described
            .payment_hash(sha256::Hash::from_byte_array(draft.payment_hash))
            .payment_secret(PaymentSecret(draft.payment_secret))
            .duration_since_epoch(Duration::from_secs(draft.created_secs))
            .min_final_cltv_expiry_delta(CLTV_EXPIRY)
            .expiry_time(Duration::from_secs(draft.expiry_secs))
            .amount_milli_satoshis(draft.msat)
            .basic_mpp()
            .build_signed(|hash| self.secp.sign_ecdsa_recoverable(hash, &self.key))
            .ok()
            .map(|invoice| invoice.to_string())
    }
}
