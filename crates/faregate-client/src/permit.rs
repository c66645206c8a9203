//! Paying with a permit: it is posted for an access token, and the request is sent again with that (specs/permit.md §1.1).
//!
//! The permit is in the books before it is posted, and until its end is known the same bytes are posted again, for the same
//! request and by nobody for another. A token is in the books as soon as it is here: whoever finds a payment that is open
//! shows its token, if it has one, before the permit is posted again.

use faregate_core::crash::{self, Point};
use faregate_ledger::{KeptToken, Spend, SpendEnd, SpendState, StoreError};
use faregate_types::permit::{Demand, Endpoint, Issued, PermitKind};
use faregate_types::{Code, Erc20, PaymentId, Refusal, Timestamp, permit2, to_decimal_text};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::client::{Inner, internal};
use crate::deliver::{Delivery, undecided};
use crate::error::{Doubt, HttpFault, PayError, Refused, TokenRefused, Undecided};
use crate::hear::{self, Heard, No, NotYet, Sent};
use crate::invoice::Place;
use crate::limits::{
    NONCE_REUSES_MAX, OFFER_BODY_BYTES_MAX, RESEND_PAUSE, TOKEN_MARGIN_SECS, TOKEN_SECS,
    TOKEN_SECS_MAX, WAIT_PAUSE,
};
use crate::node::Node;
use crate::payment::{Ends, Paid, Payment, PermitPayment, Rail};
use crate::prepare::SignedAway;
use crate::rail::permit::{self, Nonce, Note, Said};
use crate::receipt::Receipt;
use crate::resume::Flight;
use crate::select::Price;
use crate::tokens::{self, Shown};
use crate::transport;

/// A permit that is in the books and may be posted.
pub(crate) struct Slip<'a> {
    pub(crate) flight: Flight<'a>,
    note: Note,
    /// It was posted for an earlier request, perhaps.
    pub(crate) resumed: bool,
}

/// The "no" of a token endpoint.
struct Declined {
    refused: Refused,
    /// A copy of the permit was taken before.
    was_taken: bool,
}

/// A token and how long it may be shown; kept only while it is worth it.
struct Token {
    header: HeaderValue,
    until: Timestamp,
}

