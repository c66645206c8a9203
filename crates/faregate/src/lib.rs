//! Faregate on the command line, and the whole stack in one call ([`stack`]).
//!
//! [`cli`] says what can be typed, `commands` does it, `printer` speaks, [`exit`] says how it ended. Nobody else prints or
//! exits.

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

pub mod cli;
mod commands;
pub mod exit;
pub mod metrics;
pub mod node;
mod printer;
mod seller;
mod signals;
pub mod stack;
mod wire;

use cli::key::TokenCommand;
use cli::l402::L402Command;
use cli::{Cli, Command};
use exit::{Exit, Failed};
use printer::Printer;

/// Runs the program: parses what was typed, does it, says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    run_program()
}

/// The same, of a program that can have Lightning nodes in its process.
#[must_use]
pub fn main_with(nodes: Box<dyn node::Nodes>) -> ExitCode {
    node::plug(nodes);
    run_program()
}

fn run_program() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.json);
    logging(cli.verbose);
    match run(&cli, printer) {
        Ok(()) => Exit::Ok.into(),
        Err(failed) => {
            printer.failed(&failed);
            failed.exit.into()
        }
    }
}

fn run(cli: &Cli, printer: Printer) -> Result<(), Failed> {
    let env = wire::env();
    #[cfg(feature = "crash-points")]
    if let Some(point) = env.get("FAREGATE_CRASH_AT")
        && !faregate_core::crash::arm(point)
    {
        return Err(Failed::usage(format!(
            "FAREGATE_CRASH_AT={point}: no such place"
        )));
    }
    match &cli.command {
        Command::Decode(args) => return commands::decode::run(args, printer),
        Command::L402(L402Command::Revoke(_)) | Command::Token(TokenCommand::Revoke(_)) => {}
        Command::Key(command) => return commands::key::run(command, printer),
        Command::Token(TokenCommand::Inspect(args)) => {
            return commands::token::run(args, &env, printer);
        }
        Command::L402(command) => return commands::l402::run(command, &env, printer),
        Command::Config(command) => return commands::config::run(command, &env, printer),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "faregate", &mut io::stdout());
            return Ok(());
        }
        Command::Demo
        | Command::Dev(_)
        | Command::Gate(_)
        | Command::Facilitator(_)
        | Command::Credit(_)
        | Command::CreditRemunerate(_)
        | Command::Managed(_)
        | Command::Migrate(_)
        | Command::Register(_)
        | Command::Curl(_)
        | Command::Wallet(_) => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ended = match &cli.command {
            Command::Demo => commands::demo::run(printer).await,
            Command::Dev(args) => commands::dev::run(args, printer).await,
            Command::Gate(args) => commands::gate::run(args, &env, printer).await,
            Command::Facilitator(args) => commands::facilitator::run(args, &env, printer).await,
            Command::Credit(args) => commands::credit::run(args, &env, printer).await,
            Command::CreditRemunerate(args) => {
                commands::credit_remunerate::run(args, &env, printer).await
            }
            Command::Managed(args) => commands::managed::run(args, &env, printer).await,
            Command::Migrate(args) => commands::migrate::run(args, &env, printer).await,
            Command::Register(args) => commands::register::run(args, &env, printer).await,
            Command::Curl(args) => commands::curl::run(args, &env, printer).await,
            Command::Wallet(command) => commands::wallet::run(command, &env, printer).await,
            Command::L402(L402Command::Revoke(args)) => {
                commands::revoke::run(&args.ids, &args.gate, &env, printer).await
            }
            Command::Token(TokenCommand::Revoke(args)) => {
                commands::token::revoke(args, &env, printer).await
            }
            Command::Decode(_)
            | Command::L402(_)
            | Command::Key(_)
            | Command::Token(_)
            | Command::Config(_)
            | Command::Completions { .. } => Ok(()),
        };
        node::stop().await;
        ended
    })
}

/// Logs go to standard error; `RUST_LOG` wins over `-v`.
fn logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info,faregate=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .init();
}
