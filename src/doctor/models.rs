//! What a run needs on disk: bundles, engines that fit this device, room, a dataset.

use super::gpu::Found;
use super::{Check, DoctorOptions, Section};
use crate::dataset::{Split, SplitOptions};
use crate::figures::stats::bytes;
use crate::media::video::{Ffmpeg, VideoError};
use crate::record::free_bytes;
use masklet_engines::bundle::{Bundle, BundleStore};
use masklet_engines::engine::{EngineState, EngineStore, readiness};
use std::path::Path;

/// Less than this may not hold the masks of a run over SA-V's validation split.
const ENOUGH: u64 = 2 << 30;
/// Less than this does not hold a journal and a few masks.
const LEAST: u64 = 100 << 20;

pub(super) fn checks(options: &DoctorOptions, gpu: &Found) -> Vec<Check> {
    vec![
        bundles(options),
        engines(options, gpu),
        disk(&options.out_dir),
        dataset(options),
        ffmpeg(Ffmpeg::find()),
    ]
}

/// No fault where it is not there: a run over a dataset does without.
fn ffmpeg(found: Result<Ffmpeg, VideoError>) -> Check {
    const NAME: &str = "ffmpeg";
    match found {
        Ok(programs) => Check::ok(Section::Data, NAME, programs.place().display().to_string()),
        Err(error) => Check::not_checked(
            Section::Data,
            NAME,
            format!("{error}; only --video and --save-overlays need it"),
        ),
    }
}

fn bundles(options: &DoctorOptions) -> Check {
    const NAME: &str = "bundles";
    let listed = match BundleStore::new(options.exports.clone()).list() {
        Ok(listed) => listed,
        Err(error) => {
            return Check::failure(
                Section::Models,
                NAME,
                error.to_string(),
                "masklet doctor --exports DIR   # DIR holds one folder per bundle",
            );
        }
    };
    // Every folder is opened, which checks its files against their hashes.
    for folder in listed.iter().filter_map(|(folder, _)| folder.as_deref()) {
        if let Err(error) = Bundle::open(folder) {
            return Check::failure(
                Section::Models,
                NAME,
                error.to_string(),
                format!("masklet bundle inspect {}", folder.display()),
            );
        }
    }
    let names: Vec<String> = listed
        .iter()
        .map(|(folder, manifest)| {
            let embedded = if folder.is_none() { ", embedded" } else { "" };
            format!(
                "{} ({} px, {}{embedded})",
                manifest.name, manifest.image_size, manifest.precision
            )
        })
        .collect();
    Check::ok(Section::Models, NAME, names.join(", "))
}

fn engines(options: &DoctorOptions, gpu: &Found) -> Check {
    const NAME: &str = "engines";
    let build = match &options.exports {
        Some(exports) => format!("masklet build --exports {}", exports.display()),
        None => "masklet build".to_owned(),
    };
    let store = EngineStore::open(options.engines.as_deref());
    let place = store.folder().display();
    let failure = |reason: String| Check::failure(Section::Models, NAME, reason, build.clone());
    let all = match store.list() {
        Ok(all) => all,
        Err(error) => return failure(error.to_string()),
    };
    let problems = store
        .verify()
        .map_or_else(|_| Vec::new(), |found| found.problems);
    if let Some(first) = problems.first() {
        let more = match problems.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        return failure(format!("{}{more}", first.error));
    }
    let device = match &gpu.device {
        Ok(device) => device,
        Err(_) if all.is_empty() && !gpu.hardware => {
            return Check::not_checked(
                Section::Models,
                NAME,
                "none, and none needed: the CPU backend reads bundles",
            );
        }
        // A board without engines needs them whatever else it lacks.
        Err(_) if all.is_empty() => {
            return Check::warning(Section::Models, NAME, format!("none in {place}"), build);
        }
        Err(reason) => {
            let count = all.len();
            return Check::not_checked(
                Section::Models,
                NAME,
                format!("{count} in {place}; whether they run here is not known: {reason}"),
            );
        }
    };
    // The same question as `masklet engines check`.
    let listed = match BundleStore::new(options.exports.clone()).list_each() {
        Ok(listed) => listed,
        Err(error) => return failure(error.to_string()),
    };
    let mut count = 0;
    for (folder, manifest) in listed {
        // One that does not read is reported by the check of bundles.
        let Ok(manifest) = manifest else { continue };
        if folder.is_none() && options.exports.is_some() {
            continue;
        }
        let states = match readiness(&store, &manifest, device, None, false) {
            Ok(states) => states,
            Err(error) => return failure(error.to_string()),
        };
        if let Some(state) = states.iter().find(|s| s.state != EngineState::Ready) {
            let reason = state.reason.as_deref();
            return failure(format!(
                "{} of {} {} {}: {} in {place}{}",
                state.component,
                manifest.name,
                manifest.image_size,
                manifest.precision,
                state.state.name(),
                reason.map_or_else(String::new, |reason| format!(" ({reason})"))
            ));
        }
        count += states.len();
    }
    let skipped: u64 = all
        .iter()
        .filter(|engine| engine.fits(device).is_ok())
        .map(|engine| engine.sidecar.build.tactics_skipped)
        .sum();
    if skipped > 0 {
        return Check::warning(
            Section::Models,
            NAME,
            format!(
                "all {count} are ready, but {skipped} tactics were skipped when they were built, for \
                 lack of memory: they may be slow"
            ),
            format!("sudo systemctl isolate multi-user.target && {build} --force"),
        );
    }
    Check::ok(
        Section::Models,
        NAME,
        format!("{count} in {place}: all that the bundles need here"),
    )
}

