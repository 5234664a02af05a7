//! `masklet compare`: runs beside each other, and a gate for regressions.

use super::options::UsageError;
use super::print;
use super::report::write;
use crate::error::{Error, Result};
use crate::figures::compare::{
    CompareOptions, Comparison, Threshold, compare, label, read_source, threshold_names,
};
use crate::figures::compare::{Row, Source};
use crate::figures::stats::Bootstrap;
use crate::record::ObjectKey;
use crate::record::audit::{Loss, losses_of};
use crate::render::{Style, counted, html, markdown, sections};
use crate::report::of_comparison;
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Compare runs: run folders, baselines, CSV files of the Python benchmark.
///
/// Rows are paired by video, object and model. Every run is set against the first. Runs that are
/// not alike (device, power mode, image size, precision, frames, objects per frame, …) get no
/// figures unless --anyway is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all thresholds hold, 1 one does not or an object failed that \
                        was ok in the first run, 2 usage, 3 environment, 4 files that cannot be \
                        compared.\n\nExample, as a gate in CI:\n  masklet compare runs/main \
                        runs/branch --threshold fps_end_to_end=0.95,jf=-0.5,rss=1.05"
)]
pub struct CompareArgs {
    /// Run folders or CSV files; the first is what the others are set against.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Give figures for runs that are not alike, under the differences.
    #[arg(long)]
    anyway: bool,
    /// What must hold, as NAME=LIMIT.
    #[arg(
        long,
        long_help = threshold_help(),
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "NAME=LIMIT,…"
    )]
    threshold: Vec<String>,
    /// Let thresholds pass although a run lacks these: it is not finished, rows are missing (against
    /// its run.json, or against the first run), or masks that its rows name.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    accept_missing: Vec<Loss>,
    /// Write the comparison as Markdown to this file (- for standard output instead of the table).
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the comparison as JSON to this file (- for standard output instead of the table).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the comparison as one HTML file with plots (- for standard output instead of the table).
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Resamples behind each interval.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    resamples: u32,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    seed: u64,
}

fn threshold_help() -> String {
    format!(
        "What must hold, as NAME=LIMIT: for rates the smallest ratio to the first run (fps=0.95), for \
         durations and memory the largest (p99=1.1, rss=1.05), for scores the smallest difference in \
         points (jf=-0.5). The exit code is 1 when one does not. Names: {}.",
        threshold_names()
    )
}

/// Compares; the number is the exit code.
///
/// # Errors
/// [`Error`] for runs that cannot be compared, also for a report that cannot be
/// written.
pub fn run(args: &CompareArgs) -> anyhow::Result<u8> {
    let outputs = [&args.markdown, &args.json, &args.html];
    let to_stdout = |path: &&&Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    if outputs.iter().filter(to_stdout).count() > 1 {
        let why = "only one of --markdown -, --json - and --html - can have standard output";
        return Err(UsageError(why.to_owned()).into());
    }
    let options = CompareOptions {
        bootstrap: Bootstrap {
            resamples: args.resamples as usize,
            seed: args.seed,
        },
        anyway: args.anyway,
        thresholds: args
            .threshold
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| text.parse())
            .collect::<Result<Vec<Threshold>, Error>>()?,
    };
    let sources = args
        .runs
        .iter()
        .enumerate()
        .map(|(place, path)| read_source(path, label(place)))
        .collect::<Result<Vec<_>, _>>()?;
    if !options.thresholds.is_empty() {
        check_complete(args, &sources)?;
    }
    let comparison = compare(sources, &options)?;
    report(args, &comparison)?;
    match comparison.withheld() {
        0 => Ok(u8::from(!comparison.passes())),
        count => Err(Error::data(format!(
            "no figures for runs that are not comparable ({} above); make them comparable, or give \
             --anyway to show the figures under the differences",
            counted(count, "difference")
        ))
        .into()),
    }
}

/// A gate passes on whole runs only.
fn check_complete(args: &CompareArgs, sources: &[Source]) -> Result<()> {
    let mut missing = Vec::new();
    for run in &args.runs {
        missing.extend(losses_of(run)?);
    }
    if let Some((first, others)) = sources.split_first() {
        for other in others {
            for (one, two) in [(first, other), (other, first)] {
                missing.extend(unpaired(one, two));
            }
        }
    }
    missing.retain(|(loss, _)| !args.accept_missing.contains(loss));
    if missing.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = missing.into_iter().map(|(_, why)| why).collect();
    Err(Error::data(format!(
        "--threshold needs complete runs: {}; finish them with --resume, or accept the loss with \
         --accept-missing state,rows,masks",
        all.join("; ")
    )))
}

/// Rows of `one` that `two` has not, among the models that both have.
fn unpaired(one: &Source, two: &Source) -> Option<(Loss, String)> {
    let there: HashSet<ObjectKey> = two.rows.iter().map(Row::key).collect();
    let models: HashSet<&str> = two.rows.iter().map(|row| row.model.as_str()).collect();
    let own = one
        .rows
        .iter()
        .filter(|row| models.contains(row.model.as_str()));
    let mut keys = own.map(Row::key).filter(|key| !there.contains(key));
    let first = keys.next()?;
    let count = keys.count() + 1;
    let why = format!(
        "{count} objects of {} are not in {}, first {first}",
        one.path, two.path
    );
    Some((Loss::Rows, why))
}

fn report(args: &CompareArgs, comparison: &Comparison) -> anyhow::Result<()> {
    let document = of_comparison(comparison);
    let mut table = true;
    if let Some(path) = &args.markdown {
        table &= !write(path, &markdown(&document.sections))?;
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(comparison)?;
        table &= !write(path, &format!("{text}\n"))?;
    }
    if let Some(path) = &args.html {
        table &= !write(path, &html(&document)?)?;
    }
    if table {
        print(&sections(&document.sections, Style::stdout()))?;
    }
    Ok(())
}
