//! `faregate l402`: verifies, makes and narrows tokens, without a gate and without a ledger. Uses are not counted here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use faregate_types::l402::{
    Binding, Credential, Grant, Identifier, Macaroon, Presented, Request, RootKey, Rules, Target,
    verify,
};
use faregate_types::lightning::{Bolt11, Msat, PaymentHash};
use faregate_types::{Code, MoneyText, Refusal, Timestamp};
use serde_json::json;

use crate::cli::l402::{AttenuateArgs, L402Command, MintArgs, RootKeyArgs, RouteArgs, VerifyArgs};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Where the root key is looked for without a file.
const KEY_VARIABLE: &str = "FAREGATE_L402_ROOT_KEY";

/// Most that is read from standard input or from a file with a key, in bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// Runs it.
///
/// # Errors
/// When an argument cannot be read, or when the credential opens nothing.
pub(crate) fn run(
    command: &L402Command,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    match command {
        L402Command::Verify(args) => verified(args, env, printer),
        L402Command::Mint(args) => minted(args, env, printer),
        L402Command::Attenuate(args) => narrowed(args, printer),
    }
}

fn verified(
    args: &VerifyArgs,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    let price = price(&args.route)?;
    let key = root_key(&args.key, env)?;
    let credential = credential(text_of(&args.credential)?.trim())?;
    let request = Request {
        route: &args.route.path,
        path: &args.route.path,
        method: &args.route.method,
        price,
        client: args.route.client.as_deref(),
    };
    let target = Target {
        service: &args.route.service,
        tier: args.route.tier,
        capability: args.capability.as_deref(),
        now: args.now.map_or_else(now, Timestamp::from_secs),
        rules: if args.published_rules {
            Rules::Published
        } else {
            Rules::Ours(request)
        },
    };
    // Several tokens are one credential: each has to open the route.
    for token in &credential.tokens {
        let grant = verify(token, &credential.preimage, &key, &target).map_err(refused)?;
        show(&grant, printer);
    }
    Ok(())
}

fn show(grant: &Grant, printer: Printer) {
    let Grant {
        identifier, tier, ..
    } = grant;
    let until = grant.valid_until.map(Timestamp::as_secs);
    let price = grant.price.map(Msat::get);
    let or_any = |number: Option<u64>| number.map_or_else(|| "any".to_owned(), |n| n.to_string());
    let uses = grant.max_uses.map(u64::from);
    printer.line("opens the route");
    for (name, value) in [
        ("payment", identifier.payment_hash.to_string()),
        ("token", hex::encode(identifier.token_id)),
        ("tier", tier.to_string()),
        ("valid until", or_any(until)),
        ("uses", or_any(uses)),
        ("price msat", or_any(price)),
    ] {
        printer.line(&format!("  {name:<12} {value}"));
    }
    printer.data(&json!({
        "opens": true,
        "payment_hash": identifier.payment_hash,
        "token_id": hex::encode(identifier.token_id),
        "tier": tier,
        "valid_until": until,
        "max_uses": uses,
        "price_msat": price,
    }));
}

fn minted(args: &MintArgs, env: &BTreeMap<String, String>, printer: Printer) -> Result<(), Failed> {
    let price = price(&args.route)?;
    let payment_hash = payment_hash(args, price)?;
    let key = root_key(&args.key, env)?;
    let mut token_id = [0; 32];
    getrandom::fill(&mut token_id)
        .map_err(|_| Failed::new(Exit::Failure, "the system gives no random numbers"))?;
    let valid_until = now()
        .checked_add_secs(args.valid_for)
        .ok_or_else(|| Failed::usage("--valid-for is too long"))?;
    let capabilities: Vec<&str> = args.capabilities.iter().map(String::as_str).collect();
    let binding = Binding {
        service: &args.route.service,
        tier: args.route.tier,
        capabilities: &capabilities,
        valid_until,
        path: &args.route.path,
        method: &args.route.method,
        price,
        max_uses: args.max_uses,
        client: args.route.client.as_deref(),
    };
    let identifier = Identifier {
        payment_hash,
        token_id,
    };
    let token = binding
        .mint(&key, &identifier)
        .map_err(|error| Failed::usage(error.to_string()))?;
    printer.line(&token.to_base64());
    printer.data(&json!({
        "token": token.to_base64(),
        "payment_hash": payment_hash,
        "token_id": hex::encode(token_id),
        "key_id": hex::encode(identifier.key_id().as_bytes()),
        "valid_until": valid_until.as_secs(),
    }));
    Ok(())
}

