//! `masklet report`, and the report that ends a run.

use super::print;
use crate::render::html;
use crate::report::{REPORT_FILE, RunRecord, of_run};
use clap::Args;
use std::path::{Path, PathBuf};

/// Make a run's report.html again from its folder.
///
/// One HTML file without scripts that loads nothing: tables, plots, and pictures of the objects with
/// the lowest scores (where masks were saved and the dataset is still at its place). `masklet run`
/// and `masklet merge` write it at their end.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Write it to this file (- for standard output); RUN/report.html without it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes it.
///
/// # Errors
/// [`crate::error::Error`] for a folder that holds no run, also for a file that
/// cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<u8> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.run.join(REPORT_FILE));
    let page = html(&of_run(&RunRecord::read(&args.run)?))?;
    if !write(&out, &page)? {
        print(&format!("Report: {}\n", out.display()))?;
    }
    Ok(0)
}

/// Writes a run's report into its folder. The run's results are safe by then, so a report that cannot
/// be made is a warning, in words.
///
/// # Errors
/// The warning.
pub fn after_run(run: &Path) -> Result<PathBuf, String> {
    let out = run.join(REPORT_FILE);
    let made = || -> anyhow::Result<()> {
        write(&out, &html(&of_run(&RunRecord::read(run)?))?)?;
        Ok(())
    };
    match made() {
        Ok(()) => Ok(out),
        Err(error) => Err(format!(
            "there is no report ({error:#}); the results are complete, and `masklet report {}` tries again",
            run.display()
        )),
    }
}

/// Writes a text; true when that was to standard output.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<bool> {
    if path == Path::new("-") {
        print(text)?;
        return Ok(true);
    }
    crate::files::write_named(path, text.as_bytes())
        .map_err(|source| crate::record::storage("write", path, source))?;
    Ok(false)
}
