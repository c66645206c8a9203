//! Macaroons: made, decoded, verified.

use faregate_types::l402::{
    Credential, Identifier, Macaroon, MacaroonV1, Request, RootKey, Rules, Target, TokenTextError,
    verify,
};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use faregate_types::{Code, Timestamp};
use serde_json::Value;

use super::{NOW, bytes, bytes32, equal, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// Minting gives the bytes of the other libraries, caveat by caveat; reading gives back what was put in.
///
/// # Errors
/// Names the first difference.
pub fn made(case: &Case) -> Result<Heard, String> {
    let known = [
        "name",
        "root_key_hex",
        "derived_key_hex",
        "location",
        "identifier_hex",
        "caveats",
        "signature_chain_hex",
        "signature_hex",
        "v2_hex",
        "v2_base64",
        "v2_base64url_nopad",
        "identifier",
        "v1_base64url_nopad",
        "naive_signature_hex_without_key_derivation",
        // Who agreed, and what else they made of it.
        "signature_agreed_by",
        "v2_bytes_agreed_by",
        "v1_from",
        "crate_macaroon_v1_text",
        "v1_bytes_agreed_by",
        "pymacaroons_v1_error",
    ];
    case.only(&[], &known)?;
    let text = |key: &str| case.expected::<String>(key);
    let key = RootKey::from_bytes(bytes32(&text("root_key_hex")?)?);
    let (location, identifier) = (text("location")?, bytes(&text("identifier_hex")?)?);
    let caveats: Vec<String> = case.expected("caveats")?;
    let v2 = bytes(&text("v2_hex")?)?;

    let none: [&str; 0] = [];
    let failed = |error| format!("{error}");
    let mut grown = Macaroon::mint(&key, &location, &identifier, &none).map_err(failed)?;
    let chain: Vec<String> = case.expected("signature_chain_hex")?;
    let mut links = chain.iter();
    for caveat in std::iter::once(None).chain(caveats.iter().map(Some)) {
        if let Some(caveat) = caveat {
            grown = grown.attenuate(caveat).map_err(failed)?;
        }
        let link = links.next().ok_or("has too few signatures")?;
        equal("signature", &bytes32(link)?, grown.signature())?;
    }
    let minted = Macaroon::mint(&key, &location, &identifier, &caveats).map_err(failed)?;
    equal("narrowed", &minted, &grown)?;
    equal("bytes", &v2.as_slice(), &minted.as_bytes())?;
    equal(
        "signature",
        &bytes32(&text("signature_hex")?)?,
        minted.signature(),
    )?;
    equal("base64", &text("v2_base64")?, &minted.to_base64())?;
    for form in ["v2_base64", "v2_base64url_nopad"] {
        equal(
            form,
            &Ok(minted.clone()),
            &Macaroon::from_base64(&text(form)?),
        )?;
    }
    if !minted.is_signed_by(&key) {
        return Err("does not verify".into());
    }
    let naive = text("naive_signature_hex_without_key_derivation")?;
    let mut wrong = v2;
    wrong.truncate(wrong.len().saturating_sub(32));
    wrong.extend(bytes32(&naive)?);
    if Macaroon::decode(&wrong).map_err(failed)?.is_signed_by(&key) {
        return Err("verifies without the derived key".into());
    }
    version_1(case, &minted)?;
    identified(case, &minted)?;
    Ok(Heard::same(case))
}

/// The older form of the same, as another library wrote it.
fn version_1(case: &Case, ours: &Macaroon) -> Result<(), String> {
    let text: String = case.expected("v1_base64url_nopad")?;
    // Not a token to our reader, but base64 to it.
    let unpadded = Macaroon::from_base64(&text);
    let Err(TokenTextError::Macaroon(_)) = unpadded else {
        return Err(format!("version 1: got {unpadded:?}"));
    };
    let bytes = base64_url(&text)?;
    let inspected = MacaroonV1::inspect(&bytes).map_err(|error| format!("version 1: {error}"))?;
    equal("location", &&*inspected.location, &ours.location())?;
    equal("identifier", &&*inspected.identifier, &ours.identifier())?;
    let caveats: Vec<Box<[u8]>> = ours.caveats().map(|caveat| caveat.id.into()).collect();
    equal("caveats", &inspected.caveats, &caveats)
}

fn base64_url(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| error.to_string())
}

