//! Messages: what we write is what the peers read, and what they write is read.

use faregate_types::permit::{
    Body, Component, Demand, Endpoint, Issued, TokenResponse, authorization, request,
};
use faregate_types::{Asset, Timestamp, TokenDomain, TransferMethod};
use http::Method;
use serde_json::{Map, Value, json};

use super::{address, contains, decimal, desk, equal, parsed, usdc, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// When the recorded components were made.
const MADE: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A 402 answer of 0.1.1 or of 0.2.1 and later: everything in it is in ours, which has both at once.
///
/// # Errors
/// Names what is missing.
pub fn body(case: &Case) -> Result<Heard, String> {
    case.only(
        &["chain_id", "amount", "currency", "wallet", "created_at"],
        &["http", "content_type", "body"],
    )?;
    equal("status", &402, &case.expected("http")?)?;
    let text: String = case.expected("body")?;
    let theirs: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let components = match case.inputs.get("chain_id") {
        Some(_) => vec![component(case)?],
        // This recording says what was registered in its answer only, so we read the answer and ask for the same.
        None => demanded(&text, case)?,
    };
    let endpoint = Endpoint::parse(Endpoint::PLAIN).map_err(|error| error.to_string())?;
    let ours = Body::new("Missing authorization token", &endpoint, &components);
    let ours = ours.map_err(|error| error.to_string())?.to_json();
    let ours: Value = serde_json::from_str(&ours).map_err(|error| error.to_string())?;
    contains(&ours, &theirs)?;
    Ok(Heard::same(case))
}

/// What is registered: the component that comes of it, or a refusal.
///
/// # Errors
/// Names what is missing.
pub fn register(case: &Case) -> Result<Heard, String> {
    case.only(
        &["chain_id", "amount", "currency", "wallet"],
        &["components", "error", "message"],
    )?;
    let Some(theirs) = case.expected.get("components").and_then(Value::as_array) else {
        let word = verdict(component(case).is_ok());
        return Ok(Heard::one(case, "refused", word));
    };
    let ours = serde_json::to_value([component(case)?]).map_err(|error| error.to_string())?;
    contains(&ours, &Value::from(theirs.clone()))?;
    Ok(Heard::same(case))
}

/// The answer that all five releases take, unmodified: ours, but for words for people and another rail's member.
///
/// # Errors
/// Names the difference.
pub fn compat(case: &Case) -> Result<Heard, String> {
    case.only(&["body"], &["0.1.1", "0.2.0", "0.2.1", "0.2.2", "0.3.0"])?;
    let mut theirs: Map<String, Value> = case.input("body")?;
    let first = theirs
        .get("payment_scheme")
        .and_then(|scheme| scheme.pointer("/payment_components/0"))
        .cloned()
        .ok_or("has no component")?;
    theirs.remove("payment_instruction");
    theirs.remove("x402");
    let endpoint = theirs.get("access_token_endpoint").and_then(Value::as_str);
    let endpoint = Endpoint::parse(endpoint.unwrap_or_default()).map_err(|e| e.to_string())?;
    let asset = usdc("eip155:11155111").ok_or("no USDC")?;
    let amount = decimal(first.get("amount").unwrap_or(&Value::Null))?;
    let amount = amount.to_units(asset.decimals).map_err(|e| e.to_string())?;
    let to = parsed(
        first
            .get("pay_to")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )?;
    let component = Component::new(asset, amount, "USDC", to, to).map_err(|e| e.to_string())?;
    let components = [component];
    let ours = Body::new("Missing authorization token", &endpoint, &components);
    let ours = serde_json::to_value(ours.map_err(|e| e.to_string())?);
    let mut ours = ours.map_err(|error| error.to_string())?;
    if let Some(ours) = ours.as_object_mut() {
        ours.remove("payment_instruction");
    }
    equal("body", &Value::from(theirs), &ours)?;
    Ok(Heard::same(case))
}

/// Whether a client reads a 402 answer.
///
/// # Errors
/// When the case has another form.
pub fn demand(case: &Case) -> Result<Heard, String> {
    case.only(&["body"], &["accepted", "error"])?;
    let body: Value = case.input("body")?;
    let ours = Demand::read(body.to_string().as_bytes());
    let theirs = verdict(case.expected("accepted")?);
    Ok(Heard::one(
        case,
        theirs,
        verdict(matches!(ours, Ok(Some(_)))),
    ))
}

/// Whether a client reads the answer to its token request, and what it shows then.
///
/// # Errors
/// When the case has another form.
pub fn issued(case: &Case) -> Result<Heard, String> {
    case.only(&["body"], &["accepted", "authorization", "error"])?;
    let body: Value = case.input("body")?;
    let word = |authorization: Option<String>| authorization.unwrap_or_else(|| "refused".into());
    let theirs = case.expected.get("authorization").and_then(Value::as_str);
    equal("accepted", &case.expected("accepted")?, &theirs.is_some())?;
    let ours = Issued::read(body.to_string().as_bytes()).ok();
    let ours = ours.map(|issued| issued.authorization());
    Ok(Heard::one(
        case,
        word(theirs.map(str::to_owned)),
        word(ours),
    ))
}

/// Whether a token request has the right shape.
///
/// # Errors
/// When the case has another form.
pub fn schema(case: &Case) -> Result<Heard, String> {
    case.only(&["body"], &["accepted", "error", "http_by_0.1.1"])?;
    let body: Value = case.input("body")?;
    let ours = request::read(body.to_string().as_bytes());
    let theirs = verdict(case.expected("accepted")?);
    Ok(Heard::one(case, theirs, verdict(ours.is_ok())))
}

/// The answer with the token, byte for byte.
///
/// # Errors
/// Names the difference.
pub fn response(case: &Case) -> Result<Heard, String> {
    case.only(
        &["access_token", "expires_in"],
        &["http", "content_type", "body"],
    )?;
    let token: String = case.input("access_token")?;
    let ours = TokenResponse::new(&token, case.input("expires_in")?, Map::new());
    Ok(Heard::one(
        case,
        case.expected::<String>("body")?,
        ours.to_json(),
    ))
}

/// Requests that are none, at a token endpoint of ours. What is sent stands in the name.
///
/// # Errors
/// When the case has another form.
pub fn endpoint(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["http", "content_type", "body", "ours"])?;
    let (method, body) = match case.name.strip_prefix("token-endpoint-http/") {
        Some("invalid JSON body") => (Method::POST, "{\"version\""),
        Some("empty body") => (Method::POST, ""),
        Some("schema violation") => (Method::POST, r#"{"version":"Version 0.1","permit":{}}"#),
        Some("GET /token") => (Method::GET, ""),
        _ => return Err("nobody knows what to send".into()),
    };
    let is_read = method == Method::GET;
    let answered = desk::ask(method, body)?;
    if is_read {
        equal("status", &case.expected("http")?, &answered.status)?;
        let kind: String = case.expected("content_type")?;
        equal("content type", &kind, &answered.content_type)?;
        equal("body", &case.expected("body")?, &answered.body)?;
        return Ok(Heard::same(case));
    }
    let json: Value = serde_json::from_str(&answered.body).map_err(|error| error.to_string())?;
    let has_text = json.get("error").is_some_and(Value::is_string);
    equal("error", &true, &has_text)?;
    let ours = format!(
        "{} {} {{\"error\": ...}}",
        answered.status, answered.content_type
    );
    let ruling: String = case.expected("ours")?;
    let ruling = ruling.replace(" for the 500 rows", "");
    let peer = format!(
        "{} {}",
        case.expected::<u16>("http")?,
        case.expected::<String>("body")?
    );
    Ok(Heard::one(case, peer, ours).ruled(Some(ruling)))
}

/// A whole purchase, as it went over the wire.
///
/// # Errors
/// Names the first message that is read or written otherwise.
pub fn exchange(case: &Case) -> Result<Heard, String> {
    case.only(&[], &[])?;
    let messages = case.expected.as_array().ok_or("is no list of messages")?;
    let part = |index: usize, key: &str| {
        let text = messages
            .get(index)
            .and_then(|message| message.get(key)?.as_str());
        text.ok_or_else(|| format!("message {index} has no {key}"))
    };
    let demand = Demand::read(part(1, "body")?.as_bytes()).map_err(|error| error.to_string())?;
    let demand = demand.ok_or("is no 402 answer of this rail")?;
    let posted = format!("POST {} HTTP/1.1", demand.endpoint);
    equal("endpoint", &part(2, "start_line")?, &posted.as_str())?;
    let sent = part(2, "body")?;
    let permit = request::read(sent.as_bytes()).map_err(|refused| refused.text())?;
    let offer = demand.offers.first().ok_or("offers nothing")?;
    equal("asset", &offer.asset, &permit.asset())?;
    let kind = permit.terms.kind();
    equal("kind", &true, &offer.kinds().contains(&kind))?;
    equal("payee", &offer.payee(kind), &Some(permit.terms.payee()))?;
    let decimals = offer.decimals.ok_or("has no decimals")?;
    equal(
        "value",
        &offer.amount.to_units(decimals),
        &Ok(permit.terms.value()),
    )?;
    let ours = request::write(&permit, MADE);
    equal("request", &undated(sent), &undated(&ours))?;
    let issued = Issued::read(part(3, "body")?.as_bytes()).map_err(|error| error.to_string())?;
    let shown = messages
        .get(4)
        .and_then(|message| message.get("headers")?.as_array());
    let shown = shown.into_iter().flatten().find_map(|header| {
        let is_it = header.get(0)?.as_str()? == "Authorization";
        header.get(1)?.as_str().filter(|_| is_it)
    });
    let shown = shown.ok_or("shows no token")?;
    equal("header", &shown, &issued.authorization().as_str())?;
    authorization::read(shown.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Heard::same(case))
}

/// A text without the values of `created_at`, which are clocks.
fn undated(text: &str) -> String {
    let mut parts = text.split("\"created_at\":\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |undated, part| {
        let (_, rest) = part.split_once('"').unwrap_or_default();
        format!("{undated}\"created_at\":{rest}")
    })
}

