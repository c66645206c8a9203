//! Calls of the service whose answer is lost with the process: what was done stays done once, and whoever asks again hears it.
//!
//! | lost answer | what is done |
//! |---|---|
//! | a tab | asked again: the same tab |
//! | a certificate | asked again with its `Idempotency-Key`: the same certificate; nobody asks: it is in the list all the same |
//! | sign-in | a message is good once: sign another one |
//! | the next refresh token | nobody has it, and the one before is used up: showing it ends the session, so sign in again |
//! | an administrator's key | nobody has it: it is in the list, and can be revoked |
//! | signing out, revoking, suspending | done; asked again it is said so |

use faregate_client::credit::Signer as _;
use faregate_core::crash::CREDIT_SERVICE;
use faregate_types::credit::api::{
    CreateAdminKey, CreateTab, NonceAnswer, NonceRequest, RefreshRequest, SetSuspension, Tokens,
    VerifyRequest,
};
use faregate_types::credit::{AdminKey, Certificate, SignIn, read_answer, write};
use faregate_types::{Bytes, eip191};
use serde_json::Value;

use crate::support::http;

use super::*;

/// A call of a core; `None` when it went away instead.
async fn call(
    town: &Town,
    path: &str,
    body: Option<String>,
    header: Option<(&str, &str)>,
) -> Option<(u16, String)> {
    let url = format!("{}/{path}", town.url);
    let mut request = match body {
        Some(body) => http().post(url).body(body),
        None => http().get(url),
    };
    request = request.header("content-type", "application/json");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// The same call, which has to be answered with this status.
async fn hears(
    town: &Town,
    status: u16,
    path: &str,
    body: Option<String>,
    header: Option<(&str, &str)>,
) -> String {
    let answer = call(town, path, body, header).await;
    let (found, text) = answer.unwrap_or_else(|| panic!("{path}: no answer"));
    assert_eq!(found, status, "{path}: {text}");
    text
}

/// The same call, whose answer is lost: the core ends at its place.
async fn lost(
    town: &Town,
    core: &mut Child,
    path: &str,
    body: Option<String>,
    header: Option<(&str, &str)>,
) {
    let answer = call(town, path, body, header).await;
    assert!(answer.is_none(), "{path}: {answer:?}");
    ended(core, path).await;
}

const TABS: &str = "core/payment-tabs";

fn new_tab(town: &Town) -> Option<String> {
    Some(write(&CreateTab {
        payer: town.payer.address(),
        recipient: town.recipient.address(),
        token: Some(town.chain.usdc()),
        ttl: Some(900),
        version: Some(1),
    }))
}

async fn opened(town: &Town) -> U256 {
    let text = hears(town, 200, TABS, new_tab(town), None).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    found["id"].as_str().unwrap().parse().unwrap()
}

async fn a_tab(town: &Town, mut core: Child) {
    lost(town, &mut core, TABS, new_tab(town), None).await;
    let books = town.books().await;
    let left = books
        .tabs_of_payer(town.payer.address(), Vec::new(), ALL)
        .await
        .unwrap();
    let [tab] = &left[..] else {
        panic!("{left:?}");
    };
    drop(books);
    let mut core = town.start(None).await;
    assert_eq!(opened(town).await, tab.id.0);
    core.kill().await.unwrap();
    let books = town.books().await;
    let all = books
        .tabs_of_payer(town.payer.address(), Vec::new(), ALL)
        .await;
    assert_eq!(all.unwrap(), left);
}

const GUARANTEES: &str = "core/guarantees";
const AMOUNT: u64 = 100;
const AGAIN: Option<(&str, &str)> = Some(("idempotency-key", "again"));

/// A guarantee on its way, and its number on the tab.
struct Asked {
    tab: TabId,
    req: u64,
    request: GuaranteeRequest,
}

/// What was locked is locked once; the certificate of the newest guarantee, if it is in the books.
async fn kept(town: &Town, asked: &Asked, case: &str) -> Option<Certificate> {
    let books = town.books().await;
    let all = U256::from(AMOUNT * (asked.req + 1));
    let found = collateral(&books, town.payer.address(), town.chain.usdc()).await;
    assert_eq!(found.locked, all, "{case}");
    let count = lines(&books, asked.tab, EntryKind::Reserve).await as u64;
    assert_eq!(count, asked.req + 1, "{case}");
    let found = books.guarantee(asked.tab, U256::from(asked.req)).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.total, found.order), (all, asked.req), "{case}");
    found.certificate
}

