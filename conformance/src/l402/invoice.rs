//! Preimages and invoices.

use faregate_types::lightning::{
    BitcoinNetwork, Bolt11, InvoiceDescription, PaymentHash, Preimage, PreimageError,
};
use serde_json::{Value, json};

use super::equal;
use crate::case::Case;
use crate::judge::Heard;

/// A preimage and its hash.
///
/// # Errors
/// Names the difference.
pub fn preimage(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["preimage_hex", "payment_hash_hex"])?;
    let text: String = case.expected("preimage_hex")?;
    let hash: PaymentHash = case.expected("payment_hash_hex")?;
    for text in [text.clone(), text.to_ascii_uppercase()] {
        let preimage = Preimage::parse(&text).map_err(|error| error.to_string())?;
        equal("hash", &hash, &preimage.hash())?;
    }
    Ok(Heard::same(case))
}

/// A preimage that a wallet decoded once too often.
///
/// # Errors
/// Names the difference.
pub fn decoded_twice(case: &Case) -> Result<Heard, String> {
    let known = [
        "about",
        "true_preimage_hex",
        "payment_hash_hex",
        "wrong_96_hex",
        "recovered",
        "we",
    ];
    case.only(&[], &known)?;
    let wrong: String = case.expected("wrong_96_hex")?;
    equal(
        "verdict",
        &Err(PreimageError::DecodedTwice),
        &Preimage::parse(&wrong),
    )?;
    let repaired = Preimage::repaired(&wrong).ok_or("is not repaired")?;
    for member in ["true_preimage_hex", "recovered"] {
        let right: String = case.expected(member)?;
        equal(member, &right, &repaired.expose_hex())?;
    }
    equal(
        "hash",
        &case.expected("payment_hash_hex")?,
        &repaired.hash(),
    )?;
    Ok(Heard::same(case))
}

/// An invoice. `valid` and `invalid` are the words of the specification; where it says nothing they are those of the strict
/// decoder. Ours may also be `valid, with warnings`.
///
/// # Errors
/// When we read something else out of it than the other decoder.
pub fn bolt11(case: &Case) -> Result<Heard, String> {
    let known = [
        "title",
        "invoice",
        "spec",
        "lightning_invoice_0_34_1",
        "pypi_bolt11_2_2_0",
        "npm_light_bolt11_decoder_3_2_0",
        "preimage_hex",
    ];
    case.only(&[], &known)?;
    let (text, spec): (String, String) = (case.expected("invoice")?, case.expected("spec")?);
    let strict: Value = case.expected("lightning_invoice_0_34_1")?;
    let is_strict = strict.get("ok") == Some(&Value::Bool(true));
    let ours = Bolt11::parse(&text);
    if let Ok(invoice) = &ours {
        if is_strict {
            same_content(&strict, invoice)?;
        } else if let Some(raw) = strict.get("raw") {
            let hash = json!(invoice.payment_hash().to_string());
            equal("hash", &raw.get("hash"), &Some(&hash))?;
            let signed = raw.get("signature_ok");
            equal("signature", &signed, &Some(&Value::Bool(true)))?;
        }
        if case.expected.get("preimage_hex").is_some() {
            let text: String = case.expected("preimage_hex")?;
            let preimage = Preimage::parse(&text).map_err(|error| error.to_string())?;
            equal("hash", &invoice.payment_hash(), &preimage.hash())?;
        }
    }
    let theirs = match spec.as_str() {
        "lab" if is_strict => "valid".to_owned(),
        "lab" => "invalid".to_owned(),
        _ => spec,
    };
    let ours = match ours {
        Ok(invoice) if invoice.warnings().is_empty() => "valid",
        Ok(_) => "valid, with warnings",
        Err(_) => "invalid",
    };
    Ok(Heard::one(case, theirs, ours))
}

fn same_content(strict: &Value, ours: &Bolt11) -> Result<(), String> {
    let currency = match ours.network() {
        BitcoinNetwork::Mainnet => "Bitcoin",
        BitcoinNetwork::Testnet => "BitcoinTestnet",
        BitcoinNetwork::Signet => "Signet",
        BitcoinNetwork::Regtest => "Regtest",
    };
    let lasts = ours.expires_at().secs_since(ours.created_at());
    for (key, ours) in [
        ("currency", json!(currency)),
        ("expiry", json!(lasts)),
        ("hash", json!(ours.payment_hash().to_string())),
        ("min_cltv", json!(ours.min_final_cltv())),
        ("msat", json!(ours.amount())),
        ("payee", json!(ours.payee().to_string())),
        ("ts", json!(ours.created_at().as_secs())),
    ] {
        let theirs = strict.get(key).ok_or_else(|| format!("has no {key}"))?;
        equal(key, theirs, &ours)?;
    }
    equal(
        "secret",
        &strict.get("secret").is_some_and(Value::is_string),
        &ours.has_payment_secret(),
    )?;
    // The other decoder's debug text.
    let theirs = strict.get("desc").and_then(Value::as_str);
    let ours = match ours.description() {
        Some(InvoiceDescription::Text(text)) => {
            format!("Direct(Description(UntrustedString({text:?})))")
        }
        Some(InvoiceDescription::Hash(hash)) => {
            let hash = PaymentHash::from_bytes(*hash);
            format!("Hash(Sha256(0x{hash}))")
        }
        None => String::new(),
    };
    equal("description", &theirs, &Some(&ours))
}
