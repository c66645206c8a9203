//! A credit core on a port: the service, its books with everybody's money in them, its key. There is no chain behind it.

#![allow(clippy::print_stdout, reason = "a server says where it listens")]

use std::future::pending;
use std::net::SocketAddr;

use faregate_server::credit::CreditServer;
use faregate_types::credit::api::{NonceAnswer, NonceRequest, Tokens, VerifyRequest};
use faregate_types::credit::{SignIn, read_answer, write};
use faregate_types::{Bytes, eip191};

use crate::credit::{self, Crowd, Wish};
use crate::http::{self, Connection, Queue};
use crate::{Failed, process};

/// Issues guarantees for a crowd.
///
/// # Errors
/// The port, the ledger.
pub async fn serve_credit(crowd: Crowd, books: &str) -> Result<(), Failed> {
    let service = credit::service(crowd, books).await?;
    let running = CreditServer::start(process::free_addr()?, service, credit::settings()?).await?;
    println!("{}", running.addr());
    pending().await
}

/// `count` requests for guarantees in `lanes`, each signed by its payer and shown by its recipient, who has signed in.
///
/// # Errors
/// Somebody is not let in.
pub async fn requests(
    addr: SocketAddr,
    crowd: Crowd,
    lanes: usize,
    count: usize,
) -> Result<Vec<std::sync::Arc<Queue>>, Failed> {
    let mut connection = Connection::open(addr).await?;
    let mut heads: Vec<Option<String>> = vec![None; credit::LANES_MAX];
    let mut queues = Vec::with_capacity(lanes);
    for wishes in credit::wishes(crowd, lanes, count)? {
        let mut requests = Vec::with_capacity(wishes.len());
        for Wish { recipient, body } in wishes {
            let head = heads.get_mut(recipient).ok_or("no such recipient")?;
            let head = match head {
                Some(head) => head,
                None => head.insert(sign_in(&mut connection, recipient).await?),
            };
            requests.push(http::post_as(head, "/core/guarantees", body.as_bytes()));
        }
        queues.push(Queue::new(requests));
    }
    Ok(queues)
}

/// The header of a recipient that has signed in.
async fn sign_in(connection: &mut Connection, recipient: usize) -> Result<String, Failed> {
    let signer = credit::recipient_of(recipient)?;
    let address = signer.address();
    let asked = http::post("/auth/nonce", write(&NonceRequest { address }).as_bytes());
    let answer: NonceAnswer = read_answer(connection.exchange(&asked).await?.body())?;
    let message = SignIn {
        address,
        nonce: answer.nonce,
        template: answer.siwe,
    }
    .to_text();
    let signature = signer.sign_now(eip191::digest(message.as_bytes()))?;
    let signed = VerifyRequest {
        address,
        message,
        signature: Bytes::copy_from_slice(&signature.to_bytes()),
    };
    let asked = http::post("/auth/verify", write(&signed).as_bytes());
    let tokens: Tokens = read_answer(connection.exchange(&asked).await?.body())?;
    Ok(format!(
        "Authorization: Bearer {}",
        tokens.access_token.expose()
    ))
}
