//! `masklet plan`, and the plan as `run` prints it.

use super::options::{ModelArgs, ResourceArgs, UsageError};
use crate::benchmark::{most_objects, open_models};
use crate::clip::frame_limits;
use crate::dataset::{Split, SplitOptions};
use crate::figures::stats::bytes;
use crate::media::limits::{MOST_PIXELS, check_size};
use crate::render::{Block, Cell, Style, Table, counted, terminal};
use crate::track::TrackerLayout;
use crate::track::layout::Demand;
use clap::Args;
use masklet_engines::backend::{MemoryRequirements, Selection};
use masklet_engines::bundle::Bundle;
use masklet_engines::device::{FrameLimits, FrameSize};
use masklet_engines::memory::{Plan, PlanRow};
use std::path::PathBuf;

/// `masklet plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Folder of the split that the plan is for; or say --size and --objects-at-once.
    #[arg(long, alias = "split_dir", value_name = "DIR")]
    pub split_dir: Option<PathBuf>,
    /// Name of the list of videos.
    #[arg(
        long,
        alias = "split_name",
        value_name = "NAME",
        requires = "split_dir"
    )]
    pub split_name: Option<String>,
    /// Size of the largest video.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_frame_size, conflicts_with = "split_dir")]
    pub size: Option<(usize, usize)>,
    /// Most objects tracked at once.
    #[arg(long, value_name = "N", conflicts_with = "split_dir")]
    pub objects_at_once: Option<usize>,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Parses `1920x1080` into (width, height).
pub fn parse_frame_size(text: &str) -> Result<(usize, usize), String> {
    let parse = |side: &str| side.trim().parse().ok().filter(|&n: &usize| n > 0);
    text.split_once(['x', 'X'])
        .and_then(|(w, h)| Some((parse(w)?, parse(h)?)))
        .ok_or_else(|| format!("'{text}' is not a size; write 1920x1080"))
        .and_then(|(width, height): (usize, usize)| {
            let fits = check_size(width as u64, height as u64).is_ok();
            fits.then_some((width, height)).ok_or_else(|| {
                format!("'{text}' is larger than any frame; at most {MOST_PIXELS} pixels")
            })
        })
}

/// Prints the plan of every model asked for.
///
/// # Errors
/// When data or bundles cannot be read, or a plan is over the budget.
pub fn plan(args: &PlanArgs) -> anyhow::Result<u8> {
    let (frames, objects) = match (&args.split_dir, args.size) {
        (Some(dir), _) => {
            let options = SplitOptions {
                split_name: args.split_name.clone(),
                ..SplitOptions::default()
            };
            let split = Split::open(dir, &options)?;
            (frame_limits(&split.videos), most_objects(&split))
        }
        (None, Some((width, height))) => (
            FrameLimits::of([FrameSize { height, width }]),
            args.objects_at_once.unwrap_or(1),
        ),
        (None, None) => {
            return Err(UsageError(
                "a plan needs to know the videos: give --split-dir DIR, or --size 1920x1080 and \
                 --objects-at-once N"
                    .to_owned(),
            )
            .into());
        }
    };
    let demand = Demand {
        objects,
        ring_frames: usize::from(args.resources.ring_frames),
        frames,
    };
    let mut all = Vec::new();
    let models = open_models(&args.models.spec(), args.models.exports.clone(), false)?;
    for run in models {
        let needs = requirements(&args.resources, &run.bundle, demand)?;
        let plan = TrackerLayout::new(run.bundle.manifest(), demand).plan(needs);
        if args.json {
            all.push(serde_json::json!({
                "model": run.bundle.manifest().name,
                "total_bytes": plan.bytes(),
                "staging_bytes": plan.staging_bytes(),
                "plan": plan,
            }));
        } else {
            super::print(&(render(&run.bundle.manifest().name, &plan, demand) + "\n"))?;
        }
        if let Some(budget) = args.resources.memory_budget {
            plan.check(budget, "--memory-budget")?;
        }
    }
    if args.json {
        super::print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
    }
    Ok(0)
}

/// What a backend needs. Without device and runtime the plan is the CPU's, which has no rows of its
/// own; what TensorRT's engines take is on record in the engines folder, so that a plan needs no
/// device.
fn requirements(
    resources: &ResourceArgs,
    bundle: &Bundle,
    demand: Demand,
) -> anyhow::Result<MemoryRequirements> {
    let selection = resources.pair.selection();
    let pair = selection.pairs()?.into_iter().next();
    let Some(pair) = pair.filter(|_| selection != Selection::default()) else {
        return Ok(MemoryRequirements::default());
    };
    let (options, frames, objects) = (resources.backend_options(), demand.frames, demand.objects);
    if pair.available().is_err() {
        return Ok(pair.recorded_requirements(bundle, &options, frames, objects)?);
    }
    Ok(pair.open(bundle, &options)?.requirements(frames, objects))
}

/// The plan as a table.
pub fn render(model: &str, plan: &Plan, demand: Demand) -> String {
    let staging = match plan.staging_bytes() {
        0 => String::new(),
        some => format!(" and {} of pinned host memory", bytes(some as u64)),
    };
    let heading = format!(
        "Memory plan of {model}: one slab of {}{staging}, up to {} at once, {} frames decoded ahead",
        bytes(plan.bytes() as u64),
        counted(demand.objects, "object"),
        demand.ring_frames
    );
    let staged = (!plan.staging.is_empty()).then_some(("staging (host)", &plan.staging));
    let regions = plan.regions.iter().map(|r| (r.region.name(), &r.rows));
    let mut rows = Vec::new();
    for (name, of_region) in regions.chain(staged) {
        let total: usize = of_region.iter().map(PlanRow::bytes).sum();
        rows.push([name.to_owned(), bytes(total as u64), String::new()]);
        rows.extend(of_region.iter().map(|row| {
            let shape: Vec<String> = row.shape.iter().map(usize::to_string).collect();
            let times = match row.count {
                1 => String::new(),
                n => format!("{n} x "),
            };
            [
                format!("  {}", row.name),
                bytes(row.bytes() as u64),
                format!("{times}({}) {}", shape.join(","), row.dtype),
            ]
        }));
    }
    let rows = rows
        .into_iter()
        .map(|[name, bytes, shape]| [Cell::text(name), Cell::number(bytes), Cell::text(shape)]);
    let head = [
        Cell::text("region, tensor"),
        Cell::number("size"),
        Cell::text("shape"),
    ];
    let table = Table::new("plan", head).with_rows(rows);
    terminal(
        &[Block::Paragraph(heading), Block::Table(table)],
        Style::stdout(),
    )
}
