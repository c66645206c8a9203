//! The `faregate` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A paid request makes and drops hundreds of short strings.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    faregate::main()
}
