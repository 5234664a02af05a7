//! How far a run is: bars on a terminal, plain lines elsewhere, nothing when quiet.
//!
//! Everything goes to standard error, so that standard output holds results only. With
//! `--log-format json` progress becomes log events. It keeps no times that a report uses.

mod logging;

pub use logging::{LogFormat, init_logging};

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::figures::stats;

/// Shows how far a run is. Shared by reference; all methods may be called from any thread.
#[derive(Debug)]
pub struct Progress {
    sink: Sink,
    state: Mutex<State>,
}

/// How a video ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoOutcome {
    /// Objects tracked to the end.
    pub ok: usize,
    /// Objects that failed.
    pub failed: usize,
}

enum Sink {
    Quiet,
    Bars(MultiProgress),
    Lines(Mutex<Box<dyn Write + Send>>),
    Events,
}

#[derive(Debug, Default)]
struct State {
    total: usize,
    /// Videos finished by this process.
    finished: usize,
    /// Videos that were finished before it began.
    before: usize,
    began: Option<Instant>,
    video: Option<Video>,
    overall: Option<ProgressBar>,
}

#[derive(Debug)]
struct Video {
    id: String,
    frames: usize,
    objects: usize,
    done: usize,
    began: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

/// Time between two plain lines about one video.
const LINE_EVERY: Duration = Duration::from_secs(15);

impl Progress {
    /// Bars where standard error is a terminal, plain lines where it is not, log events for
    /// [`LogFormat::Json`], nothing when `quiet`.
    pub fn new(quiet: bool, format: LogFormat) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::with_sink(match (quiet, format) {
            (true, _) => Sink::Quiet,
            (false, LogFormat::Json) => Sink::Events,
            (false, LogFormat::Text) if std::io::stderr().is_terminal() && !dumb => {
                Sink::Bars(MultiProgress::new())
            }
            (false, LogFormat::Text) => Sink::Lines(Mutex::new(Box::new(std::io::stderr()))),
        })
    }

    /// Plain lines to a writer.
    pub fn lines_to(writer: impl Write + Send + 'static) -> Self {
        Self::with_sink(Sink::Lines(Mutex::new(Box::new(writer))))
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Self::with_sink(Sink::Quiet)
    }

    fn with_sink(sink: Sink) -> Self {
        Self {
            sink,
            state: Mutex::default(),
        }
    }

    /// The run begins: `total_videos` in all, of which `finished_before` were finished by an
    /// earlier process.
    pub fn start(&self, total_videos: usize, finished_before: usize) {
        let mut state = self.state();
        *state = State {
            total: total_videos,
            before: finished_before.min(total_videos),
            began: Some(Instant::now()),
            ..State::default()
        };
        if let Sink::Bars(bars) = &self.sink {
            let bar = bars.add(ProgressBar::new(total_videos as u64));
            bar.set_style(style(
                "videos {bar:24} {pos}/{len}  {elapsed} so far, {msg}",
            ));
            bar.set_position(state.before as u64);
            bar.set_message("time left not known yet");
            bar.enable_steady_tick(Duration::from_millis(500));
            state.overall = Some(bar);
        }
    }

    /// A video begins.
    pub fn video_started(&self, id: &str, frames: usize, objects: usize) {
        let mut state = self.state();
        let bar = match &self.sink {
            Sink::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(frames as u64));
                bar.set_style(style(
                    "{prefix} {bar:24} {pos}/{len} frames  {per_sec}  {msg}",
                ));
                bar.set_prefix(id.to_owned());
                bar.set_message(plural(objects, "object"));
                Some(bar)
            }
            _ => None,
        };
        let now = Instant::now();
        state.video = Some(Video {
            id: id.to_owned(),
            frames,
            objects,
            done: 0,
            began: now,
            told: now,
            bar,
        });
    }

    /// A frame of the present video is through, for all of its objects.
    pub fn frame_done(&self) {
        let mut state = self.state();
        let Some(video) = &mut state.video else {
            return;
        };
        video.done += 1;
        if let Some(bar) = &video.bar {
            bar.inc(1);
        }
        if video.told.elapsed() < LINE_EVERY || video.bar.is_some() {
            return;
        }
        video.told = Instant::now();
        let text = format!("{}: frame {} of {}", video.id, video.done, video.frames);
        drop(state);
        self.say(&text);
    }

    /// What else is done with the present video, beside its bar.
    pub fn video_note(&self, text: &str) {
        if let Some(bar) = self.state().video.as_ref().and_then(|v| v.bar.as_ref()) {
            bar.set_message(text.to_owned());
        }
    }

    /// The present video is through.
    pub fn video_finished(&self, outcome: VideoOutcome) {
        let mut state = self.state();
        state.finished += 1;
        let left = time_left(&state);
        let done = state.before + state.finished;
        if let Some(bar) = &state.overall {
            bar.set_position(done as u64);
            bar.set_message(left.clone());
        }
        let Some(video) = state.video.take() else {
            return;
        };
        if let Some(bar) = video.bar {
            bar.finish_and_clear();
        }
        let seconds = video.began.elapsed().as_secs_f64();
        let failed = match outcome.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let text = format!(
            "video {done}/{}: {}: {}, {}{failed}, {}; {left}",
            state.total,
            video.id,
            plural(video.done, "frame"),
            plural(video.objects, "object"),
            stats::milliseconds(seconds * 1000.0),
        );
        let silent = state.overall.is_some() && outcome.failed == 0;
        drop(state);
        if !silent {
            self.say(&text);
        }
    }

    /// The run is over: bars are taken away.
    pub fn finish(&self) {
        let mut state = self.state();
        if let Some(bar) = state.video.take().and_then(|video| video.bar) {
            bar.finish_and_clear();
        }
        if let Some(bar) = state.overall.take() {
            bar.finish_and_clear();
        }
    }

    /// A line for the user, above the bars where there are any. Shown unless quiet.
    pub fn println(&self, line: &str) {
        self.say(line);
    }

    /// Runs something that writes to the terminal with the bars out of the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.sink {
            Sink::Bars(bars) => bars.suspend(write),
            _ => write(),
        }
    }

    fn say(&self, line: &str) {
        // A terminal that went away is not a reason to end a run: failures to show are ignored.
        match &self.sink {
            Sink::Quiet => {}
            Sink::Bars(bars) => {
                let _ = bars.println(line);
            }
            Sink::Lines(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writeln!(writer, "{line}");
            }
            Sink::Events => tracing::info!(target: "masklet::progress", "{line}"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking thread left is still good enough to show.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Quiet => "Quiet",
            Self::Bars(_) => "Bars",
            Self::Lines(_) => "Lines",
            Self::Events => "Events",
        })
    }
}

/// The videos of this process tell how long the rest will take.
fn time_left(state: &State) -> String {
    let rest = state.total.saturating_sub(state.before + state.finished);
    if rest == 0 {
        return "none left".to_owned();
    }
    let elapsed = state
        .began
        .map_or(0.0, |began| began.elapsed().as_secs_f64());
    let each = elapsed / state.finished.max(1) as f64;
    format!(
        "about {} left",
        stats::milliseconds(each * rest as f64 * 1000.0)
    )
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests;
