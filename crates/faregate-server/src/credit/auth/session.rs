//! Sessions: a row of refresh tokens of which one is good at a time.
//!
//! A token is `refresh_` and 64 hexadecimal digits: the first half is the same for all tokens of a session, the second half is
//! new each time. So the books keep one row for each session, and whoever shows another second half than the last one shows a
//! token that was used up: the session is over, because two have it.

use faregate_core::crash::{self, Point};
use faregate_core::port::access::{AccessLimits, Rotated, Rotation, SecretHash, SignIn};
use faregate_types::credit::api::Hidden;
use faregate_types::{Address, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::super::refusal::Refusal;
use super::super::{Parts, chance, meter};

const PREFIX: &str = "refresh_";

/// Both halves.
type Bytes = Zeroizing<[u8; 32]>;

/// Begins a session with the nonce of a message that was signed.
pub(super) async fn begin(
    parts: &Parts,
    wallet: Address,
    nonce: &str,
    nonce_until: Timestamp,
    now: Timestamp,
) -> Result<Hidden, Refusal> {
    let bytes: Bytes = Zeroizing::new(chance()?);
    let sign_in = SignIn {
        nonce: hash(nonce.as_bytes()),
        nonce_until,
        family: family(&bytes),
        token: hash(bytes.as_slice()),
        address: wallet,
        at: now,
        expires_at: expires_at(parts, now)?,
    };
    if !parts
        .access
        .sign_in(sign_in, AccessLimits::default())
        .await?
    {
        return Err(Refusal::unauthorized("nonce already used"));
    }
    crash::point(Point::SignedIn);
    Ok(text(&bytes))
}

/// One token for the next, and whose session it is.
pub(super) async fn rotate(
    parts: &Parts,
    shown: &str,
    now: Timestamp,
) -> Result<(Address, Hidden), Refusal> {
    let invalid = || Refusal::unauthorized("invalid refresh token");
    let shown = parse(shown).ok_or_else(invalid)?;
    let mut next: Bytes = shown.clone();
    let fresh: Zeroizing<[u8; 16]> = Zeroizing::new(chance()?);
    for (slot, byte) in next.iter_mut().skip(16).zip(fresh.iter()) {
        *slot = *byte;
    }
    let rotation = Rotation {
        family: family(&shown),
        shown: hash(shown.as_slice()),
        next: hash(next.as_slice()),
        at: now,
        expires_at: expires_at(parts, now)?,
    };
    match parts.access.rotate(rotation).await? {
        Rotated::Now { address } => {
            crash::point(Point::SessionRenewed);
            Ok((address, text(&next)))
        }
        Rotated::Unknown => Err(invalid()),
        Rotated::Expired => Err(Refusal::unauthorized("refresh token expired")),
        Rotated::Reused => {
            meter::reused();
            tracing::warn!("a refresh token was shown twice; its session is over");
            Err(Refusal::unauthorized("refresh token was used before"))
        }
    }
}

/// Ends a session, whichever of its tokens is shown.
pub(super) async fn end(parts: &Parts, shown: &str) -> Result<bool, Refusal> {
    let Some(bytes) = parse(shown) else {
        return Ok(false);
    };
    let revoked = parts.access.sign_out(family(&bytes)).await?;
    crash::point(Point::SignedOut);
    Ok(revoked)
}

fn expires_at(parts: &Parts, now: Timestamp) -> Result<Timestamp, Refusal> {
    now.checked_add_secs(parts.auth.refresh_ttl_secs)
        .ok_or_else(Refusal::internal)
}

fn text(bytes: &Bytes) -> Hidden {
    Hidden::new(format!("{PREFIX}{}", hex::encode(bytes.as_slice())))
}

fn parse(text: &str) -> Option<Bytes> {
    let digits = text.trim().strip_prefix(PREFIX)?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    Some(bytes)
}

fn family(bytes: &Bytes) -> SecretHash {
    let (first, _) = bytes.split_at(16);
    hash(first)
}

fn hash(bytes: &[u8]) -> SecretHash {
    SecretHash::from_bytes(Sha256::digest(bytes).into())
}
