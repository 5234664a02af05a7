//! The `masklet` binary; everything it does is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Here and not in the library: another commit then compiles this file alone.
    masklet::cli::main(option_env!("MASKLET_GIT_DESCRIBE"))
}