impl Inner {
    /// Signs a permit and writes it down, if terms and caps allow it.
    pub(crate) async fn prepare_permit(
        &self,
        request: &Request,
        place: Place,
        endpoint: Endpoint,
        (kind, price): (PermitKind, &Price),
    ) -> Result<Slip<'_>, PayError> {
        let now = self.now();
        let (path, terms) = (request.url().path(), price.terms());
        let expected = self.books.expect(&self.bell, &place.origin, path, &terms);
        let expected = expected.await?;
        let wallet = self.wallet.as_ref().ok_or_else(internal)?;
        let nonce = self.permit_nonce(kind, price).await?;
        let signed = permit::sign(endpoint, kind, price, wallet.signer(), nonce, now)?;
        let signed_away = SignedAway {
            id: signed.id,
            valid_until: signed.valid_until,
            credential: signed.note.to_bytes(),
            at: now,
        };
        let spend = signed_away.spend(request, place, price, wallet.address());
        crash::point(Point::Signed);
        let caps = self.books.caps;
        let reserve = self
            .books
            .reserve(&self.bell, &spend, terms, caps, expected.as_ref());
        match reserve.await {
            // Another process signed with the same nonce at this moment.
            Err(PayError::Store(StoreError::Conflict)) if kind == PermitKind::Eip2612 => {
                return Err(PayError::PermitWaits(spend.id));
            }
            verdict => verdict?,
        }
        crash::point(Point::Reserved);
        Ok(Slip {
            flight: self.open.flight(spend),
            note: signed.note,
            resumed: false,
        })
    }

    /// The nonce of a new permit. Those of EIP-2612 are counted by the token contract, so that one permit waits for the one
    /// before it.
    async fn permit_nonce(&self, kind: PermitKind, price: &Price) -> Result<Nonce, PayError> {
        let node = self.nodes.get(&price.asset.id.chain());
        match (kind, node) {
            (PermitKind::Eip2612, Some(node)) => self.counted(node, price.asset.id).await,
            (PermitKind::Eip2612, None) => Err(internal()),
            (PermitKind::Permit2, Some(node)) => {
                self.check_allowance(node, price).await?;
                Ok(Nonce::Random(self.nonce()?))
            }
            (PermitKind::Erc3009 | PermitKind::Permit2, _) => Ok(Nonce::Random(self.nonce()?)),
        }
    }

    /// The next nonce by the contract's count, once no permit with it is on its way.
    async fn counted(&self, node: &Node, asset: Erc20) -> Result<Nonce, PayError> {
        let now = Instant::now();
        let until = now.checked_add(self.patience.wait).unwrap_or(now);
        loop {
            let number = node.next_nonce(asset, self.payer()).await?;
            let natural = PaymentId::eip2612(asset.chain(), asset.token(), self.payer(), number);
            let on_its_way = match self.free_id(natural).await? {
                Ok(id) => return Ok(Nonce::Counted(number, id)),
                Err(other) => other,
            };
            let wakes = Instant::now().checked_add(WAIT_PAUSE);
            if wakes.is_none_or(|wakes| wakes > until) {
                return Err(PayError::PermitWaits(on_its_way));
            }
            sleep(WAIT_PAUSE).await;
        }
    }

    /// A name in the books for another permit with the nonce of this one; or the permit that has it now. A nonce is signed
    /// again when the permit before has expired or was refused: of all permits with one nonce the contract takes one.
    async fn free_id(&self, natural: PaymentId) -> Result<Result<PaymentId, PaymentId>, PayError> {
        let now = self.now();
        let mut id = natural;
        for use_number in 0..NONCE_REUSES_MAX {
            id = natural.nth(use_number);
            let Some(record) = self.books.store.spend(id).await? else {
                return Ok(Ok(id));
            };
            let is_over = record.spend.valid_until < now
                || matches!(record.state, SpendState::Refused | SpendState::Unused);
            if !is_over {
                return Ok(Err(id));
            }
        }
        Ok(Err(id))
    }

    /// Says so when Permit2 may not take the money. Nothing is approved unasked.
    async fn check_allowance(&self, node: &Node, price: &Price) -> Result<(), PayError> {
        let asset = &price.asset;
        let allowance = node.allowance(asset.id, self.payer(), permit2::CONTRACT);
        match allowance.await {
            Ok(allowance) if allowance < price.amount.value() => {
                let coins = to_decimal_text(allowance, asset.decimals);
                let detail = format!(
                    "Permit2 may take {coins} {} from {}; approve {} for the token first",
                    asset.symbol,
                    self.payer(),
                    permit2::CONTRACT
                );
                let refusal = Refusal::new(Code::PermitAllowanceTooLow);
                Err(PayError::Offer(refusal.detail(detail)))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "nobody says what Permit2 may take");
                Ok(())
            }
        }
    }

    /// A permit that the books have from an earlier request.
    pub(crate) fn slip_again<'a>(&self, flight: Flight<'a>) -> Result<Slip<'a>, PayError> {
        let spend = flight.spend().ok_or_else(internal)?;
        let note = Note::from_bytes(&spend.credential);
        Ok(Slip {
            note: note.ok_or(PayError::Store(StoreError::Damaged))?,
            flight,
            resumed: true,
        })
    }

    /// A token for this request that somebody bought meanwhile, or that the request's own `Authorization` was in the way of.
    /// `None` when there is none that the server takes.
    pub(crate) async fn instead(&self, request: &Request) -> Result<Option<Response>, PayError> {
        let Some(place) = tokens::Place::whatever_it_shows(request) else {
            return Ok(None);
        };
        let found = match self.tokens.find(&place, self.now()) {
            Some(shown) => Some(shown),
            None => self.kept_token(&place).await,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let is_of_l402 = found.is_of_l402();
        let Shown { payment, header } = found;
        let mut copy = crate::ask::replay(request)?;
        copy.headers_mut().insert(AUTHORIZATION, header);
        let response = transport::send(&self.http, copy).await;
        let response = response.map_err(PayError::Http)?;
        match response.status() {
            StatusCode::PAYMENT_REQUIRED => {
                self.token_refused_at(&place, payment).await;
                Ok(None)
            }
            StatusCode::UNAUTHORIZED if is_of_l402 => {
                self.token_refused_at(&place, payment).await;
                Ok(None)
            }
            status => {
                if status.is_success() {
                    self.token_used(payment).await;
                }
                Ok(Some(response))
            }
        }
    }

    /// Whether the server broke down over a permit of another kind than the one that is to be signed.
    pub(crate) fn is_of_other_kind(&self, undecided: &Undecided) -> bool {
        match undecided.why {
            Doubt::Permit(kind) => self.habits.pinned.is_some_and(|pinned| pinned != kind),
            Doubt::Http(_) | Doubt::Server(_) | Doubt::Lightning(_) => false,
        }
    }

    /// Has the token issued, or finds it, then sends the request with it.
    pub(crate) async fn pay_permit(
        &self,
        mut request: Request,
        slip: Slip<'_>,
    ) -> Result<Paid<Response>, PayError> {
        let spend = slip.flight.spend().ok_or_else(internal)?.clone();
        let kept = match slip.resumed {
            true => self.token_of(&request, &spend).await,
            false => None,
        };
        let token = match kept {
            Some(token) => token,
            None => match self.exchange(&request, &spend, &slip).await? {
                Ok(issued) => self.take(&request, &spend, &issued).await?,
                Err(declined) => return Err(self.permit_refused(*declined, spend, slip).await),
            },
        };
        let headers = request.headers_mut();
        // The request's own goes to a server that asks for another: two lines would leave the choice to it.
        headers.insert(AUTHORIZATION, token.header.clone());
        let delivered = self
            .deliver(&request, &spend, &Sent::Permit, slip.resumed)
            .await?;
        crash::point(Point::Answered);
        match delivered.heard {
            Heard::Answer(response, _) => {
                Ok(self.opened(response, spend, slip, &request, token).await)
            }
            Heard::No(no) => Err(self.permit_token_refused(*no, spend, slip).await),
            // `deliver` ends with an answer, a refusal or an error.
            Heard::NotYet(_) => Err(internal()),
        }
    }

    /// Posts the permit until there is an answer that says something, always the same bytes.
    async fn exchange(
        &self,
        request: &Request,
        spend: &Spend,
        slip: &Slip<'_>,
    ) -> Result<Result<Issued, Box<Declined>>, PayError> {
        let post = posted(request.url(), &slip.note).ok_or_else(internal)?;
        let mut delivery = Delivery::new(spend, !slip.resumed, self.patience_for(spend));
        let mut again = slip.resumed;
        loop {
            let (status, retry_after, body) = match self.post(&post).await {
                Ok(answer) => answer,
                Err(fault) => {
                    self.lost(&mut delivery, fault, true).await?;
                    again |= !delivery.unsent;
                    continue;
                }
            };
            delivery.unsent = false;
            match permit::hear(status, body.as_deref()) {
                Said::Issued(issued) => return Ok(Ok(issued)),
                // Only that it is too late now: the copy before may have been in time.
                Said::Refused(code @ Code::PermitExpired, _) if again => {
                    return Err(undecided(spend, Doubt::Server(code), None));
                }
                Said::Refused(code, reason) => {
                    let refused = Refused {
                        id: spend.id,
                        status: status.as_u16(),
                        code,
                        reason,
                        receipt: Receipt::Missing,
                        asks_again: false,
                    };
                    let was_taken = again && hear::is_spent(Some(code));
                    return Ok(Err(Box::new(Declined { refused, was_taken })));
                }
                Said::Later(code) => {
                    let news = NotYet {
                        code,
                        transaction: None,
                        retry_after,
                    };
                    delivery.not_yet(news).await?;
                }
                Said::Nothing => {
                    delivery.losses = delivery.losses.saturating_add(1);
                    let pause = RESEND_PAUSE.saturating_mul(delivery.losses);
                    if delivery.losses > self.patience.resends || !delivery.has(pause) {
                        let kind = slip.note.permit.terms.kind();
                        return Err(undecided(spend, Doubt::Permit(kind), None));
                    }
                    sleep(pause).await;
                }
            }
            again = true;
        }
    }

    async fn post(
        &self,
        post: &Request,
    ) -> Result<(StatusCode, Option<std::time::Duration>, Option<Vec<u8>>), HttpFault> {
        let response = self.send(post).await?;
        let status = response.status();
        let retry_after = hear::retry_after(response.headers());
        let body = transport::read(response, OFFER_BODY_BYTES_MAX).await?;
        Ok((status, retry_after, body))
    }

    /// The token of a payment, from the books.
    async fn token_of(&self, request: &Request, spend: &Spend) -> Option<Token> {
        let method = request.method().as_str().into();
        let store = &self.books.store;
        let told = store.tokens_at(spend.origin.clone(), method, self.now());
        let mut told = told.await.ok()?.into_iter();
        let token = told.find(|token| token.payment == spend.id)?;
        Some(Token {
            header: tokens::header(&token.credential)?,
            until: token.until,
        })
    }

    /// Keeps a token that was issued, before anything is done with it.
    async fn take(
        &self,
        request: &Request,
        spend: &Spend,
        issued: &Issued,
    ) -> Result<Token, PayError> {
        let now = self.now();
        let secs = issued.expires_in.map_or(TOKEN_SECS, |secs| {
            secs.saturating_sub(TOKEN_MARGIN_SECS).min(TOKEN_SECS_MAX)
        });
        let header = tokens::header(issued.authorization().as_bytes());
        let token = Token {
            header: header.ok_or_else(internal)?,
            until: now.checked_add_secs(secs).unwrap_or(now),
        };
        if let Some((_, kept)) = token.kept(request, spend, now) {
            self.keep_token(kept).await;
        }
        Ok(token)
    }

    /// Writes down that it was paid for, unless the server broke down over the request.
    async fn opened(
        &self,
        response: Response,
        spend: Spend,
        slip: Slip<'_>,
        request: &Request,
        token: Token,
    ) -> Paid<Response> {
        let state = if response.status().is_server_error() {
            // The flight ends as an open payment: the same request shows the same token.
            SpendState::Open
        } else {
            let is_settled = self.ends == Ends::WhenAnswered;
            if let Some((place, kept)) = token.kept(request, &spend, self.now()) {
                self.tokens.put(&place, kept, is_settled);
            }
            if is_settled {
                slip.flight.decided();
                let end = SpendEnd::Paid { transaction: None };
                self.books.finish_later(spend.id, end, self.now()).await;
            }
            SpendState::Paid
        };
        tracing::debug!(payment = %spend.id, state = state.as_str(), "access token shown");
        let permit = &slip.note.permit;
        let rail = Rail::Permit(PermitPayment {
            kind: permit.terms.kind(),
            payer: permit.terms.payer(),
            asset: self.assets.find(spend.amount.asset()).cloned(),
            token_until: token.until,
        });
        let payment = Payment::of(spend, slip.resumed, state, rail);
        Paid {
            answer: response,
            payment: Some(payment),
        }
    }

    /// The server does not want the permit. That it was posted counts all the same.
    async fn permit_refused(&self, declined: Declined, spend: Spend, slip: Slip<'_>) -> PayError {
        let Declined { refused, was_taken } = declined;
        slip.flight.decided();
        let end = if was_taken {
            // What is refused is a copy; the money moved, or will, for the one before.
            SpendEnd::Paid { transaction: None }
        } else {
            SpendEnd::Refused { code: refused.code }
        };
        self.books.finish(spend.id, end, self.now()).await;
        crash::point(Point::Recorded);
        PayError::Refused(Box::new(refused))
    }

    /// The permit was taken, and its token opens nothing. Nothing else is paid.
    async fn permit_token_refused(&self, no: No, spend: Spend, slip: Slip<'_>) -> PayError {
        slip.flight.decided();
        let end = SpendEnd::Paid { transaction: None };
        self.books.finish(spend.id, end, self.now()).await;
        crash::point(Point::Recorded);
        if let Err(error) = self.books.store.forget_token(spend.id).await {
            tracing::warn!(payment = %spend.id, %error, "a token that is not taken stays in the wallet's books");
        }
        let code = no.reason.as_deref().and_then(permit::reason_code);
        PayError::TokenRefused(Box::new(TokenRefused {
            id: spend.id,
            status: no.status,
            code: code.or(no.code).unwrap_or(Code::PaymentRefused),
            reason: no.reason,
            origin: spend.origin,
            payee: spend.payee,
            asset: self.assets.find(spend.amount.asset()).cloned(),
            amount: spend.amount,
        }))
    }
}

impl Token {
    /// What is kept of it; `None` when it ends before it could be shown again.
    fn kept(
        &self,
        request: &Request,
        spend: &Spend,
        now: Timestamp,
    ) -> Option<(tokens::Place, KeptToken)> {
        let place = tokens::Place::whatever_it_shows(request).filter(|_| self.until > now)?;
        Some(place.with(spend.id, (now, self.until), &self.header))
    }
}

/// The request for a token: nothing of the caller's is in it.
fn posted(url: &Url, note: &Note) -> Option<Request> {
    let to = url.join(note.endpoint.as_str()).ok()?;
    if to.origin() != url.origin() {
        return None;
    }
    let mut post = Request::new(Method::POST, to);
    let json = HeaderValue::from_static("application/json");
    post.headers_mut().insert(CONTENT_TYPE, json.clone());
    post.headers_mut().insert(ACCEPT, json);
    *post.body_mut() = Some(note.body.to_string().into());
    Some(post)
}

/// What a body asks for over this rail.
pub(crate) fn demand(body: &[u8]) -> Option<Result<Demand, Refusal>> {
    let read = Demand::read(body).transpose()?;
    Some(read.map_err(|error| Refusal::new(Code::MalformedOffer).detail(error.to_string())))
}
