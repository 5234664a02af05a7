//! Completions and the manual page, from the same definitions as the parser itself.

use super::Cli;
use clap::{Args, CommandFactory};

/// `masklet completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Prints a completion script.
///
/// # Errors
/// When standard output is closed.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "masklet", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// Prints the manual page, all commands in one.
///
/// # Errors
/// When standard output is closed.
pub fn man() -> anyhow::Result<u8> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands() {
        let name = format!("masklet-{}", sub.get_name());
        let sub = sub.clone().name(name);
        clap_mangen::Man::new(sub).render(&mut page)?;
    }
    super::print(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
