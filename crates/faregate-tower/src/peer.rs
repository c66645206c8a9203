//! Who asks.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use faregate_core::Asked;
use http::request::Parts;

/// Who is at the other end of the connection, or what a trusted proxy says about that. An extension of the request; without
/// it axum's [`ConnectInfo`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "servers make it")]
pub struct Peer(pub SocketAddr);

/// What the rails may know of a request.
pub(crate) fn asked(head: &Parts) -> Asked {
    let peer = head.extensions.get::<Peer>().map(|Peer(address)| address);
    let connected = || {
        let info = head.extensions.get::<ConnectInfo<SocketAddr>>();
        info.map(|ConnectInfo(address)| address)
    };
    Asked {
        method: head.method.clone(),
        uri: head.uri.clone(),
        client: peer.or_else(connected).map(SocketAddr::ip),
    }
}
