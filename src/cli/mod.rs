//! The command line: arguments in, text and exit codes out. Everything that measures is in the
//! library; nothing here does arithmetic on results.

mod exit;

pub mod backend;
mod baseline;
pub mod build;
pub mod bundle;
pub mod compare;
pub mod doctor;
pub mod engines;
pub mod fleet;
pub mod json;
pub mod options;
pub mod parity;
pub mod plan;
pub mod report;
pub mod run;
pub mod score;
mod score_run;
pub mod select;
pub mod shell;
pub mod synth;
pub mod video;
pub mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Benchmark of promptable video object segmentation: speed, accuracy and memory in one run.
#[derive(Debug, Parser)]
#[command(
    name = "masklet",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 all is well, 1 some objects failed, 2 usage, 3 environment, 4 data, \
                  75 temporary (lock held, disk full), 130 or 143 interrupted (continue with --resume)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Track the objects of a split and measure speed, accuracy and memory.
    Run(Box<run::RunArgs>),
    /// Run the PyTorch baseline on what a run did, into a folder inside the run folder.
    Baseline(Box<baseline::BaselineArgs>),
    /// Print the memory plan of a run, without running it.
    Plan(Box<plan::PlanArgs>),
    /// Score predicted masks against ground truth (J and F as the official SA-V evaluator).
    Score(score::ScoreArgs),
    /// Compare runs: run folders, baselines, old CSV files.
    Compare(compare::CompareArgs),
    /// Make a run's report.html again from its folder.
    Report(report::ReportArgs),
    /// Join the run folders of a sharded run into one.
    Merge(fleet::MergeArgs),
    /// Make a seeded synthetic split in SA-V layout.
    Synth(synth::SynthArgs),
    /// Inspect model bundles.
    Bundle(bundle::BundleArgs),
    /// Compile model bundles into TensorRT engines for this device, once.
    Build(Box<build::BuildArgs>),
    /// Manage built engines.
    Engines(engines::EnginesArgs),
    /// Compare what a backend computes with the CPU backend or with PyTorch.
    Parity(Box<parity::ParityArgs>),
    /// Check the machine for what goes wrong on a first run, and say how to fix it.
    Doctor(doctor::DoctorArgs),
    /// Print a shell completion script.
    Completions(shell::CompletionsArgs),
    /// Print the manual page (roff).
    Man,
}

/// Writes to standard output. A reader that went away (`masklet … | head`) is not an error: the
/// exit code stays the command's.
///
/// # Errors
/// When standard output does not take the text.
pub fn print(text: &str) -> std::io::Result<()> {
    use std::io::{ErrorKind, Write, stdout};
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes what is also in files, such as a run's table: output that cannot be written is a warning.
pub fn show(text: &str) {
    if let Err(error) = print(text) {
        warn(&format!(
            "warning: cannot write to standard output: {error}"
        ));
    }
}

/// Writes a line to standard error, if it takes it: unlike `eprintln!`, which panics.
pub fn warn(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints parts of a document in the style of standard output.
///
/// # Errors
/// When standard output does not take it.
pub fn print_blocks(blocks: &[crate::render::Block]) -> std::io::Result<()> {
    use crate::render::{Style, terminal};
    print(&terminal(blocks, Style::stdout()))
}

/// [`print_blocks`] of what is also in files: output that cannot be written is a warning.
pub fn show_blocks(blocks: &[crate::render::Block]) {
    use crate::render::{Style, terminal};
    show(&terminal(blocks, Style::stdout()));
}

/// Does what was asked for; the number is the process's exit code.
///
/// # Errors
/// Whatever stopped the command; `exit` turns it into a sentence and an exit code.
pub fn execute(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Baseline(args) => baseline::baseline(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Score(args) => score::score(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Merge(args) => fleet::run(&args),
        Command::Synth(args) => synth::synth(args).map(|()| 0),
        Command::Bundle(args) => bundle::bundle(&args),
        Command::Build(args) => build::build(&args),
        Command::Engines(args) => engines::engines(&args),
        Command::Parity(args) => parity::parity(&args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man => shell::man(),
    }
}

/// Parses the command line, does what it asks for, and turns errors into a sentence and an exit code.
/// `sources` is `git describe` of the sources, where the build was given it.
pub fn main(sources: Option<&'static str>) -> ExitCode {
    crate::machine::set_git_describe(sources);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way too; clap knows which is which.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // A closed terminal is not a reason to fail.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match execute(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            warn(&format!("Error: {}", exit::sentence(&error)));
            ExitCode::from(exit::class(&error).exit_code())
        }
    }
}
