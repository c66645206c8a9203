//! What a BOLT 11 invoice says, checked as far as that is possible without a node.
//!
//! The decoder works on the raw level: what a wallet needs to route a payment but we do not need to recognise one (feature
//! bits, a payment secret, a description) is reported as a warning. Some deployed services issue such invoices, and their
//! own wallets pay them (specs/l402.md §5). What decides about money is never lax: the amount, the hash, the signature.

use std::fmt;

use lightning_invoice::{
    Bolt11ParseError, Currency, DEFAULT_EXPIRY_TIME, DEFAULT_MIN_FINAL_CLTV_EXPIRY_DELTA,
    RawBolt11Invoice, SignedRawBolt11Invoice, TaggedField,
};

use super::hash::PaymentHash;
use super::msat::Msat;
use super::network::BitcoinNetwork;
use crate::limits::INVOICE_BYTES_MAX;
use crate::timestamp::Timestamp;

/// Picobitcoins in one millisatoshi.
const PICO_PER_MSAT: u64 = 10;

/// A decoded invoice whose signature is the payee's.
///
/// ```
/// use faregate_types::lightning::{Bolt11, InvoiceError};
///
/// assert_eq!(Bolt11::parse("lnbc1"), Err(InvoiceError::Malformed));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bolt11 {
    text: Box<str>,
    network: BitcoinNetwork,
    amount: Option<Msat>,
    payment_hash: PaymentHash,
    payee: NodeKey,
    created_at: Timestamp,
    expires_at: Timestamp,
    min_final_cltv: u64,
    description: Option<InvoiceDescription>,
    has_payment_secret: bool,
    warnings: Vec<InvoiceWarning>,
}

/// What an invoice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "BOLT 11 has these two")]
pub enum InvoiceDescription {
    /// The text itself. Written by the payee: not to be trusted, and possibly with control characters.
    Text(Box<str>),
    /// The SHA-256 of a text that is handed over elsewhere.
    Hash([u8; 32]),
}

/// The public key of a Lightning node: 33 bytes, in text 66 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; 33]);

/// Why a text is no invoice that could be paid. Never carries a part of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvoiceError {
    /// Longer than [`INVOICE_BYTES_MAX`].
    #[error("expected an invoice of at most {INVOICE_BYTES_MAX} characters")]
    TooLong,
    /// Not bech32, a wrong checksum, or a field that cannot be read.
    #[error("expected a BOLT 11 invoice")]
    Malformed,
    /// The prefix names a network we do not know.
    #[error("expected an invoice of Bitcoin mainnet, testnet, signet or regtest")]
    Network,
    /// Parts of a millisatoshi, more than 2^64 picobitcoins, or an unknown multiplier.
    #[error("expected an amount that is a whole number of millisatoshis")]
    Amount,
    /// No payment hash, or several.
    #[error("expected exactly one payment hash in the invoice")]
    PaymentHash,
    /// The signature is not one of the payee.
    #[error("expected an invoice that is signed by its payee")]
    Signature,
}

/// A rule of BOLT 11 that the invoice breaks and that does not matter for recognising a payment. Wallets may refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InvoiceWarning {
    /// Neither a description nor the hash of one.
    NoDescription,
    /// More than one description or hash of one.
    SeveralDescriptions,
    /// No payment secret: anybody on the route could take a part of the payment.
    NoPaymentSecret,
    /// More than one payment secret.
    SeveralPaymentSecrets,
    /// No feature bits, or not the one for payment secrets.
    NoSecretFeature,
    /// A feature that a payer must know, and that is not known here.
    UnknownFeature,
}

impl InvoiceWarning {
    /// One sentence for people, without a full stop.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoDescription => "the invoice does not say what it is for",
            Self::SeveralDescriptions => "the invoice has more than one description",
            Self::NoPaymentSecret => "the invoice has no payment secret",
            Self::SeveralPaymentSecrets => "the invoice has more than one payment secret",
            Self::NoSecretFeature => "the invoice does not declare the payment secret feature",
            Self::UnknownFeature => "the invoice requires a feature that is not known",
        }
    }
}

impl Bolt11 {
    /// Decodes an invoice in lower or in upper case and checks its signature.
    ///
    /// # Errors
    /// [`InvoiceError`] names what is wrong. Breaches that leave no doubt about who is paid how much for which hash are
    /// [`warnings`](Self::warnings).
    pub fn parse(text: &str) -> Result<Self, InvoiceError> {
        if text.len() > INVOICE_BYTES_MAX {
            return Err(InvoiceError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvoiceError::Malformed);
        }
        let signed: SignedRawBolt11Invoice = text.parse().map_err(parse_error)?;
        let raw = signed.raw_invoice();
        let payee = payee(&signed)?;
        let created_at = raw.data.timestamp.as_unix_timestamp();
        let lasts = raw.expiry_time().map_or(
            DEFAULT_EXPIRY_TIME,
            lightning_invoice::ExpiryTime::as_seconds,
        );
        Ok(Self {
            text: text.to_ascii_lowercase().into(),
            network: network(&raw.currency())?,
            amount: amount(raw)?,
            payment_hash: payment_hash(raw)?,
            payee,
            created_at: Timestamp::from_secs(created_at),
            expires_at: Timestamp::from_secs(created_at.saturating_add(lasts)),
            min_final_cltv: raw
                .min_final_cltv_expiry_delta()
                .map_or(DEFAULT_MIN_FINAL_CLTV_EXPIRY_DELTA, |delta| delta.0),
            description: description(raw),
            has_payment_secret: raw.payment_secret().is_some(),
            warnings: warnings(raw),
        })
    }

