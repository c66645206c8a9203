//! What the permit rail says: 402 bodies, token requests, tokens. A token is shown by what it says, a permit without its
//! signature.

use std::time::SystemTime;

use faregate_types::permit::token::peek;
use faregate_types::permit::{
    AccessToken, Demand, Issued, Offer, Permit, authorization, date, request,
};
use faregate_types::{Asset, AssetRegistry, Code, Erc20, Timestamp, U256, network};
use serde_json::{Value, json};

use super::{Explained, Page};
use crate::commands::paid::money;
use crate::exit::{Exit, Failed};

/// Explains a token as it stands, or in its header.
pub(super) fn token(text: &str) -> Option<Explained> {
    let token = peek(&token_text(text)?).ok()?;
    Some(explained("access token", &token))
}

/// Explains a message of this rail.
pub(super) fn message(text: &str) -> Option<Explained> {
    let mut page = Page::default();
    if let Some(content) = page.demand(text) {
        return Some(Explained::of("402 body of the permit rail", page, content));
    }
    if let Ok(permit) = request::read(text.as_bytes()) {
        let content = page.permit(&permit);
        return Some(Explained::of("token request", page, content));
    }
    let issued = Issued::read(text.as_bytes()).ok()?;
    match token(&issued.authorization()) {
        Some(token) => Some(Explained {
            kind: "token response",
            ..token
        }),
        None => {
            let left = issued
                .expires_in
                .map_or_else(|| "-".to_owned(), |left| format!("{left} s"));
            page.row("valid for", &left);
            page.warnings
                .push("the token has a form of its server's own".to_owned());
            Some(Explained::of(
                "token response",
                page,
                json!({"expires_in": issued.expires_in}),
            ))
        }
    }
}

/// Adds what a 402 body of another rail asks for over this one.
pub(super) fn beside(explained: Explained, text: &str) -> Explained {
    let mut page = Page::default();
    if page.demand(text).is_none() {
        return explained;
    }
    let mut both = explained;
    both.text
        .push_str("\n402 body of the permit rail, beside it\n");
    both.text.push_str(&page.text);
    for warning in &page.warnings {
        both.text.push_str(&format!("  ! {warning}\n"));
    }
    both.warnings.extend(page.warnings);
    both
}

/// The token in a text: as it stands, behind `Bearer`, or in the answer of a token endpoint.
pub(crate) fn token_text(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(issued) = Issued::read(text.as_bytes()) {
        return token_text(&issued.authorization());
    }
    let value = match text.split_once(':') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("authorization") => value.trim(),
        _ => text,
    };
    if let Ok(token) = authorization::read(value.as_bytes()) {
        return Some(token.to_owned());
    }
    let is_word = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_word.then(|| value.to_owned())
}

/// A token that was read, for people and for programs.
///
/// # Errors
/// When it is none.
pub(crate) fn read_token(text: &str) -> Result<(String, AccessToken), Failed> {
    let malformed = || {
        Failed::new(
            Exit::Refused,
            "this is no access token: expected two parts in base64url with a dot between them",
        )
        .code(Code::AccessTokenMalformed)
    };
    let text = token_text(text).ok_or_else(malformed)?;
    let token = peek(&text).map_err(|_| malformed())?;
    Ok((text, token))
}

/// What a token says.
pub(crate) fn explained(kind: &'static str, token: &AccessToken) -> Explained {
    let claims = &token.claims;
    let mut page = Page::default();
    let now = Timestamp::from(SystemTime::now());
    page.row(
        "valid until",
        &format!("{} ({})", moment(claims.exp), until(claims.exp, now)),
    );
    let made = claims.iat.map(moment);
    let price = claims.asset.as_deref().zip(claims.amount.as_deref());
    let price = price.map(|(asset, amount)| shown_price(asset, amount));
    let route = claims.route.as_deref().map(|route| match route {
        "*" => "whatever costs no more than was paid",
        route => route,
    });
    for (name, text) in [
        ("made", made.as_deref()),
        ("opens", route),
        ("method", claims.method.as_deref()),
        ("service", claims.aud.as_deref()),
        ("paid", price.as_deref()),
        ("payer", claims.payer.as_deref()),
        ("payment", claims.jti.as_deref()),
    ] {
        if let Some(text) = text {
            page.row(name, text);
        }
    }
    if claims.route.is_none() || claims.aud.is_none() {
        page.warnings.push(
            "it names no service and no route, as tokens of x402-mock do: gates of ours do not take it".to_owned(),
        );
    }
    let payload: Value = serde_json::from_str(&token.payload).unwrap_or_default();
    let content = json!({ "claims": payload, "expired": now > claims.exp });
    Explained::of(kind, page, content)
}

