//! `faregate l402`: verifies, makes and narrows tokens, without a gate and without a ledger. Uses are not counted here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use faregate_core::rail::l402::{MasterKey, MasterKeys};
use faregate_types::l402::{
    Binding, Credential, Grant, Identifier, Macaroon, MintError, Presented, Request, RootKey,
    Rules, Target, verify,
};
use faregate_types::lightning::{Bolt11, Msat, PaymentHash, Preimage};
use faregate_types::{Code, MoneyText, Refusal, Timestamp};
use serde_json::json;

use crate::cli::l402::{AttenuateArgs, KeyArgs, L402Command, MintArgs, RouteArgs, VerifyArgs};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Where a gate's key is looked for without a file.
const MASTER_KEY_VARIABLE: &str = "FAREGATE_L402_MASTER_KEY";

/// Where one token's key is looked for without a file.
const ROOT_KEY_VARIABLE: &str = "FAREGATE_L402_ROOT_KEY";

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
        // It waits for others, so it is run where that is done.
        L402Command::Revoke(_) => Ok(()),
    }
}

fn verified(
    args: &VerifyArgs,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    let price = price(&args.route)?;
    let key = Key::read(&args.key, env)?;
    let client = key.client(&args.route);
    let credential = credential(text_of(&args.credential)?.trim())?;
    let request = Request {
        route: &args.route.path,
        path: &args.route.path,
        method: &args.route.method,
        price,
        client: client.as_deref(),
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
        let grant = key
            .verify(token, &credential.preimage, &target)
            .map_err(refused)?;
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
    let key = Key::read(&args.key, env)?;
    let client = key.client(&args.route);
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
        client: client.as_deref(),
    };
    let identifier = key.identifier(payment_hash)?;
    let token = key
        .mint(&identifier, &binding)
        .map_err(|error| Failed::usage(error.to_string()))?;
    printer.line(&token.to_base64());
    printer.data(&json!({
        "token": token.to_base64(),
        "payment_hash": payment_hash,
        "token_id": hex::encode(identifier.token_id),
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

/// What tokens are made and checked with.
enum Key {
    /// A gate's: the root key of each token is derived from it.
    Master(MasterKeys),
    /// One token's own, as other servers keep it.
    Root(RootKey),
}

impl Key {
    fn read(args: &KeyArgs, env: &BTreeMap<String, String>) -> Result<Self, Failed> {
        let text = |file: &Option<PathBuf>, variable| match (file, env.get(variable)) {
            (Some(file), _) => read_file(file).map(Some),
            (None, text) => Ok(text.cloned()),
        };
        let master = text(&args.master_key_file, MASTER_KEY_VARIABLE)?;
        let root = text(&args.root_key_file, ROOT_KEY_VARIABLE)?;
        match (master, root) {
            (Some(text), None) => Ok(Self::Master(MasterKeys::new(MasterKey::from_bytes(
                key_bytes(&text, "the master key")?,
            )))),
            (None, Some(text)) => Ok(Self::Root(RootKey::from_bytes(key_bytes(
                &text,
                "the root key",
            )?))),
            (Some(_), Some(_)) => Err(Failed::usage(
                "there is a master key and a root key: which one is meant?",
            )
            .hint("tokens of a gate are made and checked with its master key alone")),
            (None, None) => Err(Failed::usage("no key").hint(format!(
                "put the gate's master key, 64 hexadecimal digits, into {MASTER_KEY_VARIABLE} or into a file named by \
                 --master-key-file (the root key of a single token: {ROOT_KEY_VARIABLE}, --root-key-file)"
            ))),
        }
    }

    /// Who may use a token. A gate's word for a client is made from its address.
    fn client(&self, route: &RouteArgs) -> Option<String> {
        let client = route.client.as_deref()?;
        match (self, client.parse()) {
            (Self::Master(keys), Ok(address)) => Some(keys.client_name(Some(address))),
            (Self::Master(_) | Self::Root(_), _) => Some(client.to_owned()),
        }
    }

    /// The payment and its token: the one token that a gate has for it, or one of many.
    fn identifier(&self, payment_hash: PaymentHash) -> Result<Identifier, Failed> {
        match self {
            Self::Master(keys) => Ok(keys.identifier(payment_hash)),
            Self::Root(_) => {
                let mut token_id = [0; 32];
                getrandom::fill(&mut token_id).map_err(|_| {
                    Failed::new(Exit::Failure, "the system gives no random numbers")
                })?;
                Ok(Identifier {
                    payment_hash,
                    token_id,
                })
            }
        }
    }

    fn mint(&self, identifier: &Identifier, binding: &Binding<'_>) -> Result<Macaroon, MintError> {
        match self {
            Self::Master(keys) => keys.mint(identifier.payment_hash, binding),
            Self::Root(key) => binding.mint(key, identifier),
        }
    }

    fn verify(
        &self,
        token: &Macaroon,
        preimage: &Preimage,
        target: &Target<'_>,
    ) -> Result<Grant, Refusal> {
        match self {
            Self::Master(keys) => keys.verify(token, preimage, target),
            Self::Root(key) => verify(token, preimage, key, target),
        }
    }
}

fn key_bytes(text: &str, name: &str) -> Result<[u8; 32], Failed> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| Failed::usage(format!("{name} is not 64 hexadecimal digits")))?;
    Ok(bytes)
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
