//! `masklet score`: J and F of a folder of predicted masks.

use super::options::UsageError;
use crate::metrics::error::ScoreError;
use crate::metrics::folder::{FolderOptions, FolderScores, report, score_folders};
use crate::metrics::protocol::Protocol;
use crate::render::{Block, Style, terminal};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Score a folder of predicted masks against ground truth (J, F and J&F).
///
/// Masks are a folder per object (video/object/frame.png, SA-V) or label maps (video/frame.png with
/// object numbers as values, DAVIS); predictions may be a folder per object beside a ground truth of
/// label maps. Every annotated frame must have a prediction; see --partial. Of a run folder the
/// masks of all its models are scored, and held against the run's own numbers.
#[derive(Clone, Debug, clap::Args)]
pub struct ScoreArgs {
    /// A run folder: its masks against the split that it ran on
    #[arg(value_name = "RUN", conflicts_with_all = ["pred", "partial", "do_not_skip_first_and_last_frame"])]
    pub run: Option<PathBuf>,

    /// Ground truth: a folder of video folders (sav_val/Annotations_6fps) or the split around it
    #[arg(
        long,
        value_name = "DIR",
        alias = "gt_root",
        required_unless_present = "run"
    )]
    pub gt: Option<PathBuf>,

    /// Predictions
    #[arg(
        long,
        value_name = "DIR",
        alias = "pred_root",
        required_unless_present = "run"
    )]
    pub pred: Option<PathBuf>,

    /// Write the scores at full precision to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the official evaluator's results.csv to this file [default: results.csv in the
    /// prediction folder, under the official protocol]
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Whose rules: the SA-V evaluator's, or those of the Python benchmark this tool replaces
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,

    /// Score what is there when predictions are missing, and print the coverage
    #[arg(long)]
    pub partial: bool,

    /// Count the first and last annotated frames too (SA-V leaves them out)
    #[arg(long, alias = "do_not_skip_first_and_last_frame")]
    pub do_not_skip_first_and_last_frame: bool,

    /// Worker threads [default: all cores]
    #[arg(long, short = 'n', value_name = "N", alias = "num_processes")]
    pub threads: Option<NonZeroUsize>,

    /// Print one line instead of the table
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs `masklet score` and returns the exit code of a run that went well.
///
/// # Errors
/// A [`ScoreError`], which says its class, when the folders cannot be scored or a report cannot be
/// written; an I/O error when standard output fails for another reason than a closed pipe.
pub fn score(args: &ScoreArgs) -> anyhow::Result<u8> {
    if let Some(run) = &args.run {
        return super::score_run::score(run, args);
    }
    let (Some(gt), Some(pred)) = (&args.gt, &args.pred) else {
        return Err(UsageError("give a run folder, or --gt DIR and --pred DIR".to_owned()).into());
    };
    let options = FolderOptions {
        protocol: args.protocol,
        with_first_and_last: args.do_not_skip_first_and_last_frame,
        partial: args.partial,
        threads: args.threads.map(NonZeroUsize::get),
    };
    let bar = progress_bar(args.quiet);
    let scores = score_folders(gt, pred, &options, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let scores = scores?;
    print(&render(&scores, args.quiet))?;
    for warning in scores.warnings() {
        // A closed standard error is not a reason to fail.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    // Both are tried, so that one bad place does not cost the other report.
    let json = args.json.as_deref();
    let json = json.map_or(Ok(()), |path| write_file(path, &report::json(&scores)));
    if let Some(path) = csv_path(args, pred) {
        write_file(&path, &report::official_csv(&scores))?;
    }
    json?;
    Ok(0)
}

/// Where `results.csv` goes. Upstream's numbers only go where they are asked to: in the prediction
/// folder they could be taken for official ones.
pub(super) fn csv_path(args: &ScoreArgs, pred: &Path) -> Option<PathBuf> {
    match (&args.csv, args.protocol) {
        (Some(path), _) => Some(path.clone()),
        (None, Protocol::Official) => Some(pred.join("results.csv")),
        (None, Protocol::Upstream) => None,
    }
}

pub(super) fn render(scores: &FolderScores, quiet: bool) -> String {
    let mut text = String::new();
    if !quiet {
        let table = Block::Table(report::table(scores));
        text.push_str(&terminal(&[table], Style::stdout()));
        text.push('\n');
    }
    text.push_str(&report::summary(scores));
    text.push('\n');
    if !scores.coverage.is_complete() || !scores.missing.is_empty() {
        text.push_str(&report::coverage(scores));
        text.push('\n');
    }
    text
}

fn progress_bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} masks  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Prints to standard output; a reader that has gone away is not an error.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a whole file or leaves the old one.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), ScoreError> {
    crate::files::write_named(path, text.as_bytes()).map_err(|source| ScoreError::Write {
        path: path.to_owned(),
        source,
    })
}
