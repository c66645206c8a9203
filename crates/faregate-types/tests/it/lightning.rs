//! Hashes, preimages, millisatoshis and invoices. The recorded invoices of other implementations are run in
//! `conformance`; here are the cases that nobody recorded.

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use faregate_types::lightning::{
    BitcoinNetwork, Bolt11, InvoiceDescription, InvoiceError, InvoiceWarning, Msat, MsatError,
    PaymentHash, Preimage, PreimageError,
};
use faregate_types::limits::INVOICE_BYTES_MAX;
use faregate_types::{MoneyText, MoneyTextError, Timestamp};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, RawTaggedField, Sha256, SiPrefix,
    TaggedField,
};

const TRUE_PREIMAGE: &str = "2f466aea907bfa80883ece0c453f7ad6b358149e531dc7b7b2e30397e921fb50";
const TWICE_DECODED: &str = "d9fe3ae9a79af74edb7daf34f3cdde71ed1ce39ddfeda77a6f7e7cd78f5ee77d5d73b6fb6f67b7d37f7b7bddb57dbe74";

/// Issued by LNbits 1.6.2, whose own wallet pays it: a payment secret, but no feature bits.
const NO_FEATURES: &str = "lnbc100n1p4spkvqdqcfs6rqv3qg9gyjgrpvd3k2umnxqrrsssp5r797srlk35p7w9dq5y9ywcjex59z3llmxk6z8y3g97pphh03z9xqpp555whw3kurh3423kgxqvtu2yjcvyuzcfkmtfk29qgzmr9hrsh95zq3j64ldl5p36s826q8w8a6nvsvrjdxmsal5juz63aeqsyvz7yku54g03sc3fnqrcuspkck0kaxc6r8dgwq8a60pjykqhdj5n3k7hc0xgqjh049l";

/// BOLT 11's "Please make a donation of any amount".
const ANY_AMOUNT: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";

fn raw() -> RawBolt11Invoice {
    InvoiceBuilder::new(Currency::Regtest)
        .payment_hash(sha256::Hash::from_byte_array([7; 32]))
        .description("coffee".to_owned())
        .payment_secret(PaymentSecret([9; 32]))
        .duration_since_epoch(std::time::Duration::from_secs(1_000))
        .min_final_cltv_expiry_delta(40)
        .build_raw()
        .unwrap()
}

fn signed(raw: RawBolt11Invoice) -> String {
    let key = SecretKey::from_slice(&[0x11; 32]).unwrap();
    let sign = |hash: &Message| Ok::<_, ()>(Secp256k1::new().sign_ecdsa_recoverable(hash, &key));
    raw.sign(sign).unwrap().to_string()
}

fn with_amount(number: u64, prefix: Option<SiPrefix>) -> Result<Option<Msat>, InvoiceError> {
    let mut raw = raw();
    raw.hrp.raw_amount = Some(number);
    raw.hrp.si_prefix = prefix;
    Bolt11::parse(&signed(raw)).map(|invoice| invoice.amount())
}

#[test]
fn an_invoice_says_what_was_put_into_it() {
    let mut raw = raw();
    raw.hrp.raw_amount = Some(25);
    raw.hrp.si_prefix = Some(SiPrefix::Nano);
    let text = signed(raw);
    let invoice = Bolt11::parse(&text.to_ascii_uppercase()).unwrap();
    assert_eq!(invoice.as_str(), text);
    assert_eq!(invoice.network(), BitcoinNetwork::Regtest);
    assert_eq!(invoice.amount(), Some(Msat::new(2_500)));
    assert_eq!(invoice.payment_hash(), PaymentHash::from_bytes([7; 32]));
    assert_eq!(
        invoice.payee().to_string(),
        "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa"
    );
    assert_eq!(invoice.created_at(), Timestamp::from_secs(1_000));
    assert_eq!(invoice.expires_at(), Timestamp::from_secs(4_600));
    assert!(!invoice.is_expired(Timestamp::from_secs(4_599)));
    assert!(invoice.is_expired(Timestamp::from_secs(4_600)));
    assert_eq!(invoice.min_final_cltv(), 40);
    assert_eq!(
        invoice.description(),
        Some(&InvoiceDescription::Text("coffee".into()))
    );
    assert!(invoice.has_payment_secret());
    assert_eq!(invoice.warnings(), []);
}

