//! What is said when, in plain lines.

use std::sync::Arc;

use super::*;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_resumed_run_in_plain_lines() {
    let heard = Heard::default();
    let progress = Progress::lines_to(heard.clone());
    progress.println("hello");
    progress.start(3, 1);
    for (id, objects, failed) in [("sav_000001", 1, 0), ("sav_000002", 3, 2)] {
        progress.video_started(id, 2, objects);
        progress.frame_done();
        progress.frame_done();
        progress.video_finished(VideoOutcome {
            ok: objects - failed,
            failed,
        });
    }
    progress.finish();
    let lines = heard.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "hello");
    assert!(lines[1].starts_with("video 2/3: sav_000001: 2 frames, 1 object, "));
    assert!(lines[1].contains("; about ") && lines[1].ends_with(" left"));
    assert!(lines[2].starts_with("video 3/3: sav_000002: 2 frames, 3 objects, 2 failed, "));
    assert!(lines[2].ends_with("; none left"));
}

#[test]
fn calls_out_of_order_and_too_many_videos_do_no_harm() {
    let heard = Heard::default();
    for progress in [Progress::lines_to(heard.clone()), Progress::hidden()] {
        progress.frame_done();
        progress.video_finished(VideoOutcome::default());
        progress.start(1, 5);
        progress.finish();
        progress.video_started("v", 0, 0);
        progress.frame_done();
        progress.video_finished(VideoOutcome::default());
        progress.video_finished(VideoOutcome::default());
    }
    assert_eq!(heard.lines().len(), 1, "{:?}", heard.lines());
}

#[test]
fn quiet_says_nothing_and_still_runs_what_it_suspends() {
    let progress = Progress::new(true, LogFormat::Text);
    progress.println("not shown");
    assert_eq!(progress.suspend(|| 7), 7);
    assert!(matches!(progress.sink, Sink::Quiet));
    let events = Progress::new(false, LogFormat::Json);
    assert!(matches!(events.sink, Sink::Events));
}

#[test]
fn log_formats_by_name() {
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    let error = "xml".parse::<LogFormat>().unwrap_err();
    assert!(error.contains("xml") && error.contains("text or json"));
}

#[test]
fn logging_is_set_up_once() {
    let progress = Arc::new(Progress::hidden());
    // Another test of this process may have been first; the second call is one too many anyhow.
    let first = init_logging(LogFormat::Json, &progress);
    assert!(first.is_ok() || first.is_err_and(|e| e.to_string().contains("twice")));
    let error = init_logging(LogFormat::Text, &progress).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}
