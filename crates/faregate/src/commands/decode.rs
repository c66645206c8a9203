//! `faregate decode`: explains a 402 answer, a payment header, a requirement, a receipt, a token or an invoice.

mod credit;
mod l402;
pub(crate) mod permit;

use std::fmt::Write as _;
use std::io::Read as _;

use faregate_types::x402::{SettleResponse, VerifyResponse, exact, header, v1, v2};
use faregate_types::{
    AssetRegistry, ChainId, Code, Erc20, hex_text, network, parse_atomic, to_decimal_text,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::DecodeArgs;
use crate::exit::Failed;
use crate::printer::Printer;

/// Most that is read, in bytes.
const INPUT_BYTES_MAX: u64 = 256 * 1024;

/// Runs it.
///
/// # Errors
/// When the text is nothing we know.
pub(crate) fn run(args: &DecodeArgs, printer: Printer) -> Result<(), Failed> {
    let text = if args.text == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(INPUT_BYTES_MAX)
            .read_to_string(&mut text)?;
        text
    } else {
        args.text.clone()
    };
    let text = text.trim();
    let explained = match l402::explain(text)?.or_else(|| permit::token(text)) {
        Some(explained) => explained,
        None => {
            let value = parse(text)?;
            explain(&value)
                .map(|explained| permit::beside(explained, text))
                .or_else(|| credit::certificate(&value))
                .or_else(|| permit::message(text))
                .or_else(|| l402::body(text))
                .or_else(|| l402::unsigned(&value))
                .ok_or_else(|| Failed::usage("this is JSON, but no message of x402, L402 or the permit rail").hint("a 402 body, WWW-Authenticate, Authorization, PAYMENT-REQUIRED, PAYMENT-SIGNATURE, X-PAYMENT, PAYMENT-RESPONSE, a requirement, a credit certificate, a macaroon, an invoice, an access token or a token request"))?
        }
    };
    printer.line(explained.text.trim_end());
    printer.data(&json!({"kind": explained.kind, "content": explained.content, "warnings": explained.warnings}));
    Ok(())
}

/// JSON as it stands, or inside base64, with or without the header's name in front.
fn parse(text: &str) -> Result<Value, Failed> {
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        return Ok(value);
    }
    let encoded = text
        .rsplit_once(": ")
        .map_or(text, |(_, value)| value.trim());
    let bytes = header::decode_base64(encoded.as_bytes()).map_err(|error| {
        Failed::usage(format!("neither JSON nor a header value: {error}")).code(Code::MalformedJson)
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|_| Failed::usage("base64, but no JSON inside").code(Code::MalformedJson))
}

/// What was found out about a text.
pub(crate) struct Explained {
    kind: &'static str,
    /// For people.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) content: Value,
    pub(crate) warnings: Vec<String>,
}

impl Explained {
    fn of(kind: &'static str, page: Page, content: Value) -> Self {
        let mut text = format!("{kind}\n{}", page.text);
        for warning in &page.warnings {
            writeln!(text, "  ! {warning}").unwrap_or(());
        }
        Self {
            kind,
            text,
            content,
            warnings: page.warnings,
        }
    }
}

/// Finds out what it is by asking each decoder, strictest first.
fn explain(value: &Value) -> Option<Explained> {
    let mut page = Page::default();
    let kind = if let Some(required) = read::<v2::PaymentRequired>(value) {
        page.required_v2(&required);
        "x402 v2 payment required"
    } else if let Some(required) = read::<v1::PaymentRequired>(value) {
        page.required_v1(&required);
        "x402 v1 payment required"
    } else if let Some(payload) = read::<v2::PaymentPayload>(value) {
        page.requirement_v2(&payload.accepted);
        if !page.owed(value) {
            page.signed(&payload.payload);
        }
        "x402 v2 payment"
    } else if let Some(payload) = read::<v1::PaymentPayload>(value) {
        page.row("network", &payload.network);
        if !page.owed(value) {
            page.signed(&payload.payload);
        }
        "x402 v1 payment"
    } else if let Some(receipt) = value
        .get("success")
        .and_then(|_| read::<SettleResponse>(value))
    {
        page.receipt(&receipt);
        "x402 receipt"
    } else if let Some(verdict) = value
        .get("isValid")
        .and_then(|_| read::<VerifyResponse>(value))
    {
        page.verdict(&verdict);
        "x402 verdict"
    } else if let Some(requirement) = read::<v2::PaymentRequirements>(value) {
        page.requirement_v2(&requirement);
        "x402 v2 payment requirements"
    } else if let Some(requirement) = read::<v1::PaymentRequirements>(value) {
        page.requirement_v1(&requirement);
        "x402 v1 payment requirements"
    } else {
        return None;
    };
    Some(Explained::of(kind, page, value.clone()))
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    // Through text, so that the decoders see what they would see on the wire.
    serde_json::from_str(&value.to_string()).ok()
}

#[derive(Default)]
struct Page {
    text: String,
    warnings: Vec<String>,
}

impl Page {
    fn row(&mut self, name: &str, value: &str) {
        // Control characters of a hostile server must not reach the terminal.
        let clean: String = value
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        writeln!(self.text, "  {name:<12} {clean}").unwrap_or(());
    }