fn disk(out_dir: &Path) -> Check {
    const NAME: &str = "disk";
    let place = std::path::absolute(out_dir).unwrap_or_else(|_| out_dir.to_owned());
    let Some(free) = free_bytes(&place) else {
        let reason = format!("the file system of {} does not say", place.display());
        return Check::not_checked(Section::Data, NAME, reason);
    };
    let found = format!(
        "{} free for run folders in {}",
        bytes(free),
        place.display()
    );
    let fix = format!("df -h {}   # or another --out-dir", place.display());
    match free {
        free if free < LEAST => Check::failure(Section::Data, NAME, found, fix),
        free if free < ENOUGH => Check::warning(
            Section::Data,
            NAME,
            format!("{found}: little for --save-masks all"),
            fix,
        ),
        _ => Check::ok(Section::Data, NAME, found),
    }
}

fn dataset(options: &DoctorOptions) -> Check {
    const NAME: &str = "dataset";
    let Some(dir) = &options.split_dir else {
        return Check::not_checked(
            Section::Data,
            NAME,
            "give --split-dir DIR to have a dataset looked at (masklet synth demo makes one)",
        );
    };
    let failed = |reason: String| {
        Check::failure(
            Section::Data,
            NAME,
            reason,
            "see \"Data\" in docs/user-guide.md for the layout",
        )
    };
    let wanted = SplitOptions {
        split_name: options.split_name.clone(),
        ..SplitOptions::default()
    };
    let split = match Split::open(dir, &wanted) {
        Ok(split) => split,
        Err(error) => return failed(error.to_string()),
    };
    // One object's prompt is looked for, so that masks that show nothing are told now.
    let first = split.videos.first();
    if let Some(track) = first.and_then(|video| video.objects.first())
        && let Err(error) = track.prompt_frame()
    {
        return failed(error.to_string());
    }
    let frames: usize = split.videos.iter().map(|video| video.frames.len()).sum();
    let objects: usize = split.videos.iter().map(|video| video.objects.len()).sum();
    let largest = split
        .videos
        .iter()
        .map(|video| (video.width * video.height, video.width, video.height))
        .max();
    let size = largest.map_or(String::new(), |(_, w, h)| {
        format!(", at most {w}x{h} pixels")
    });
    Check::ok(
        Section::Data,
        NAME,
        format!(
            "{} videos, {objects} objects, {frames} frames in {} layout{size}",
            split.videos.len(),
            match split.layout {
                crate::dataset::Layout::SaV => "SA-V",
                crate::dataset::Layout::Davis => "DAVIS",
                crate::dataset::Layout::VideoFiles => "video file",
            }
        ),
    )
}