/// The hash of the payment, from the invoice itself where there is one. An invoice for less would give the route away.
fn payment_hash(args: &MintArgs, price: Msat) -> Result<PaymentHash, Failed> {
    if let Some(text) = &args.payment_hash {
        return text
            .parse()
            .map_err(|error| Failed::usage(format!("--payment-hash: {error}")));
    }
    let text = args.invoice.as_deref().unwrap_or_default();
    let invoice =
        Bolt11::parse(text).map_err(|error| Failed::usage(format!("--invoice: {error}")))?;
    match invoice.amount() {
        Some(amount) if amount >= price => Ok(invoice.payment_hash()),
        Some(amount) => Err(Failed::usage(format!(
            "the invoice is for {amount}, less than the price of {price}"
        ))),
        None => Err(Failed::usage(
            "the invoice lets the payer choose the amount",
        )),
    }
}

fn narrowed(args: &AttenuateArgs, printer: Printer) -> Result<(), Failed> {
    let text = text_of(&args.token)?;
    let text = text.trim();
    let from_digits = || Macaroon::decode(&hex::decode(text).ok()?).ok();
    let mut token = Macaroon::from_base64(text)
        .or_else(|error| from_digits().ok_or(error))
        .map_err(|error| {
            Failed::usage(format!("the token cannot be read: {error}"))
                .code(Code::L402TokenMalformed)
        })?;
    for caveat in &args.caveats {
        if caveat
            .split_once('=')
            .is_none_or(|(name, _)| name.is_empty())
        {
            let message = format!("--caveat {caveat}: expected name=value");
            return Err(Failed::usage(message));
        }
        token = token
            .attenuate(caveat)
            .map_err(|error| Failed::usage(error.to_string()))?;
    }
    printer.line(&token.to_base64());
    printer.data(&json!({ "token": token.to_base64() }));
    Ok(())
}

fn credential(text: &str) -> Result<Credential, Failed> {
    let text = text
        .split_once(": ")
        .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        .map_or(text, |(_, value)| value);
    let malformed =
        |message: String| Failed::new(Exit::Refused, message).code(Code::L402TokenMalformed);
    let read = match Presented::read(text.as_bytes()) {
        // Without the scheme, as it stands in programs.
        Ok(None) => Presented::read(format!("L402 {text}").as_bytes()),
        read => read,
    };
    match read.map_err(|error| malformed(error.to_string()))? {
        Some(Presented::Signed(credential)) => Ok(credential),
        Some(Presented::Unsigned(_)) => Err(malformed(
            "this token of l402kit is signed by nobody: anybody can make one".into(),
        )),
        None => Err(malformed("this is no credential of L402".into())),
    }
}

fn price(route: &RouteArgs) -> Result<Msat, Failed> {
    let wrong = |error: String| Failed::usage(format!("--price: {error}"));
    let money = MoneyText::parse(&route.price).map_err(|error| wrong(error.to_string()))?;
    Msat::from_money(&money).map_err(|error| wrong(error.to_string()))
}

fn root_key(args: &RootKeyArgs, env: &BTreeMap<String, String>) -> Result<RootKey, Failed> {
    let text = match (&args.root_key_file, env.get(KEY_VARIABLE)) {
        (Some(file), _) => read_file(file)?,
        (None, Some(text)) => text.clone(),
        (None, None) => {
            return Err(Failed::usage("no root key").hint(format!(
                "put 64 hexadecimal digits into {KEY_VARIABLE}, or into a file named by --root-key-file"
            )));
        }
    };
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| Failed::usage("the root key is not 64 hexadecimal digits"))?;
    Ok(RootKey::from_bytes(bytes))
}

fn read_file(path: &Path) -> Result<String, Failed> {
    let failed = |error: std::io::Error| Failed::usage(format!("{}: {error}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(INPUT_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

fn text_of(argument: &str) -> Result<String, Failed> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(INPUT_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn refused(refusal: Refusal) -> Failed {
    Failed::new(Exit::Refused, refusal.to_string()).code(refusal.code)
}
