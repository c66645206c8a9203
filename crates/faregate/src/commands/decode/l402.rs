//! What L402 and Lightning texts say: tokens, challenges, credentials, invoices. A preimage is never shown.

use faregate_types::l402::body::ForeignBody;
use faregate_types::l402::{
    Challenge, Credential, Identifier, Macaroon, MacaroonV1, Presented, Scheme, opened,
};
use faregate_types::lightning::{Bolt11, InvoiceDescription};
use faregate_types::{Code, Refusal};
use serde_json::{Value, json};

use super::{Explained, Page};
use crate::exit::Failed;

/// Explains a text that is one of ours; `None` for all others.
///
/// # Errors
/// When it is meant to be one and cannot be read.
pub(super) fn explain(text: &str) -> Result<Option<Explained>, Failed> {
    let (name, value) = header(text);
    if name.is_some_and(|name| name.eq_ignore_ascii_case("www-authenticate"))
        || Challenge::parse_all([value.as_bytes()]).is_ok()
    {
        return challenge(value).map(Some);
    }
    let scheme = value.split([' ', '\t']).next().unwrap_or_default();
    if Scheme::from_name(scheme).is_some() {
        return credential(value).map(Some);
    }
    if is_invoice(value) {
        let invoice =
            Bolt11::parse(value).map_err(|error| unreadable("invoice", &error.to_string()))?;
        let mut page = Page::default();
        let content = page.invoice(&invoice);
        return Ok(Some(page.done("BOLT 11 invoice", content)));
    }
    Ok(macaroon(value))
}

/// Explains a 402 body as l402kit's servers write it.
pub(super) fn body(text: &str) -> Option<Explained> {
    let body = ForeignBody::read(text.as_bytes())?;
    let mut page = Page::default();
    let content = page.asked(&body.macaroon, &body.invoice);
    Some(page.done("L402 402 body", content))
}

/// Explains the JSON inside of an unsigned token.
pub(super) fn unsigned(value: &Value) -> Option<Explained> {
    let hash = value.get("hash").and_then(Value::as_str)?;
    let expires = value.get("exp")?;
    let mut page = Page::default();
    page.row("payment", hash);
    page.row("expires", &format!("{expires} (unix milliseconds)"));
    page.warnings.push(UNSIGNED.to_owned());
    Some(page.done("unsigned token of l402kit", value.clone()))
}

const UNSIGNED: &str =
    "signed by nobody: whoever can calculate a hash can make such a token, paid or not";

/// The name of the header in front, if there is one.
fn header(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, value))
            if ["www-authenticate", "authorization", "macaroon"]
                .iter()
                .any(|known| name.trim().eq_ignore_ascii_case(known)) =>
        {
            (Some(name.trim()), value.trim())
        }
        _ => (None, text),
    }
}

fn is_invoice(text: &str) -> bool {
    let start = text.get(..4).unwrap_or_default();
    ["lnbc", "lntb", "lnsb"]
        .iter()
        .any(|known| start.eq_ignore_ascii_case(known))
}

fn unreadable(what: &str, why: &str) -> Failed {
    Failed::usage(format!("the {what} cannot be read: {why}"))
}

fn challenge(value: &str) -> Result<Explained, Failed> {
    let found = Challenge::parse_all([value.as_bytes()])
        .map_err(|error| unreadable("challenge", &error.to_string()).code(Code::MalformedOffer))?;
    let mut page = Page::default();
    let mut content = Vec::new();
    for challenge in &found {
        page.row("scheme", challenge.scheme.as_str());
        let mut asked = page.asked(&challenge.token, &challenge.invoice);
        if let Some(members) = asked.as_object_mut() {
            members.insert("scheme".into(), json!(challenge.scheme.as_str()));
        }
        content.push(asked);
    }
    Ok(page.done("L402 challenge", Value::Array(content)))
}

fn credential(value: &str) -> Result<Explained, Failed> {
    let read = Presented::read(value.as_bytes()).map_err(|error| {
        unreadable("credential", &error.to_string()).code(Code::L402TokenMalformed)
    })?;
    let mut page = Page::default();
    match read {
        Some(Presented::Signed(credential)) => {
            let content = page.credential(&credential);
            Ok(page.done("L402 credential", content))
        }
        Some(Presented::Unsigned(token)) => {
            page.row("payment", &token.hash.to_string());
            let expires = token.expires_ms;
            page.row("expires", &format!("{expires} (unix milliseconds)"));
            page.row("preimage", "belongs to the payment");
            page.warnings.push(UNSIGNED.to_owned());
            let content = json!({"payment_hash": token.hash, "expires_ms": expires});
            Ok(page.done("unsigned credential of l402kit", content))
        }
        None => Err(unreadable("credential", "another scheme")),
    }
}

