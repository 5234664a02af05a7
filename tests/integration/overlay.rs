//! What a user of `masklet run --save-overlays` gets: videos and contact sheets whose drawings lie
//! where masks, ground truth and prompts are, and a run that none of it can spoil.

use crate::support::{
    Ran, Run, entries, has_ffmpeg, over, rows, script, small, synthetic, tree, wait_until,
};
use masklet::clip::ObjectStart;
use masklet::dataset::prompts::{Prompt, PromptKind};
use masklet::dataset::{Split, SplitOptions, Video};
use masklet::mask::Mask;
use masklet::media::image::{decode_rgb, read_mask_png};
use masklet::media::video::Ffmpeg;
use masklet::overlay::{
    FILL_ALPHA, Grid, ObjectOnVideo, ObjectPainter, object_colour, pick_frames,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run over `split` into its folder `run`, with this ffmpeg (`None`: the machine's).
fn command(split: &Path, ffmpeg: Option<&Path>, more: &[&str]) -> Command {
    let mut command = over(split, &split.join("run"));
    command.args(["--telemetry-hz", "0"]).args(more);
    if let Some(folder) = ffmpeg {
        command.env("MASKLET_FFMPEG_DIR", folder);
    }
    command
}

fn run(split: &Path, ffmpeg: Option<&Path>, more: &[&str]) -> Ran {
    command(split, ffmpeg, more).ran()
}

/// The overlays folder's files, hidden ones too.
fn overlays(split: &Path) -> Vec<String> {
    let names = entries(&split.join("run/overlays")).into_iter();
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    names.map(name).collect()
}

/// A video read back: size, rate, and its frames as RGB.
struct Film {
    width: usize,
    height: usize,
    rate: String,
    frames: Vec<Vec<u8>>,
}

fn film(ffmpeg: &Ffmpeg, path: &Path) -> Film {
    let probe = ffmpeg
        .ffprobe()
        .args(["-select_streams", "v:0", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=width,height,pix_fmt,r_frame_rate"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(probe.stdout).unwrap();
    let fields: Vec<&str> = text.trim().split(',').collect();
    let [width, height, "yuv420p", rate] = fields[..] else {
        panic!("ffprobe says {text} of {}", path.display());
    };
    let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
    let raw = ffmpeg
        .ffmpeg()
        .arg("-i")
        .arg(path)
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
        .output()
        .unwrap();
    let size = width * height * 3;
    assert_eq!(raw.stdout.len() % size, 0);
    Film {
        width,
        height,
        rate: rate.to_owned(),
        frames: raw.stdout.chunks(size).map(<[u8]>::to_vec).collect(),
    }
}

impl Film {
    fn pixel(&self, frame: usize, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.width + x) * 3;
        std::array::from_fn(|channel| f32::from(self.frames[frame][at + channel]))
    }
}

/// Least IoU of the fill that is found in a decoded frame and the predicted mask.
const FILL_FLOOR: f64 = 0.93;

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Intersection over union of two sets of pixels, on some of them.
fn iou(a: &Mask, b: &Mask, on: &Mask) -> f64 {
    let pairs = a.as_slice().iter().zip(b.as_slice()).zip(on.as_slice());
    let (mut both, mut either) = (0, 0);
    for ((&a, &b), _) in pairs.filter(|(_, on)| **on) {
        both += usize::from(a && b);
        either += usize::from(a || b);
    }
    f64::from(u32::try_from(both).unwrap()) / f64::from(u32::try_from(either.max(1)).unwrap())
}

/// Whether all pixels within two of this one are the object's, or none is.
fn even_around(mask: &Mask, y: usize, x: usize) -> bool {
    let (rows, columns) = (y.saturating_sub(2)..=y + 2, x.saturating_sub(2)..=x + 2);
    let rows = rows.filter(|&y| y < mask.height());
    let mut pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
    pixels.all(|(ny, nx)| nx >= mask.width() || mask.get(ny, nx) == mask.get(y, x))
}

/// Pixels outside `mask` that touch it by a side.
fn around(mask: &Mask) -> Mask {
    Mask::from_fn(mask.height(), mask.width(), |y, x| {
        let near = mask.get(y + 1, x) || mask.get(y, x + 1);
        let near = near || (y > 0 && mask.get(y - 1, x)) || (x > 0 && mask.get(y, x - 1));
        near && !mask.get(y, x)
    })
}

/// How often what was looked at was there to be looked at.
#[derive(Debug, Default)]
struct Seen {
    fills: usize,
    contours: usize,
    marks: usize,
}

/// Checks one object's overlay against the frames, masks, annotations and prompt on disk.
fn check_object(ffmpeg: &Ffmpeg, split: &Path, video: &Video, row: &Value, seen: &mut Seen) {
    let (object, tag) = (
        row["object"].as_str().unwrap(),
        row["model"].as_str().unwrap(),
    );
    let kind: PromptKind = tag.strip_prefix("edgetam_small_").unwrap().parse().unwrap();
    let name = format!("overlays/{}__obj{object}__{tag}.mp4", video.id);
    assert_eq!(row["overlay"], Value::from(name.as_str()));
    let film = film(ffmpeg, &split.join("run").join(&name));
    assert_eq!(film.width, video.width.next_multiple_of(2), "{name}");
    assert_eq!(film.height, video.height.next_multiple_of(2), "{name}");
    assert_eq!(film.rate, "24/1", "{name}");
    let count = usize::try_from(row["frames"].as_u64().unwrap()).unwrap();
    assert_eq!(
        film.frames.len(),
        count,
        "{name}: every processed frame, once"
    );

    let position = video.objects.iter().position(|o| o.id == object).unwrap();
    let track = &video.objects[position];
    let start = ObjectStart::find(track, kind, video.frames.len(), None).unwrap();
    let (first, tall) = ObjectPainter::new(ObjectOnVideo {
        video: &video.id,
        object,
        tag,
        position,
        size: (video.width, video.height),
        frames: video.frames.len(),
        annotated: true,
        prompt: start.prompt.clone(),
        prompt_frame: start.frame,
    })
    .caption_rows();
    let uncaptioned = |y: usize| y + 1 < first || y > first + tall;
    let colour = object_colour(position).map(f32::from);
    let marks: Vec<(f32, f32)> = match &start.prompt {
        Prompt::Points { points, .. } => points.clone(),
        _ => Vec::new(),
    };
    let masks = split
        .join("run/masks")
        .join(tag)
        .join(&video.id)
        .join(object);
    for (at, frame) in (start.frame..start.end).enumerate() {
        let picture = decode_rgb(&video.frames[frame]).unwrap();
        let before = |x: usize, y: usize| -> [f32; 3] {
            let at = (y * video.width + x) * 3;
            std::array::from_fn(|channel| f32::from(picture.data[at + channel]))
        };
        // The fill: pixels that are nearer to the frame with the colour mixed in than to the frame.
        let distance =
            |a: [f32; 3], b: [f32; 3]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum() };
        let filled = |x: usize, y: usize| -> [f32; 3] {
            let from = before(x, y);
            std::array::from_fn(|c| from[c] + (colour[c] - from[c]) * FILL_ALPHA)
        };
        // Colour has half the resolution in the video: means of 3 x 3 pixels are compared.
        let mean = |of: &dyn Fn(usize, usize) -> [f32; 3], y: usize, x: usize| -> [f32; 3] {
            let around = (0..9).map(|i| (y + i / 3, x + i % 3));
            let inside = around.map(|(y, x)| (y.saturating_sub(1), x.saturating_sub(1)));
            inside.fold([0.0; 3], |sum, (y, x)| {
                let pixel = of(x.min(video.width - 1), y.min(video.height - 1));
                std::array::from_fn(|c| sum[c] + pixel[c] / 9.0)
            })
        };
        let drawn = Mask::from_fn(video.height, video.width, |y, x| {
            let now = mean(&|x, y| film.pixel(at, x, y), y, x);
            distance(now, mean(&filled, y, x)) < distance(now, mean(&before, y, x))
        });
        let file = masks.join(format!("{frame:05}.png"));
        let predicted = file.exists().then(|| read_mask_png(&file).unwrap());
        if let Some(mask) = predicted.filter(|mask| mask.area() > 300) {
            let truth = track.position_of(frame).map(|at| track.load(at).unwrap());
            // Away from the lines, the mark and the caption, where colours can be told apart.
            let on = Mask::from_fn(video.height, video.width, |y, x| {
                let clear = marks
                    .iter()
                    .all(|&(mx, my)| (x as f32 - mx).hypot(y as f32 - my) > 7.0);
                let even = even_around(&mask, y, x)
                    && truth.as_ref().is_none_or(|truth| even_around(truth, y, x));
                let apart = distance(filled(x, y), before(x, y)) > 60.0;
                uncaptioned(y) && clear && even && apart
            });
            let there = iou(&drawn, &mask, &on);
            println!("{name} frame {frame}: fill {there:.3}");
            assert!(there > FILL_FLOOR, "{name}, frame {frame}: IoU {there:.3}");
            for (dy, dx) in [(0, 5), (5, 0)] {
                let shifted =
                    Mask::from_fn(video.height, video.width, |y, x| mask.get(y + dy, x + dx));
                let elsewhere = iou(&drawn, &shifted, &on);
                assert!(
                    elsewhere < there - 0.05,
                    "{name}, frame {frame}: {elsewhere:.3} when shifted by ({dx}, {dy})"
                );
            }
            seen.fills += 1;
        }
        // Ground truth: a white line along the outside of the annotation, on its own frame only.
        let annotated = track.position_of(frame);
        let near = annotated.or_else(|| track.position_of(frame - frame % 4));
        if let Some(truth) = near.map(|at| track.load(at).unwrap())
            && frame != start.frame
        {
            let ring = around(&truth);
            let (mut white, mut dark_before) = (0, 0);
            for (y, x) in (0..video.height).flat_map(|y| (0..video.width).map(move |x| (y, x))) {
                if ring.get(y, x) && uncaptioned(y) && luma(before(x, y)) < 130.0 {
                    dark_before += 1;
                    white += usize::from(luma(film.pixel(at, x, y)) > 185.0);
                }
            }
            if dark_before > 60 {
                let share = white as f32 / dark_before as f32;
                println!("{name} frame {frame}: white {share:.3} of {dark_before}, {annotated:?}");
                match annotated {
                    Some(_) => assert!(share > 0.8, "{name}, frame {frame}: {share}"),
                    None => assert!(share < 0.15, "{name}, frame {frame}: {share}"),
                }
                seen.contours += 1;
            }
        }
        // The prompt: yellow on its own frame.
        if frame == start.frame {
            let places: Vec<(f32, f32)> = match &start.prompt {
                Prompt::Points { points, .. } => points.clone(),
                &Prompt::Box {
                    x_min,
                    y_min,
                    x_max,
                    y_max,
                } => {
                    let middle = (f32::midpoint(x_min, x_max), f32::midpoint(y_min, y_max));
                    vec![
                        (x_min, middle.1),
                        (x_max, middle.1),
                        (middle.0, y_min),
                        (middle.0, y_max),
                    ]
                }
                Prompt::Mask(_) => Vec::new(),
            };
            for (x, y) in places {
                let [r, g, b] = film.pixel(at, x as usize, y as usize);
                println!("{name}: mark {r} {g} {b}");
                assert!(
                    uncaptioned(y as usize),
                    "{name}: the caption lies on the prompt"
                );
                assert!(
                    luma([r, g, b]) > 140.0 && r.min(g) > b + 50.0,
                    "{name}: {r} {g} {b}"
                );
                seen.marks += 1;
            }
            if let Prompt::Mask(mask) = &start.prompt {
                let ring = around(mask);
                let (mut yellow, mut all) = (0, 0);
                for (y, x) in (0..video.height).flat_map(|y| (0..video.width).map(move |x| (y, x)))
                {
                    if ring.get(y, x) && uncaptioned(y) {
                        let [r, g, b] = film.pixel(at, x, y);
                        all += 1;
                        yellow += usize::from(luma([r, g, b]) > 120.0 && r.min(g) > b + 20.0);
                    }
                }
                println!("{name}: mask mark {yellow} of {all}");
                assert!(yellow * 10 > all * 6, "{name}: {yellow} of {all}");
                seen.marks += 1;
            }
        }
    }
}

fn check_sheet(split: &Path, video: &Video, tag: &str, kind: PromptKind) {
    let path = split.join(format!("run/overlays/{}__sheet__{tag}.png", video.id));
    let sheet = decode_rgb(&path).unwrap();
    let spans: Vec<(usize, usize)> = video
        .objects
        .iter()
        .map(|track| ObjectStart::find(track, kind, video.frames.len(), None).unwrap())
        .map(|start| (start.frame, start.end))
        .collect();
    let frames = pick_frames(&spans, &video.scored_frames());
    let grid = Grid::of((video.width, video.height), frames.len());
    let (width, height) = grid.size();
    assert_eq!(sheet.width, width.max(480));
    let legend = sheet.height.checked_sub(height).unwrap();
    assert!((15..150).contains(&legend), "legend of {legend} rows");
    // Every place of the grid holds a picture, the places after the last frame none.
    for place in 0..grid.cells.0 * grid.cells.1 {
        let (column, row) = (place % grid.cells.0, place / grid.cells.0);
        let left = column * (grid.frame.0 + 6) + 6;
        let top = legend + row * (grid.frame.1 + 6) + 6;
        let pixel = |x: usize, y: usize| {
            let at = ((top + y) * sheet.width + left + x) * 3;
            [sheet.data[at], sheet.data[at + 1], sheet.data[at + 2]]
        };
        let (wide, high) = grid.frame;
        let middle = (0..wide).map(|x| pixel(x, high / 3)).collect::<Vec<_>>();
        let plain = middle.iter().all(|&p| p == middle[0]);
        assert_eq!(
            plain,
            place >= frames.len(),
            "place {place} of {}",
            frames.len()
        );
    }
}

/// Runs over a split of one video and checks everything that was drawn.
fn run_and_check(size: &str, kind: PromptKind, more: &[&str]) -> Option<Seen> {
    if !has_ffmpeg() {
        return None;
    }
    let ffmpeg = Ffmpeg::find().unwrap();
    let split = synthetic(&[
        "--videos",
        "1",
        "--frames",
        "14",
        "--objects",
        "2",
        "--size",
        size,
        "--seed",
        "5",
    ]);
    let tag = format!("edgetam_small_{kind}");
    let mut args = vec!["--save-overlays", "--models", tag.as_str()];
    args.extend(more);
    let ran = run(split.path(), None, &args);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("left out"), "{ran:?}");
    let opened = Split::open(split.path(), &SplitOptions::default()).unwrap();
    let video = &opened.videos[0];
    let rows = rows(&split.path().join("run"));
    assert_eq!(rows.len(), 2);
    let mut seen = Seen::default();
    for row in &rows {
        check_object(&ffmpeg, split.path(), video, row, &mut seen);
    }
    check_sheet(split.path(), video, &tag, kind);
    let files = overlays(split.path());
    assert_eq!(files.len(), 3, "two videos and a sheet: {files:?}");
    let csv = fs::read_to_string(split.path().join("run/summary.csv")).unwrap();
    assert!(
        csv.contains(&format!("overlays/{}__obj", video.id)),
        "{csv}"
    );
    let json = fs::read_to_string(split.path().join("run/run.json")).unwrap();
    assert!(json.contains("\"save-overlays\": true"), "{json}");
    Some(seen)
}

#[test]
fn a_portrait_video_is_drawn_where_its_masks_are() {
    let Some(seen) = run_and_check("90x160", PromptKind::Points, &["--save-masks", "all"]) else {
        return;
    };
    assert!(
        seen.fills > 4 && seen.contours > 2 && seen.marks == 2,
        "{seen:?}"
    );
}

#[test]
fn a_landscape_video_too_with_a_mask_prompt() {
    let Some(seen) = run_and_check("160x90", PromptKind::Mask, &["--save-masks", "all"]) else {
        return;
    };
    assert!(
        seen.fills > 4 && seen.contours > 2 && seen.marks == 2,
        "{seen:?}"
    );
}

/// The masks in between are kept for the overlays only.
#[test]
fn odd_sizes_are_not_shifted_and_masks_need_not_be_saved() {
    let Some(seen) = run_and_check("91x161", PromptKind::Bbox, &["--objects", "isolated"]) else {
        return;
    };
    assert!(
        seen.fills > 1 && seen.contours > 2 && seen.marks > 4,
        "{seen:?}"
    );
}

/// A folder with a stand-in for ffmpeg: it passes the trial before the run and then does `script`.
fn stand_in(folder: &Path, body: &str) {
    let trial = "case \"$*\" in *' null -') exec cat > /dev/null ;; esac";
    for program in ["ffmpeg", "ffprobe"] {
        script(
            &folder.join(program),
            &format!(
                "{trial}
{body}"
            ),
        );
    }
}

#[test]
fn without_ffmpeg_the_run_is_refused_before_it_begins() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let folder = tempfile::tempdir().unwrap();
    let ran = run(split.path(), Some(folder.path()), &["--save_overlays", "1"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("apt-get install ffmpeg"), "{ran:?}");
    // One that has no encoder is found out as well.
    stand_in(folder.path(), "");
    let fails = "echo \"Unknown encoder 'libx264'\" >&2; exit 1";
    script(&folder.path().join("ffmpeg"), fails);
    let ran = run(split.path(), Some(folder.path()), &["--save-overlays"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("Unknown encoder 'libx264'"), "{ran:?}");
    assert!(!split.path().join("run").exists());
    let ran = run(split.path(), Some(folder.path()), &["--save_overlays", "0"]);
    assert_eq!(ran.code, 0, "nobody asked for overlays: {ran:?}");
}

#[test]
fn an_overlay_that_fails_is_a_warning_and_resuming_draws_nothing_again() {
    let split = small(2, 5, 1);
    let bin = tempfile::tempdir().unwrap();
    stand_in(bin.path(), "echo 'No space left on device' >&2; exit 1");
    let args = ["--save-overlays", "--limit-videos", "2"];
    let ran = run(split.path(), Some(bin.path()), &args);
    assert_eq!(ran.code, 0, "{ran:?}");
    for word in ["__obj", ".mp4", "No space left on device", "left out"] {
        assert!(ran.stderr.contains(word), "'{word}' is not in {ran:?}");
    }
    let before = rows(&split.path().join("run"));
    assert_eq!(before.len(), 2);
    for row in &before {
        assert_eq!(
            (&row["status"], &row["overlay"]),
            (&Value::from("ok"), &Value::Null)
        );
    }
    let files = overlays(split.path());
    assert_eq!(
        files.len(),
        2,
        "two sheets, nothing half-written: {files:?}"
    );
    let drawn = tree(&split.path().join("run/overlays"));
    let again = run(
        split.path(),
        Some(bin.path()),
        &[&args[..], &["--resume"]].concat(),
    );
    assert_eq!(again.code, 0, "{again:?}");
    assert!(!again.stderr.contains("left out"), "{again:?}");
    assert_eq!(rows(&split.path().join("run")), before);
    assert_eq!(tree(&split.path().join("run/overlays")), drawn);
}

#[test]
fn an_interruption_while_drawing_keeps_the_video_that_was_tracked() {
    let split = synthetic(&[
        "--videos",
        "2",
        "--frames",
        "24",
        "--size",
        "90x160",
        "--objects",
        "1",
    ]);
    let bin = tempfile::tempdir().unwrap();
    let marker = bin.path().join("drawing");
    // Takes a frame now and then: drawing lasts two minutes unless it is stopped.
    let slow = format!(
        "for last; do :; done; : > \"${{last#file:}}\"; : > '{}'\n\
         taken() {{ dd bs=43200 count=1 iflag=fullblock 2>/dev/null | wc -c; }}\n\
         while [ \"$(taken)\" -gt 0 ]; do sleep 5; done",
        marker.display()
    );
    stand_in(bin.path(), &slow);
    let mut child = command(split.path(), Some(bin.path()), &["--save-overlays"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("something is drawn", || marker.exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let rows = rows(&split.path().join("run"));
    assert_eq!(rows.len(), 1, "the video that was tracked is kept");
    assert_eq!(
        (&rows[0]["status"], &rows[0]["overlay"]),
        (&Value::from("ok"), &Value::Null)
    );
    assert!(
        overlays(split.path()).is_empty(),
        "{:?}",
        overlays(split.path())
    );
}
