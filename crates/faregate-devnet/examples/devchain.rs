//! Runs a dev chain in the foreground until Ctrl-C:
//! `cargo run -p faregate-devnet --example devchain -- --port 8545 --chain-id 84532 [--block-time SECS] [--finality-depth N]`

use std::{error::Error, net::SocketAddr, time::Duration};

use faregate_devnet::{ChainConfig, Devchain, chain::MNEMONIC};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = parse(std::env::args().skip(1))?;
    let chain = Devchain::start(config).await?;
    announce(&chain);
    tokio::signal::ctrl_c().await?;
    chain.shutdown().await;
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<ChainConfig, Box<dyn Error>> {
    let mut config = ChainConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 8545)),
        ..ChainConfig::default()
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => config.bind.set_port(value.parse()?),
            "--chain-id" => config.chain_id = value.parse()?,
            "--block-time" => config.block_time = Some(Duration::from_secs(value.parse()?)),
            "--finality-depth" => config.finality_depth = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    Ok(config)
}

#[allow(
    clippy::print_stdout,
    reason = "an example talks to the person who started it"
)]
fn announce(chain: &Devchain) {
    println!(
        "listening on {} (chain id {}, USDC {})",
        chain.rpc_url(),
        chain.chain_id(),
        chain.usdc()
    );
    println!("accounts of \"{MNEMONIC}\":");
    for account in Devchain::accounts() {
        println!("{}", account.address);
    }
}
