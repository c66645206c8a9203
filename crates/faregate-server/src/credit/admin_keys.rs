//! Keys of administrators, shown as `x-api-key` (specs/4mica.md §1.6). Every failure is 401 here, as clients expect it.

use std::sync::Arc;

use faregate_core::crash::{self, Point};
use faregate_core::port::access::{
    AccessStore, AdminKey as Kept, AdminKeyId, AdminScope, AdminScopes, SecretHash,
};
use faregate_ledger::StoreError;
use faregate_types::Timestamp;
use faregate_types::credit::api::{AdminKeyInfo, CreateAdminKey, CreatedAdminKey, Hidden};
use faregate_types::credit::{AdminKey, parse_uuid, to_uuid};
use http::HeaderMap;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use super::{Call, Parts, Said, chance, message};
use crate::limits::CREDIT_KEY_NAME_CHARS_MAX;

/// Where the key is.
pub(super) const HEADER: &str = "x-api-key";

/// Lets somebody through who shows a key with this scope.
pub(super) async fn check(
    parts: &Parts,
    headers: &HeaderMap,
    scope: AdminScope,
) -> Result<(), Refusal> {
    let mut shown = headers.get_all(HEADER).iter();
    let Some(value) = shown.next() else {
        return Err(Refusal::unauthorized("missing api key"));
    };
    let invalid = || Refusal::unauthorized("invalid api key");
    if shown.next().is_some() {
        return Err(invalid());
    }
    let text = value.to_str().map_err(|_| invalid())?;
    let key = AdminKey::parse(text.trim()).ok_or_else(invalid)?;
    let kept = parts.access.admin_key(key.id()).await?;
    let kept = kept
        .filter(|kept| key.is_of(kept.secret.as_bytes()))
        .ok_or_else(invalid)?;
    if kept.revoked_at.is_some() {
        return Err(Refusal::unauthorized("api key revoked"));
    }
    if !kept.scopes.has(scope) {
        return Err(Refusal::unauthorized("missing scope"));
    }
    Ok(())
}

/// Makes the key that follows from the operator's seed good, and every other one of its kind bad.
pub(super) async fn set_bootstrap(
    store: &dyn AccessStore,
    seed: Option<&[u8]>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let kept = seed.map(AdminKey::bootstrap).map(|key| Kept {
        id: key.id(),
        name: "bootstrap-admin".into(),
        scopes: AdminScopes::ALL,
        secret: SecretHash::from_bytes(key.hash()),
        created_at: at,
        revoked_at: None,
    });
    store.set_bootstrap_key(kept, at).await
}

/// `POST /core/admin/api-keys`.
pub(super) async fn create(parts: Arc<Parts>, call: Call) -> Said {
    let asked: CreateAdminKey = call.message()?;
    let name = asked.name.trim();
    if name.is_empty() {
        return Err(Refusal::bad("name is required"));
    }
    if name.chars().count() > CREDIT_KEY_NAME_CHARS_MAX {
        return Err(Refusal::bad("name is too long"));
    }
    if asked.scopes.is_empty() {
        return Err(Refusal::bad("at least one scope is required"));
    }
    let scopes = asked.scopes.iter().map(|scope| {
        // What is not known is shown, in part: it is the caller's own text.
        let shown: String = scope.trim().chars().take(100).collect();
        AdminScope::from_name(scope)
            .ok_or_else(|| Refusal::bad(format!("invalid scope: {}", shown.to_lowercase())))
    });
    let scopes: AdminScopes = scopes.collect::<Result<_, _>>()?;
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(chance()?);
    let key = AdminKey::new(uuid()?, &secret);
    let kept = Kept {
        id: key.id(),
        name: name.into(),
        scopes,
        secret: SecretHash::from_bytes(key.hash()),
        created_at: parts.clock.now(),
        revoked_at: None,
    };
    let info = info(&kept);
    if !parts.access.add_admin_key(kept).await? {
        return Err(Refusal::new(
            http::StatusCode::CONFLICT,
            "too many api keys: revoke one first",
        ));
    }
    crash::point(Point::AdminKeyKept);
    Ok(message(&CreatedAdminKey {
        id: info.id,
        name: info.name,
        scopes: info.scopes,
        created_at: info.created_at,
        api_key: Hidden::new(key.to_text().to_string()),
    }))
}

/// A random id, marked as such (RFC 9562, version 4).
fn uuid() -> Result<AdminKeyId, Refusal> {
    let mut id: AdminKeyId = chance()?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(id)
}

/// `GET /core/admin/api-keys`.
pub(super) async fn list(parts: Arc<Parts>, _: Call) -> Said {
    let keys = parts.access.admin_keys().await?;
    let keys: Vec<AdminKeyInfo> = keys.iter().map(info).collect();
    Ok(message(&keys))
}

/// `POST /core/admin/api-keys/{id}/revoke`.
pub(super) async fn revoke(parts: Arc<Parts>, call: Call) -> Said {
    let id = parse_uuid(call.segment("id")).ok_or_else(|| Refusal::bad("invalid api key id"))?;
    let revoked = parts.access.revoke_admin_key(id, parts.clock.now()).await?;
    let key = revoked.ok_or_else(|| Refusal::not_found("api key not found"))?;
    crash::point(Point::AdminKeyRevoked);
    Ok(message(&info(&key)))
}

fn info(key: &Kept) -> AdminKeyInfo {
    AdminKeyInfo {
        id: to_uuid(key.id),
        name: key.name.clone().into(),
        scopes: key.scopes.names().map(str::to_owned).collect(),
        created_at: key.created_at,
        revoked_at: key.revoked_at,
    }
}