fn identified(case: &Case, ours: &Macaroon) -> Result<(), String> {
    let decoded = Identifier::decode(ours.identifier());
    let Some(parts) = case.expected.get("identifier") else {
        // Of another dialect.
        return if decoded.is_err() {
            Ok(())
        } else {
            Err("has an identifier after all".into())
        };
    };
    let part = |key: &str| parts.get(key).and_then(Value::as_str).unwrap_or_default();
    let identifier = Identifier {
        payment_hash: PaymentHash::from_bytes(bytes32(part("payment_hash_hex"))?),
        token_id: bytes32(part("token_id_hex"))?,
    };
    equal("identifier", &Ok(identifier), &decoded)?;
    equal("identifier", &&identifier.encode()[..], &ours.identifier())
}

/// Whether bytes are a macaroon. `implementation-defined` is what the libraries disagree about; beside it stands our word.
///
/// # Errors
/// When the two texts of the case are not the same bytes.
pub fn decoded(case: &Case) -> Result<Heard, String> {
    let known = ["name", "hex", "base64", "expected", "libs", "libs_detail"];
    case.only(&[], &known)?;
    let raw = bytes(&case.expected::<String>("hex")?)?;
    let expected: String = case.expected("expected")?;
    let expected = match expected.strip_prefix("implementation-defined (we: ") {
        Some(ours) => ours.trim_end_matches(')').to_owned(),
        None => expected,
    };
    let ours = Macaroon::decode(&raw);
    if let Ok(macaroon) = &ours {
        equal("bytes", &raw.as_slice(), &macaroon.as_bytes())?;
    }
    let through_text = Macaroon::from_base64(&case.expected::<String>("base64")?);
    equal("base64", &verdict(&ours), &verdict(&through_text))?;
    Ok(Heard::one(case, expected, verdict(&ours)))
}

/// Whether a token opens a service by the published rules. By ours none of these does: nothing in them says for which route, at
/// which price.
///
/// # Errors
/// When our own rules take one, or when signature and verdict do not fit together.
pub fn verified(case: &Case) -> Result<Heard, String> {
    let known = [
        "name",
        "macaroon_base64",
        "preimage_hex",
        "context",
        "root_key_hex",
        "expect",
        "reason",
        "aperture_at_7ee3ed7",
        "signature_ok_pymacaroons",
    ];
    case.only(&[], &known)?;
    let context: Value = case.expected("context")?;
    let service = context.get("service").and_then(Value::as_str);
    let now = context.get("now").and_then(Value::as_u64);
    let text: String = case.expected("macaroon_base64")?;
    let macaroon = Macaroon::from_base64(&text).map_err(|error| error.to_string())?;
    let key = RootKey::from_bytes(bytes32(&case.expected::<String>("root_key_hex")?)?);
    let signed: bool = case.expected("signature_ok_pymacaroons")?;
    equal("signature", &signed, &macaroon.is_signed_by(&key))?;

    let (macaroon, preimage) = match case.expected::<Option<String>>("preimage_hex")? {
        Some(text) => (
            macaroon,
            Preimage::parse(&text).map_err(|error| error.to_string())?,
        ),
        None => {
            let digits: String = macaroon
                .as_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let carried = Credential::from_metadata(digits.as_bytes());
            let carried = carried.map_err(|error| error.to_string())?;
            (macaroon, carried.preimage)
        }
    };
    let mut target = Target {
        service: service.ok_or("has no service")?,
        tier: 0,
        capability: None,
        now: Timestamp::from_secs(now.unwrap_or(NOW)),
        rules: Rules::Published,
    };
    let published = verify(&macaroon, &preimage, &key, &target);
    if matches!(&published, Err(refusal) if refusal.code == Code::L402TokenForged) && signed {
        return Err("was called forged, and is not".into());
    }
    target.rules = Rules::Ours(Request {
        route: "/*",
        path: "/",
        method: "GET",
        price: Msat::ZERO,
        client: None,
    });
    if verify(&macaroon, &preimage, &key, &target).is_ok() {
        return Err("opens a route although it names none".into());
    }
    let expected: String = case.expected("expect")?;
    Ok(Heard::one(case, expected, verdict(&published)))
}
