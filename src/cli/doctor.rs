//! `masklet doctor`: prints what the library's doctor found.

use super::engines::EnginesDir;
use super::print;
use crate::doctor::{DoctorOptions, examine};
use crate::error::ErrorClass;
use crate::machine::SystemRoot;
use crate::render::Style;
use clap::Args;
use std::path::PathBuf;

/// `masklet doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A dataset to look at, in SA-V or DAVIS layout.
    #[arg(long, alias = "split_dir", value_name = "DIR")]
    split_dir: Option<PathBuf>,
    /// Name of its list of videos.
    #[arg(long, alias = "split_name", value_name = "NAME")]
    split_name: Option<String>,
    /// Folder of model bundles.
    #[arg(long, env = "MASKLET_EXPORTS", value_name = "DIR")]
    exports: Option<PathBuf>,
    #[command(flatten)]
    engines: EnginesDir,
    /// Where run folders will go.
    #[arg(long, alias = "out_dir", default_value = "runs", value_name = "DIR")]
    out_dir: PathBuf,
    /// Ordinal of the CUDA device.
    #[arg(long, default_value_t = 0, value_name = "N")]
    device: usize,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
    /// A tree that stands in for / (for tests).
    #[arg(long, env = crate::machine::ROOT_ENV, hide = true, value_name = "DIR")]
    system_root: Option<PathBuf>,
}

/// Runs the command; the number is the exit code: 3 where something will not work.
///
/// # Errors
/// When standard output does not take the text.
pub fn doctor(args: DoctorArgs) -> anyhow::Result<u8> {
    let report = examine(&DoctorOptions {
        root: args
            .system_root
            .map_or_else(SystemRoot::real, SystemRoot::at),
        device: args.device,
        engines: args.engines.engines,
        exports: args.exports,
        split_dir: args.split_dir,
        split_name: args.split_name,
        out_dir: args.out_dir,
    });
    if args.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        let style = Style::stdout();
        let width = if style.fitted { style.width } else { 100 };
        print(&report.render(width, style.colour))?;
    }
    Ok(match report.failures {
        0 => 0,
        _ => ErrorClass::Environment.exit_code(),
    })
}