/// The component that the inputs ask for.
fn component(case: &Case) -> Result<Component, String> {
    let chain: String = case.input("chain_id")?;
    let asset = usdc(&chain).ok_or_else(|| format!("no asset on {chain}"))?;
    let amount = decimal(case.inputs.get("amount").unwrap_or(&Value::Null))?;
    let amount = amount.to_units(asset.decimals).map_err(|e| e.to_string())?;
    let currency: String = case.input("currency")?;
    // Those that are refused have no wallet.
    let wallet = match case.inputs.get("wallet") {
        Some(_) => address(case, "wallet")?,
        None => faregate_types::Address::ZERO,
    };
    let component = Component::new(asset, amount, &currency, wallet, wallet);
    Ok(component
        .map_err(|error| error.to_string())?
        .created_at(MADE))
}

fn demanded(text: &str, case: &Case) -> Result<Vec<Component>, String> {
    let demand = Demand::read(text.as_bytes()).map_err(|error| error.to_string())?;
    let wallet = address(case, "wallet")?;
    let offers = demand.ok_or("is no 402 answer")?.offers;
    let components = offers.into_iter().map(|offer| {
        equal("pay_to", &Some(wallet), &offer.pay_to)?;
        let decimals = offer.decimals.ok_or("no decimals")?;
        let amount = offer.amount.to_units(decimals).map_err(|e| e.to_string())?;
        let (name, version) = offer.name.zip(offer.version).ok_or("no domain")?;
        let asset = Asset {
            id: offer.asset,
            symbol: offer.currency.to_string().into(),
            decimals,
            domain: TokenDomain::new(name.to_string(), version.to_string()),
            transfer: TransferMethod::Permit2,
        };
        let component = Component::new(asset, amount, &offer.currency, wallet, wallet);
        Ok(component.map_err(|e| e.to_string())?.created_at(MADE))
    });
    components.collect()
}

/// Kept here so that a body can be put around recorded components.
pub(super) fn around(components: &Value) -> String {
    json!({
        "access_token_endpoint": Endpoint::PLAIN,
        "payment_scheme": { "payment_components": components, "protocol_version": request::VERSION },
    })
    .to_string()
}