/// The certificate that a core gives, however it is asked.
async fn certified(town: &Town, asked: &Asked, point: Point) -> Certificate {
    let about = town.recipient.recipient();
    let body = Some(write(&asked.request));
    let certificate = if point == Point::CertificateSigned {
        signed_by_itself(town, asked.tab, U256::from(asked.req)).await
    } else {
        let text = hears(town, 200, GUARANTEES, body.clone(), AGAIN).await;
        read_answer::<Certificate>(text.as_bytes()).unwrap()
    };
    let said = about.verify_payment_guarantee(&certificate).unwrap();
    let all = U256::from(AMOUNT * (asked.req + 1));
    assert_eq!((said.total_amount, said.tab_id), (all, asked.tab.0));
    // Whoever asks again hears the same, and who does not say so hears that there is one.
    for _ in 0..2 {
        let again = about.issue_payment_guarantee(&asked.request).await.unwrap();
        assert_eq!(again.certificate, certificate);
    }
    let text = hears(town, 400, GUARANTEES, body, None).await;
    assert!(text.contains("already exists"), "{text}");
    certificate
}

async fn a_guarantee(town: &Town, mut core: Child, point: Point) {
    let (case, token) = (point.name(), town.chain.usdc());
    let tab = town.tab(token).await;
    let about = town.recipient.recipient();
    let req = about.guarantees(tab.0).await.unwrap().len() as u64;
    let request = town.signed(tab, req, token, AMOUNT).await;
    let asked = Asked { tab, req, request };
    let body = Some(write(&asked.request));
    lost(town, &mut core, GUARANTEES, body, AGAIN).await;
    let first = kept(town, &asked, case).await;
    assert_eq!(first.is_some(), point == Point::CertificateKept, "{case}");
    if point == Point::Locked {
        // It is signed without being asked for, and that is killed too.
        town.ends_at(Point::CertificateSigned, case).await;
        assert_eq!(kept(town, &asked, case).await, None, "{case}");
    }
    let mut core = town.start(None).await;
    let certificate = certified(town, &asked, point).await;
    core.kill().await.unwrap();
    assert!(first.is_none_or(|first| first == certificate), "{case}");
    assert_eq!(kept(town, &asked, case).await, Some(certificate), "{case}");
}

