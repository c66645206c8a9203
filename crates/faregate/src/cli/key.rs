//! `faregate key …` and `faregate token …`: what access tokens are signed with, and what they say.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::l402::GateArgs;

/// `faregate key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a random key: for access tokens (`token_key`), callers, webhooks; with --hex also for L402 (`master_key`).
    New(NewArgs),
    /// Save a key that standard input brings, as one line of an env file.
    Save(SaveArgs),
}

/// `faregate key new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// What it begins with, so that people know what it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// How many random characters follow.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(16..=512))]
    pub length: u16,
    /// Use !@#$%^&*()_+-= too. Some of them need quotes in shells.
    #[arg(long)]
    pub special: bool,
    /// 32 random bytes in hexadecimal digits instead, as master keys are.
    #[arg(long, conflicts_with_all = ["prefix", "length", "special"])]
    pub hex: bool,
    /// Save it under this name instead of printing it.
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// Print it although it is saved.
    #[arg(long, requires = "save")]
    pub show: bool,
    /// Where it is saved.
    #[command(flatten)]
    pub file: EnvFileArgs,
}

/// `faregate key save`.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Its name.
    pub name: String,
    /// Where it is saved.
    #[command(flatten)]
    pub file: EnvFileArgs,
}

/// The file of names and values.
#[derive(Debug, Args)]
pub struct EnvFileArgs {
    /// The file. It is made if it is not there, for its owner only.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    pub env_file: PathBuf,
    /// Put it in the place of another key of this name. What that one signed is worth nothing then.
    #[arg(long)]
    pub replace: bool,
}

/// `faregate token …`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Show what a token says: payer, payment, route, how long it works; with --key also whether this key signed it.
    Inspect(InspectArgs),
    /// Say that a gate's token opens nothing any more, from now on. Its payment stays paid.
    Revoke(RevokeArgs),
}

/// `faregate token inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The token, an Authorization line or the whole answer of a token endpoint. `@file` reads a file, `-` standard input,
    /// which others do not see.
    #[arg(default_value = "-")]
    pub token: String,
    /// What tokens are signed with: `env:NAME` or `file:/path`. Never the key itself.
    #[arg(long, value_name = "SOURCE")]
    pub key: Option<String>,
}

/// `faregate token revoke`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "token"]))]
pub struct RevokeArgs {
    /// Ids of payments, 64 hexadecimal digits each: `payment_id` of the token endpoint's answer.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// The token itself, as `token inspect` reads it: `-` and `@file` too.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Whose tokens.
    #[command(flatten)]
    pub gate: GateArgs,
}
