//! Starting what is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy_primitives::hex;

use super::World;
use crate::Failed;
use crate::chain::{self, CHAIN};
use crate::credit;
use crate::process::{Process, free_addr};
use crate::serve;

/// The key that pays the gas, for programs that take it by environment.
pub(super) const GAS_KEY: &str = "BENCH_GAS_KEY";

/// The key that signs in at credit cores: that of the shop.
pub(super) const CREDIT_KEY: &str = "BENCH_CREDIT_KEY";

/// A running server.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) addr: SocketAddr,
    /// What it needs beside it.
    pub(super) others: Vec<Process>,
}

impl Server {
    /// Keeps another process as long as this one.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.others.push(other.process);
        self.others.extend(other.others);
        self
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// A part of this program that says on its first line where it listens.
pub(super) fn own(args: &[&str]) -> Result<Server, Failed> {
    said(&std::env::current_exe()?, args)
}

/// A part of the peers' program that does the same; `None` without peers.
pub(super) fn peer(world: &World, args: &[&str]) -> Result<Option<Server>, Failed> {
    match &world.options.peers {
        Some(peers) => said(peers, args).map(Some),
        None => Ok(None),
    }
}

/// A driver of this program.
pub(super) fn driver(program: &Path, args: &[&str]) -> Result<Process, Failed> {
    let mut process = Process::start(program, args, &[])?;
    match process.line()?.as_str() {
        "ready" => Ok(process),
        other => Err(format!("a driver said {other:?}").into()),
    }
}

fn said(program: &Path, args: &[&str]) -> Result<Server, Failed> {
    let mut process = Process::start(program, args, &[])?;
    let addr = serve::address(&process.line()?)?;
    Ok(Server {
        process,
        addr,
        others: Vec::new(),
    })
}

/// `faregate gate` with this file, as its users run it: this program is that one too.
pub(super) fn gate(
    world: &World,
    name: &str,
    facilitator: &str,
    routes: &str,
) -> Result<Server, Failed> {
    let upstream = own(&["serve", "floor"])?;
    let (addr, store) = (free_addr()?, world.file(&format!("{name}.db")));
    let text = format!(
        r#"
[gate]
bind = "{addr}"
public_url = "http://{addr}"
upstream = "{}"
network = "{CHAIN}"
pay_to = "{}"
store = "{store}"
max_timeout_secs = 300

[gate.facilitator]
{facilitator}

{routes}
"#,
        upstream.url(),
        chain::account(9)?.address,
    );
    Ok(configured(world, name, "gate", addr, &text)?.with(upstream))
}

/// A route that sells the joke.
pub(super) fn joke(settle: &str) -> String {
    let credit = match settle {
        "background" => "exposure_max = \"$100\"\n",
        _ => "",
    };
    format!(
        "[[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\ndescription = \"one joke\"\nmime_type = \"text/plain\"\nsettle = \"{settle}\"\n{credit}"
    )
}

/// The line of a network's configuration that settles many payments in one transaction.
pub(super) fn batching(world: &World) -> String {
    format!("batch_settler = \"{}\"", world.batch_settler)
}

/// `faregate facilitator` on the chain. `more` goes into its network.
pub(super) fn facilitator(world: &World, name: &str, more: &str) -> Result<Server, Failed> {
    let (addr, store) = (free_addr()?, world.file(&format!("{name}.db")));
    let text = format!(
        r#"
[facilitator]
bind = "{addr}"
store = "{store}"
signer_key = "env:{GAS_KEY}"

[[facilitator.network]]
network = "{CHAIN}"
rpc_url = "{}"
{more}
"#,
        world.chain.url(),
    );
    configured(world, name, "facilitator", addr, &text)
}

/// Which of the chain's accounts pays the gas of a server. The first is the chain's own, the third x402-rs's, the tenth the
/// payee.
fn signer(name: &str) -> usize {
    match name {
        "gate-before" => 3,
        "gate-after" => 4,
        "gate-background" => 5,
        "single" => 6,
        "batched" => 7,
        _ => 1,
    }
}

fn configured(
    world: &World,
    name: &str,
    command: &str,
    addr: SocketAddr,
    text: &str,
) -> Result<Server, Failed> {
    let file = PathBuf::from(world.file(&format!("{name}.toml")));
    std::fs::write(&file, text)?;
    let path = file.display().to_string();
    // Two processes with one key would take each other's nonces.
    let key = chain::account(signer(name))?.private_key;
    let shop = hex::encode_prefixed(credit::recipient_key(0)?.expose());
    let env = [(GAS_KEY, key), (CREDIT_KEY, &*shop)];
    let program = std::env::current_exe()?;
    let mut process = Process::start(&program, &[command, "-c", &path], &env)?;
    process.listening(addr)?;
    Ok(Server {
        process,
        addr,
        others: Vec::new(),
    })
}

/// PyPI's FastAPI seller of the conformance rows; `None` without Python.
pub(super) fn fastapi(world: &World, facilitator: &str) -> Result<Option<Server>, Failed> {
    let Some((python, program)) = &world.options.python else {
        return Ok(None);
    };
    let addr = free_addr()?;
    let (port, network) = (addr.port().to_string(), CHAIN.to_string());
    let pay_to = chain::account(9)?.address.to_string();
    let env = [
        ("PORT", port.as_str()),
        ("PAY_TO", &pay_to),
        ("FACILITATOR_URL", facilitator),
        ("NETWORK", &network),
    ];
    let program = program.display().to_string();
    let mut process = Process::start(python, &[&program], &env)?;
    process.listening(addr)?;
    Ok(Some(Server {
        process,
        addr,
        others: Vec::new(),
    }))
}
