//! The `faregate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    faregate::main()
}