    fn required_v2(&mut self, required: &v2::PaymentRequired) {
        self.row("resource", &required.resource.url);
        if let Some(description) = &required.resource.description {
            self.row("description", description);
        }
        if let Some(error) = &required.error {
            self.row("error", &reason(error));
        }
        for requirement in &required.accepts {
            self.text.push('\n');
            self.requirement_v2(requirement);
        }
    }

    fn required_v1(&mut self, required: &v1::PaymentRequired) {
        if let Some(error) = &required.error {
            self.row("error", &reason(error));
        }
        for requirement in &required.accepts {
            self.text.push('\n');
            self.requirement_v1(requirement);
        }
    }

    fn requirement_v2(&mut self, requirement: &v2::PaymentRequirements) {
        let extra = requirement.extra.as_ref();
        let name = extra
            .and_then(|extra| extra.get("name"))
            .and_then(Value::as_str);
        let chain = requirement.network.parse().ok();
        self.price(
            &requirement.scheme,
            &requirement.network,
            chain,
            &requirement.amount,
            &requirement.asset,
            name,
        );
        self.row("pay to", &requirement.pay_to);
        self.row(
            "valid for",
            &format!("{} s", requirement.max_timeout_seconds.as_secs()),
        );
        self.credit_terms(&requirement.scheme, extra);
    }

    fn requirement_v1(&mut self, requirement: &v1::PaymentRequirements) {
        self.row("resource", &requirement.resource);
        let extra = requirement.extra.as_ref();
        let name = extra
            .and_then(|extra| extra.get("name"))
            .and_then(Value::as_str);
        let chain = credit::chain(&requirement.scheme, &requirement.network);
        self.price(
            &requirement.scheme,
            &requirement.network,
            chain,
            &requirement.max_amount_required,
            &requirement.asset,
            name,
        );
        self.row("pay to", &requirement.pay_to);
        self.row(
            "valid for",
            &format!("{} s", requirement.max_timeout_seconds),
        );
        self.credit_terms(&requirement.scheme, extra);
    }

    /// The price by *our* table: what a server says about decimals or names is only compared with it.
    fn price(
        &mut self,
        scheme: &str,
        network_text: &str,
        chain: Option<ChainId>,
        amount: &str,
        asset: &str,
        name: Option<&str>,
    ) {
        let title = chain
            .and_then(network)
            .map_or("unknown network", |known| known.title);
        self.row("scheme", scheme);
        self.row("network", &format!("{network_text} ({title})"));
        let registry = AssetRegistry::builtin();
        let known = chain
            .zip(hex_text::parse_address(asset).ok())
            .and_then(|(chain, token)| registry.find(Erc20::new(chain, token)));
        match (known, parse_atomic(amount)) {
            (Some(known), Ok(value)) => {
                self.row(
                    "price",
                    &format!(
                        "{} {} ({amount} atomic units)",
                        to_decimal_text(value, known.decimals),
                        known.symbol
                    ),
                );
                if name.is_some_and(|name| name != known.domain.name) {
                    self.warnings.push(format!(
                        "the asset's EIP-712 name is {:?}, not what the server says",
                        known.domain.name
                    ));
                }
            }
            (Some(_), Err(_)) => self
                .warnings
                .push("the amount is no number of atomic units".to_owned()),
            (None, _) => {
                self.row(
                    "price",
                    &format!("{amount} atomic units of an asset we do not know"),
                );
                self.warnings.push(
                    "unknown asset: its decimals cannot be trusted, a wallet of ours would not pay"
                        .to_owned(),
                );
            }
        }
        self.row("asset", asset);
    }

    fn signed(&mut self, payload: &Value) {
        match exact::Payload::from_value(payload) {
            Ok(payload) => {
                let signed = &payload.authorization;
                self.row("from", &signed.from.to_string());
                self.row("to", &signed.to.to_string());
                self.row("value", &signed.value.to_string());
                self.row(
                    "valid",
                    &format!(
                        "{} to {} (unix seconds)",
                        signed.valid_after, signed.valid_before
                    ),
                );
                self.row("nonce", &signed.nonce.to_string());
                self.row("signature", &format!("{} bytes", payload.signature.len()));
            }
            Err(refusal) => self
                .warnings
                .push(format!("the payload is not an EIP-3009 payment: {refusal}")),
        }
    }

    fn receipt(&mut self, receipt: &SettleResponse) {
        self.row("success", if receipt.success { "yes" } else { "no" });
        if let Some(error) = &receipt.error_reason {
            self.row("reason", &reason(error));
        }
        self.row("network", &receipt.network);
        self.row("transaction", &receipt.transaction);
        if let Some(payer) = &receipt.payer {
            self.row("payer", payer);
        }
        let extra = receipt.extra.as_ref();
        if let Some(certificate) = extra.and_then(|extra| extra.get("certificate")) {
            self.text.push('\n');
            self.certificate(certificate, receipt.network.parse().ok());
        }
    }

    fn verdict(&mut self, verdict: &VerifyResponse) {
        self.row("valid", if verdict.is_valid { "yes" } else { "no" });
        if let Some(error) = &verdict.invalid_reason {
            self.row("reason", &reason(error));
        }
        if let Some(payer) = &verdict.payer {
            self.row("payer", payer);
        }
    }
}

/// A reason with its meaning, when it is one of our table.
fn reason(text: &str) -> String {
    Code::from_str(text).map_or_else(
        || text.to_owned(),
        |code| format!("{text}: {}", code.meaning()),
    )
}
