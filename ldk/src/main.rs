//! The `faregate` command with a Lightning node: the same commands, and `node`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use faregate::exit::{Exit, Failed};
use faregate_ldk::LdkNodes;
use faregate_ldk::commands::NodeArgs;
use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;

/// As in `faregate`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(clap::Parser)]
#[command(name = "faregate-ldk node")]
struct Cli {
    #[command(flatten)]
    node: NodeArgs,
}

fn main() -> ExitCode {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let nodes = LdkNodes::new(env.collect());
    let mut words = std::env::args_os();
    let program = words.next();
    if words.next().is_none_or(|word| word != "node") {
        return faregate::main_with(Box::new(nodes));
    }
    let cli = Cli::parse_from(program.into_iter().chain(words));
    match run(&nodes, &cli.node) {
        Ok(()) => Exit::Ok.into(),
        Err(failed) => {
            // There is nowhere else to say it.
            let _said = say(&failed);
            failed.exit.into()
        }
    }
}

fn run(nodes: &LdkNodes, args: &NodeArgs) -> Result<(), Failed> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(nodes.command(args))
}

fn say(failed: &Failed) -> std::io::Result<()> {
    let code = failed.code.map_or("", |code| code.as_str());
    writeln!(std::io::stderr(), "error: {} {code}", failed.message)?;
    if let Some(hint) = &failed.hint {
        writeln!(std::io::stderr(), "hint: {hint}")?;
    }
    Ok(())
}