/// A token by itself: base64 or digits, of either version.
fn macaroon(text: &str) -> Option<Explained> {
    let bytes = hex::decode(text).ok();
    let mut page = Page::default();
    let v2 = bytes
        .as_deref()
        .and_then(|bytes| Macaroon::decode(bytes).ok());
    if let Some(token) = v2.or_else(|| Macaroon::from_base64(text).ok()) {
        let content = page.token(&token);
        return Some(page.done("macaroon, binary version 2", content));
    }
    let bytes = bytes.or_else(|| any_base64(text))?;
    let token = MacaroonV1::inspect(&bytes).ok()?;
    page.row("location", &shown(&token.location));
    page.row("identifier", &shown(&token.identifier));
    for caveat in &token.caveats {
        page.row("caveat", &shown(caveat));
    }
    page.warnings
        .push("version 1 is for looking only: nothing of ours verifies it".to_owned());
    let caveats: Vec<String> = token.caveats.iter().map(|caveat| shown(caveat)).collect();
    let content = json!({
        "location": shown(&token.location),
        "identifier": shown(&token.identifier),
        "caveats": caveats,
    });
    Some(page.done("macaroon, version 1", content))
}

fn any_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let text = text.trim_end_matches('=');
    let standard = STANDARD_NO_PAD.decode(text);
    standard.or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

fn shown(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| hex::encode(bytes), str::to_owned)
}

impl Page {
    fn done(self, kind: &'static str, content: Value) -> Explained {
        Explained::of(kind, self, content)
    }

    /// What a server asks for: its token and its invoice, and whether they belong together.
    fn asked(&mut self, token: &str, invoice: &str) -> Value {
        let invoice = match Bolt11::parse(invoice) {
            Ok(invoice) => Some(invoice),
            Err(error) => {
                let message = format!("the invoice would not be paid: {error}");
                self.warnings.push(message);
                None
            }
        };
        let token = Macaroon::from_base64(token).ok();
        let mut content = json!({});
        if let Some(members) = content.as_object_mut() {
            let invoice = invoice.as_ref().map(|invoice| self.invoice(invoice));
            members.insert("invoice".into(), invoice.unwrap_or(Value::Null));
            let token = token.as_ref().map(|token| self.token(token));
            members.insert("token".into(), token.unwrap_or(Value::Null));
        }
        match &token {
            Some(token) => {
                let identifier = Identifier::decode(token.identifier()).ok();
                let pays = identifier.zip(invoice);
                if pays.is_some_and(|(id, invoice)| id.payment_hash != invoice.payment_hash()) {
                    let message = "token and invoice are for different payments: paying this invoice opens nothing";
                    self.warnings.push(message.to_owned());
                }
            }
            None => self.row("token", "not a macaroon: only its server can read it"),
        }
        content
    }

    fn credential(&mut self, credential: &Credential) -> Value {
        let mut content = Vec::new();
        for token in &credential.tokens {
            content.push(self.token(token));
            let opens = opened(token, &credential.preimage);
            let text = match opens {
                Ok(_) => "belongs to the payment",
                Err(Refusal {
                    code: Code::L402PreimageWrong,
                    ..
                }) => "of another payment",
                Err(_) => "cannot be compared: the identifier is of another dialect",
            };
            self.row("preimage", text);
        }
        Value::Array(content)
    }

    fn token(&mut self, token: &Macaroon) -> Value {
        self.row("location", &shown(token.location()));
        let identifier = Identifier::decode(token.identifier()).ok();
        match &identifier {
            Some(identifier) => {
                self.row("payment", &identifier.payment_hash.to_string());
                self.row("token id", &hex::encode(identifier.token_id));
            }
            None => self.row("identifier", &shown(token.identifier())),
        }
        let mut caveats = Vec::new();
        for caveat in token.caveats() {
            self.row("caveat", &shown(caveat.id));
            caveats.push(shown(caveat.id));
            if caveat.is_third_party {
                self.warnings
                    .push("a caveat of a third party: nobody here can discharge it".to_owned());
            }
        }
        if caveats.is_empty() {
            self.warnings
                .push("no caveats: where they are not asked for, this opens everything".to_owned());
        }
        json!({
            "location": shown(token.location()),
            "identifier": hex::encode(token.identifier()),
            "payment_hash": identifier.map(|identifier| identifier.payment_hash),
            "token_id": identifier.map(|identifier| hex::encode(identifier.token_id)),
            "caveats": caveats,
        })
    }

    fn invoice(&mut self, invoice: &Bolt11) -> Value {
        self.row(
            "network",
            &format!("Bitcoin {}", invoice.network().as_str()),
        );
        let amount = invoice.amount();
        let price = amount.map(|amount| match amount.to_sat() {
            Some(sats) => format!("{sats} sat"),
            None => amount.to_string(),
        });
        self.row("price", price.as_deref().unwrap_or("as the payer likes"));
        self.row("payment", &invoice.payment_hash().to_string());
        self.row("payee", &invoice.payee().to_string());
        let (made, ends) = (invoice.created_at(), invoice.expires_at());
        self.row("valid", &format!("{made} to {ends} (unix seconds)"));
        let description = match invoice.description() {
            Some(InvoiceDescription::Text(text)) => text.to_string(),
            Some(InvoiceDescription::Hash(hash)) => format!("hash {}", hex::encode(hash)),
            None => String::new(),
        };
        self.row("description", &description);
        for warning in invoice.warnings() {
            self.warnings.push(warning.meaning().to_owned());
        }
        json!({
            "network": invoice.network(),
            "amount_msat": amount,
            "payment_hash": invoice.payment_hash(),
            "payee": invoice.payee().to_string(),
            "created_at": made.as_secs(),
            "expires_at": ends.as_secs(),
            "min_final_cltv": invoice.min_final_cltv(),
            "description": description,
        })
    }
}
