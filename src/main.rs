//! The `masklet` binary: parses, executes, turns errors into a sentence and an exit code.

mod cli;
mod exit;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors; clap knows which is which.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // A closed terminal is no reason to fail.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli::execute(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(exit::class(&error).exit_code())
        }
    }
}