#[test]
fn amounts_are_exact_or_refused() {
    for (number, prefix, expected) in [
        (1, None, Ok(Some(Msat::new(100_000_000_000)))),
        (
            20,
            Some(SiPrefix::Milli),
            Ok(Some(Msat::new(2_000_000_000))),
        ),
        (1, Some(SiPrefix::Micro), Ok(Some(Msat::new(100_000)))),
        (1, Some(SiPrefix::Nano), Ok(Some(Msat::new(100)))),
        (10, Some(SiPrefix::Pico), Ok(Some(Msat::new(1)))),
        (1, Some(SiPrefix::Pico), Err(InvoiceError::Amount)),
        (25_001, Some(SiPrefix::Pico), Err(InvoiceError::Amount)),
        // The decoder below calls an amount it cannot calculate "no amount".
        (u64::MAX, Some(SiPrefix::Nano), Err(InvoiceError::Amount)),
        (18_446_745, None, Err(InvoiceError::Amount)),
    ] {
        assert_eq!(with_amount(number, prefix), expected, "{number} {prefix:?}");
    }
    assert_eq!(Bolt11::parse(ANY_AMOUNT).unwrap().amount(), None);
}

#[test]
fn two_payment_hashes_are_one_too_many() {
    let mut raw = raw();
    let other = TaggedField::PaymentHash(Sha256(sha256::Hash::from_byte_array([8; 32])));
    raw.data
        .tagged_fields
        .push(RawTaggedField::KnownSemantics(other));
    assert_eq!(Bolt11::parse(&signed(raw)), Err(InvoiceError::PaymentHash));
    let mut raw = self::raw();
    raw.data.tagged_fields.retain(|field| {
        !matches!(
            field,
            RawTaggedField::KnownSemantics(TaggedField::PaymentHash(_))
        )
    });
    assert_eq!(Bolt11::parse(&signed(raw)), Err(InvoiceError::PaymentHash));
}

#[test]
fn what_does_not_decide_about_money_is_a_warning() {
    let invoice = Bolt11::parse(NO_FEATURES).unwrap();
    assert_eq!(invoice.amount(), Some(Msat::new(10_000)));
    assert!(invoice.has_payment_secret());
    assert_eq!(invoice.warnings(), [InvoiceWarning::NoSecretFeature]);
    let mut raw = raw();
    raw.data.tagged_fields.retain(|field| {
        matches!(
            field,
            RawTaggedField::KnownSemantics(TaggedField::PaymentHash(_))
        )
    });
    assert_eq!(
        Bolt11::parse(&signed(raw)).unwrap().warnings(),
        [
            InvoiceWarning::NoDescription,
            InvoiceWarning::NoPaymentSecret,
            InvoiceWarning::NoSecretFeature,
        ]
    );
}

#[test]
fn texts_that_are_no_invoice_are_refused() {
    let long = format!("lnbc1{}", "q".repeat(INVOICE_BYTES_MAX));
    for (text, error) in [
        ("", InvoiceError::Malformed),
        ("lnbc", InvoiceError::Malformed),
        (
            "DEV:66687aadf862bd776c8fc18b8e9f8e20",
            InvoiceError::Malformed,
        ),
        ("lnbc\u{e9}1qqqqqq", InvoiceError::Malformed),
        (long.as_str(), InvoiceError::TooLong),
    ] {
        assert_eq!(Bolt11::parse(text), Err(error), "{text:.40}");
    }
    let simnet = signed(
        InvoiceBuilder::new(Currency::Simnet)
            .payment_hash(sha256::Hash::from_byte_array([7; 32]))
            .description(String::new())
            .payment_secret(PaymentSecret([9; 32]))
            .duration_since_epoch(std::time::Duration::from_secs(1_000))
            .min_final_cltv_expiry_delta(40)
            .build_raw()
            .unwrap(),
    );
    assert_eq!(Bolt11::parse(&simnet), Err(InvoiceError::Network));
}