/// The certificate of a guarantee that nobody asked for a second time.
pub(super) async fn signed_by_itself(town: &Town, tab: TabId, req: U256) -> Certificate {
    let about = town.recipient.recipient();
    let is_there = async {
        loop {
            let found = about.guarantee(tab.0, req).await.unwrap().unwrap();
            match found.certificate {
                Some(text) => return text.0,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(SOON, is_there).await.unwrap()
}

/// What the payer signs to sign in.
async fn message(town: &Town) -> String {
    let address = town.payer.address();
    let asked = Some(write(&NonceRequest { address }));
    let text = hears(town, 200, "auth/nonce", asked, None).await;
    let answer: NonceAnswer = read_answer(text.as_bytes()).unwrap();
    let message = SignIn {
        address,
        nonce: answer.nonce,
        template: answer.siwe,
    };
    let text = message.checked_text().unwrap();
    let signature = signer().sign_digest(eip191::digest(text.as_bytes())).await;
    write(&VerifyRequest {
        address,
        message: text,
        signature: Bytes::copy_from_slice(&signature.unwrap().to_bytes()),
    })
}

fn signer() -> LocalSigner {
    let key = SecretKey::from_hex(Devchain::accounts()[PAYER].private_key).unwrap();
    LocalSigner::new(key).unwrap()
}

async fn signed_in(town: &Town) -> Tokens {
    let body = message(town).await;
    let text = hears(town, 200, "auth/verify", Some(body), None).await;
    read_answer(text.as_bytes()).unwrap()
}

fn shown(tokens: &Tokens) -> Option<String> {
    let refresh_token = tokens.refresh_token.clone();
    Some(write(&RefreshRequest { refresh_token }))
}

async fn a_sign_in(town: &Town, mut core: Child) {
    let body = Some(message(town).await);
    lost(town, &mut core, "auth/verify", body.clone(), None).await;
    let mut core = town.start(None).await;
    let text = hears(town, 401, "auth/verify", body, None).await;
    assert!(text.contains("nonce already used"), "{text}");
    let tokens = signed_in(town).await;
    hears(town, 200, "auth/refresh", shown(&tokens), None).await;
    core.kill().await.unwrap();
}

async fn a_refresh_token(town: &Town, mut core: Child) {
    let tokens = signed_in(town).await;
    lost(town, &mut core, "auth/refresh", shown(&tokens), None).await;
    let mut core = town.start(None).await;
    // The access token goes on to its end.
    let bearer = format!("Bearer {}", tokens.access_token.expose());
    let path = format!("core/users/{}/tabs", town.payer.address());
    hears(town, 200, &path, None, Some(("authorization", &bearer))).await;
    let text = hears(town, 401, "auth/refresh", shown(&tokens), None).await;
    assert!(text.contains("used before"), "{text}");
    let tokens = signed_in(town).await;
    hears(town, 200, "auth/refresh", shown(&tokens), None).await;
    core.kill().await.unwrap();
}

async fn a_sign_out(town: &Town, mut core: Child) {
    let tokens = signed_in(town).await;
    lost(town, &mut core, "auth/logout", shown(&tokens), None).await;
    let mut core = town.start(None).await;
    let text = hears(town, 200, "auth/logout", shown(&tokens), None).await;
    assert!(text.contains("false"), "{text}");
    hears(town, 401, "auth/refresh", shown(&tokens), None).await;
    core.kill().await.unwrap();
}

const KEYS: &str = "core/admin/api-keys";

fn new_key(name: &str) -> Option<String> {
    Some(write(&CreateAdminKey {
        name: name.into(),
        scopes: vec!["user_suspension:write".into()],
    }))
}

/// The id of the key of this name, and whether it is revoked.
async fn listed(town: &Town, root: &str, name: &str) -> (String, bool) {
    let text = hears(town, 200, KEYS, None, Some(("x-api-key", root))).await;
    let all: Value = serde_json::from_str(&text).unwrap();
    let mut named = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["name"] == name);
    let found = named.next().unwrap();
    assert!(named.next().is_none(), "{text}");
    let id = found["id"].as_str().unwrap().to_owned();
    (id, !found["revoked_at"].is_null())
}

async fn a_key(town: &Town, mut core: Child, root: &str) {
    let header = Some(("x-api-key", root));
    lost(town, &mut core, KEYS, new_key("lost"), header).await;
    let mut core = town.start(None).await;
    let (id, revoked) = listed(town, root, "lost").await;
    assert!(!revoked);
    let path = format!("{KEYS}/{id}/revoke");
    hears(town, 200, &path, Some("{}".into()), header).await;
    assert!(listed(town, root, "lost").await.1);
    core.kill().await.unwrap();
}

fn suspension(town: &Town, suspended: bool) -> (String, Option<String>) {
    let path = format!("core/users/{}/suspension", town.payer.address());
    (path, Some(write(&SetSuspension { suspended })))
}

async fn a_revocation(town: &Town, mut core: Child, root: &str) {
    let header = Some(("x-api-key", root));
    let text = hears(town, 200, KEYS, new_key("mine"), header).await;
    let made: Value = serde_json::from_str(&text).unwrap();
    let mine = Some(("x-api-key", made["api_key"].as_str().unwrap()));
    let (path, body) = suspension(town, false);
    hears(town, 200, &path, body.clone(), mine).await;
    let revoke = format!("{KEYS}/{}/revoke", made["id"].as_str().unwrap());
    lost(town, &mut core, &revoke, Some("{}".into()), header).await;
    let mut core = town.start(None).await;
    hears(town, 401, &path, body, mine).await;
    hears(town, 200, &revoke, Some("{}".into()), header).await;
    assert!(listed(town, root, "mine").await.1);
    core.kill().await.unwrap();
}

async fn a_suspension(town: &Town, mut core: Child, root: &str) {
    let header = Some(("x-api-key", root));
    let (path, body) = suspension(town, true);
    lost(town, &mut core, &path, body.clone(), header).await;
    let mut core = town.start(None).await;
    hears(town, 403, TABS, new_tab(town), None).await;
    hears(town, 200, &path, body, header).await;
    let (path, body) = suspension(town, false);
    hears(town, 200, &path, body, header).await;
    opened(town).await;
    core.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_stays_done_once() {
    let town = Town::new().await;
    town.deposit(town.chain.usdc(), 1_000).await;
    let mut core = town.start(None).await;
    town.balance(town.chain.usdc(), (1_000, 0), "a deposit")
        .await;
    core.kill().await.unwrap();
    let root = AdminKey::bootstrap(ADMIN_SEED.as_bytes()).to_text();
    for point in CREDIT_SERVICE {
        let core = town.start(Some(point)).await;
        match point {
            Point::TabOpened => a_tab(&town, core).await,
            Point::Locked | Point::CertificateSigned | Point::CertificateKept => {
                a_guarantee(&town, core, point).await;
            }
            Point::SignedIn => a_sign_in(&town, core).await,
            Point::SessionRenewed => a_refresh_token(&town, core).await,
            Point::SignedOut => a_sign_out(&town, core).await,
            Point::AdminKeyKept => a_key(&town, core, &root).await,
            Point::AdminKeyRevoked => a_revocation(&town, core, &root).await,
            Point::SuspensionKept => a_suspension(&town, core, &root).await,
            _ => panic!("{}: what has to be true there?", point.name()),
        }
    }
    town.agrees().await;
}
