//! What runs in the measured processes. A server says where it listens on its first line.

#![allow(clippy::print_stdout, reason = "a server says where it listens")]

pub mod books;
pub mod credit;
pub mod desk;
pub mod shop;
pub mod stub;
pub mod toll;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::Failed;

/// Binds a free port and says which.
///
/// # Errors
/// There is none.
pub async fn listen() -> Result<TcpListener, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// The floor: the server every other one is built on, answering `200 ok` and nothing else.
///
/// # Errors
/// The server broke off.
pub async fn floor() -> Result<(), Failed> {
    let listener = listen().await?;
    Ok(axum::serve(listener, joke()).await?)
}

/// The service that is sold.
pub fn joke() -> Router {
    Router::new().route("/joke", axum::routing::get(async || "ok"))
}

/// The address on a server's first line.
///
/// # Errors
/// There is none.
pub fn address(line: &str) -> Result<SocketAddr, Failed> {
    line.parse()
        .map_err(|_| format!("a server said {line:?} instead of its address").into())
}