#[test]
fn preimages_are_64_digits_of_any_case_and_one_value() {
    let lower = Preimage::parse(TRUE_PREIMAGE).unwrap();
    let upper = Preimage::parse(&TRUE_PREIMAGE.to_ascii_uppercase()).unwrap();
    assert_eq!(lower, upper);
    assert_eq!(upper.expose_hex().as_str(), TRUE_PREIMAGE);
    assert!(lower.hash().is_of(&upper));
    assert!(!lower.hash().is_of(&Preimage::from_bytes([0; 32])));
    let text = lower.hash().to_string();
    assert_eq!(text.to_ascii_uppercase().parse(), Ok(lower.hash()));
    for (text, error) in [
        ("", PreimageError::Length),
        ("0x", PreimageError::Digit),
        (&TRUE_PREIMAGE[1..], PreimageError::Length),
        (&format!("{TRUE_PREIMAGE}0"), PreimageError::Length),
        (&format!(" {}", &TRUE_PREIMAGE[1..]), PreimageError::Digit),
        (&format!("0x{}", &TRUE_PREIMAGE[2..]), PreimageError::Digit),
    ] {
        assert_eq!(Preimage::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_preimage_decoded_twice_is_recognised_and_can_be_repaired() {
    assert_eq!(
        Preimage::parse(TWICE_DECODED),
        Err(PreimageError::DecodedTwice)
    );
    let repaired = Preimage::repaired(TWICE_DECODED).unwrap();
    assert_eq!(repaired.expose_hex().as_str(), TRUE_PREIMAGE);
    // 48 bytes that no hexadecimal text decodes to.
    let other = "00".repeat(47) + "fe";
    assert_eq!(Preimage::parse(&other), Err(PreimageError::Length));
    assert_eq!(Preimage::repaired(&other), None);
    assert_eq!(Preimage::repaired(TRUE_PREIMAGE), None);
}

#[test]
fn millisatoshis_are_read_exactly_or_not_at_all() {
    let read = |text: &str| Msat::from_money(&MoneyText::parse(text).unwrap());
    for (text, expected) in [
        ("10 sat", Ok(10_000)),
        ("10 SATS", Ok(10_000)),
        ("0.5 sat", Ok(500)),
        ("0.5000 sat", Ok(500)),
        ("2500 msat", Ok(2_500)),
        ("1 BTC", Ok(100_000_000_000)),
        ("0.00000000001 btc", Ok(1)),
        ("0 sat", Ok(0)),
        ("0.5 msat", Err(MsatError::TooFine)),
        ("1.0005 sat", Err(MsatError::TooFine)),
        ("10", Err(MsatError::Unit)),
        ("10 USD", Err(MsatError::Unit)),
        ("18446744073709551616 msat", Err(MsatError::TooLarge)),
    ] {
        assert_eq!(read(text).map(Msat::get), expected, "{text}");
    }
    let huge = format!("{} msat", "9".repeat(100));
    assert_eq!(read(&huge), Err(MsatError::Money(MoneyTextError::TooLarge)));
    assert_eq!(Msat::from_sat(u64::MAX), None);
    assert_eq!(Msat::new(u64::MAX).checked_add(Msat::new(1)), None);
    assert_eq!(Msat::new(1).checked_sub(Msat::new(2)), None);
    assert_eq!(Msat::new(1_000).checked_mul(u64::MAX), None);
    assert_eq!(
        Msat::new(u64::MAX).to_sat_rounded_up(),
        18_446_744_073_709_552
    );
}

#[test]
fn a_payment_is_named_by_its_hash() {
    let id = |byte| PaymentHash::from_bytes([byte; 32]).payment_id();
    assert_ne!(id(1), id(2));
    // A stored id has to stay what it is.
    assert_eq!(
        id(1).to_string(),
        "0x21648237d3305da187a96f60829d4702054cce44778c7d9ecfa5f9ecee75e8b2"
    );
}

#[test]
fn networks_are_their_names() {
    for network in BitcoinNetwork::ALL {
        assert_eq!(network.caip2().parse(), Ok(network));
        assert_eq!(BitcoinNetwork::from_word(network.as_str()), Some(network));
        assert_eq!(network.is_testnet(), network != BitcoinNetwork::Mainnet);
    }
    assert!(
        "bip122:000000000019D6689C085AE165831E93"
            .parse::<BitcoinNetwork>()
            .is_err()
    );
}