impl Page {
    fn demand(&mut self, text: &str) -> Option<Value> {
        let demand = match Demand::read(text.as_bytes()) {
            Ok(demand) => demand?,
            Err(error) => {
                self.warnings
                    .push(format!("clients of x402-mock cannot read it: {error}"));
                return Some(Value::Null);
            }
        };
        if let Some(reason) = &demand.reason {
            self.row("reason", reason);
        }
        self.row("tokens at", demand.endpoint.as_str());
        if demand.offers.is_empty() {
            self.warnings
                .push("there is no way to pay in it".to_owned());
        }
        for offer in &demand.offers {
            self.text.push('\n');
            self.permit_offer(offer);
        }
        serde_json::from_str(text).ok()
    }

    fn permit_offer(&mut self, offer: &Offer) {
        self.row("network", &chain(offer.asset));
        self.row("price", &format!("{} {}", offer.amount, offer.currency));
        self.row("token", &offer.asset.token().to_string());
        let kinds = offer.kinds();
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        self.row("permits", &kinds.join(", "));
        for (name, address) in [("spender", offer.wallet), ("pay to", offer.pay_to)] {
            if let Some(address) = address {
                self.row(name, &address.to_string());
            }
        }
        match AssetRegistry::builtin().find(offer.asset) {
            None => self.warnings.push(
                "unknown asset: its decimals cannot be trusted, a wallet of ours would not pay"
                    .to_owned(),
            ),
            Some(known) => self.compare(offer, known),
        }
    }

    fn compare(&mut self, offer: &Offer, known: &Asset) {
        if let Some(decimals) = offer
            .decimals
            .filter(|decimals| *decimals != known.decimals)
        {
            let symbol = &known.symbol;
            self.warnings.push(format!(
                "{symbol} has {} decimals, not {decimals} as the server says: whoever believes it signs another amount",
                known.decimals
            ));
        }
        if offer
            .name
            .as_deref()
            .is_some_and(|name| name != &*known.domain.name)
        {
            self.warnings.push(format!(
                "the asset's EIP-712 name is {:?}, not what the server says",
                known.domain.name
            ));
        }
    }

    fn permit(&mut self, permit: &Permit) -> Value {
        let terms = &permit.terms;
        let asset = permit.asset();
        let until = u64::try_from(terms.good_until()).map(Timestamp::from_secs);
        self.row("permit", terms.kind().as_str());
        self.row("network", &chain(asset));
        self.row("value", &value(asset, terms.value()));
        self.row("token", &asset.token().to_string());
        self.row("payer", &terms.payer().to_string());
        self.row("for", &terms.payee().to_string());
        self.row(
            "good until",
            &until.map_or_else(|_| "for ever".to_owned(), moment),
        );
        self.row("payment", &permit.payment_id().to_string());
        json!({
            "kind": terms.kind().as_str(), "chain": asset.chain().to_string(), "token": asset.token().to_string(),
            "value": terms.value().to_string(), "payer": terms.payer().to_string(), "payee": terms.payee().to_string(),
            "goodUntil": terms.good_until().to_string(), "payment": permit.payment_id().to_string(),
        })
    }
}

fn chain(asset: Erc20) -> String {
    let title = network(asset.chain()).map_or("unknown network", |known| known.title);
    format!("{} ({title})", asset.chain())
}

/// An amount by our own table.
fn value(asset: Erc20, value: U256) -> String {
    AssetRegistry::builtin().find(asset).map_or_else(
        || format!("{value} atomic units of an asset we do not know"),
        |known| format!("{} ({value} atomic units)", money(value, known)),
    )
}

fn shown_price(asset: &str, amount: &str) -> String {
    match (asset.parse::<Erc20>(), amount.parse::<U256>()) {
        (Ok(asset), Ok(amount)) => format!("{} on {}", value(asset, amount), chain(asset)),
        _ => format!("{amount} of {asset}"),
    }
}

/// `2027-01-15 08:00:00 UTC`.
fn moment(at: Timestamp) -> String {
    let text = date::naive(at);
    let text = text.split('.').next().unwrap_or_default();
    format!("{} UTC", text.replace('T', " "))
}

/// How long until then, in the largest unit that says something. The last second still counts.
fn until(end: Timestamp, now: Timestamp) -> String {
    let (from, to) = (now.as_secs(), end.as_secs());
    if from > to {
        return format!("expired {} ago", span(from.saturating_sub(to)));
    }
    format!("{} left", span(to.saturating_sub(from)))
}

fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs.div_euclid(60)),
        7_200..172_800 => format!("{} h", secs.div_euclid(3_600)),
        _ => format!("{} days", secs.div_euclid(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        let at = Timestamp::from_secs;
        assert_eq!(moment(at(1_800_000_000)), "2027-01-15 08:00:00 UTC");
        for (end, now, text) in [
            (100, 100, "0 s left"),
            (100, 101, "expired 1 s ago"),
            (3_700, 100, "60 min left"),
            (100_000, 0, "27 h left"),
            (u64::MAX, 0, "213503982334601 days left"),
        ] {
            assert_eq!(until(at(end), at(now)), text);
        }
    }
}