    /// The invoice as it is sent, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The network it has to be paid on.
    #[must_use]
    pub const fn network(&self) -> BitcoinNetwork {
        self.network
    }

    /// What has to be paid; `None` when the payer may choose.
    #[must_use]
    pub const fn amount(&self) -> Option<Msat> {
        self.amount
    }

    /// The hash whose preimage the payer gets.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// The node that signed it and is paid.
    #[must_use]
    pub const fn payee(&self) -> NodeKey {
        self.payee
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it can no longer be paid: the first second that is too late.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether it can no longer be paid at this time.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// How many blocks the payee wants to have for claiming the last part of the payment.
    #[must_use]
    pub const fn min_final_cltv(&self) -> u64 {
        self.min_final_cltv
    }

    /// What it is for, as the payee says.
    #[must_use]
    pub const fn description(&self) -> Option<&InvoiceDescription> {
        self.description.as_ref()
    }

    /// Whether it has a payment secret.
    #[must_use]
    pub const fn has_payment_secret(&self) -> bool {
        self.has_payment_secret
    }

    /// Which rules of BOLT 11 it breaks without being useless. Empty for an invoice that every wallet takes.
    #[must_use]
    pub fn warnings(&self) -> &[InvoiceWarning] {
        &self.warnings
    }
}

impl fmt::Display for Bolt11 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Bolt11 {
    type Err = InvoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl NodeKey {
    /// The 33 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({self})")
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn parse_error(error: Bolt11ParseError) -> InvoiceError {
    match error {
        Bolt11ParseError::UnknownCurrency => InvoiceError::Network,
        Bolt11ParseError::ParseAmountError(_)
        | Bolt11ParseError::UnknownSiPrefix
        | Bolt11ParseError::IntegerOverflowError => InvoiceError::Amount,
        Bolt11ParseError::MalformedSignature(_) => InvoiceError::Signature,
        _ => InvoiceError::Malformed,
    }
}

const fn network(currency: &Currency) -> Result<BitcoinNetwork, InvoiceError> {
    match currency {
        Currency::Bitcoin => Ok(BitcoinNetwork::Mainnet),
        Currency::BitcoinTestnet => Ok(BitcoinNetwork::Testnet),
        Currency::Signet => Ok(BitcoinNetwork::Signet),
        Currency::Regtest => Ok(BitcoinNetwork::Regtest),
        Currency::Simnet => Err(InvoiceError::Network),
    }
}

fn amount(raw: &RawBolt11Invoice) -> Result<Option<Msat>, InvoiceError> {
    if raw.hrp.raw_amount.is_none() {
        return Ok(None);
    }
    // An amount that is there and cannot be calculated is too large. It must not look like "choose yourself".
    let pico = raw.amount_pico_btc().ok_or(InvoiceError::Amount)?;
    if !pico.is_multiple_of(PICO_PER_MSAT) {
        return Err(InvoiceError::Amount);
    }
    Ok(pico.checked_div(PICO_PER_MSAT).map(Msat::new))
}

fn payment_hash(raw: &RawBolt11Invoice) -> Result<PaymentHash, InvoiceError> {
    let mut hashes = raw.known_tagged_fields().filter_map(|field| match field {
        TaggedField::PaymentHash(hash) => Some(bytes_of(hash)),
        _ => None,
    });
    match (hashes.next(), hashes.next()) {
        (Some(hash), None) => Ok(PaymentHash::from_bytes(hash)),
        // A wallet and we could take different ones.
        (_, _) => Err(InvoiceError::PaymentHash),
    }
}

fn bytes_of(hash: &lightning_invoice::Sha256) -> [u8; 32] {
    let bytes: &[u8; 32] = hash.0.as_ref();
    *bytes
}

fn payee(signed: &SignedRawBolt11Invoice) -> Result<NodeKey, InvoiceError> {
    let key = match signed.raw_invoice().payee_pub_key() {
        // Compares, and takes only the canonical signature.
        Some(named) => signed.check_signature().then_some(named.0),
        None => signed.recover_payee_pub_key().ok().map(|key| key.0),
    };
    key.map(|key| NodeKey(key.serialize()))
        .ok_or(InvoiceError::Signature)
}

fn description(raw: &RawBolt11Invoice) -> Option<InvoiceDescription> {
    match (raw.description(), raw.description_hash()) {
        (Some(text), _) => Some(InvoiceDescription::Text(text.as_inner().0.as_str().into())),
        (None, Some(hash)) => Some(InvoiceDescription::Hash(bytes_of(hash))),
        (None, None) => None,
    }
}

fn warnings(raw: &RawBolt11Invoice) -> Vec<InvoiceWarning> {
    let count = |wanted: fn(&TaggedField) -> bool| {
        raw.known_tagged_fields()
            .filter(|field| wanted(field))
            .count()
    };
    let mut found = Vec::new();
    match count(|field| {
        matches!(
            field,
            TaggedField::Description(_) | TaggedField::DescriptionHash(_)
        )
    }) {
        0 => found.push(InvoiceWarning::NoDescription),
        1 => {}
        _ => found.push(InvoiceWarning::SeveralDescriptions),
    }
    match count(|field| matches!(field, TaggedField::PaymentSecret(_))) {
        0 => found.push(InvoiceWarning::NoPaymentSecret),
        1 => {}
        _ => found.push(InvoiceWarning::SeveralPaymentSecrets),
    }
    let features = raw.features();
    if !features.is_some_and(|features| features.supports_payment_secret()) {
        found.push(InvoiceWarning::NoSecretFeature);
    }
    if features.is_some_and(|features| features.requires_unknown_bits()) {
        found.push(InvoiceWarning::UnknownFeature);
    }
    found
}
