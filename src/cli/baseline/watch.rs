//! Progress of the PyTorch process, from the record that it writes.

use crate::progress::Progress;
use crate::reference::baseline::{Mode, read_record};
use std::cell::RefCell;
use std::path::Path;

/// Says which object the process is at.
pub(super) struct Watch<'a> {
    log: &'a Path,
    progress: &'a Progress,
    mode: Mode,
    seen: RefCell<(usize, usize)>,
}

impl<'a> Watch<'a> {
    /// Begins at byte `offset` of the record.
    pub(super) fn new(log: &'a Path, offset: usize, progress: &'a Progress, mode: Mode) -> Self {
        Self {
            log,
            progress,
            mode,
            seen: RefCell::new((offset, 0)),
        }
    }

    /// Reads what is new and says it.
    pub(super) fn look(&self) {
        let mut seen = self.seen.borrow_mut();
        let (offset, index) = *seen;
        let length = std::fs::metadata(self.log).map_or(0, |found| found.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= offset {
            return;
        }
        // What cannot be read now is read when the process has ended.
        let Ok(record) = read_record(self.log, offset, &|_| true) else {
            return;
        };
        seen.0 = length;
        let Some(state) = record.state.filter(|state| state.index != index) else {
            return;
        };
        seen.1 = state.index;
        self.progress.println(&format!(
            "baseline ({}): object {} of {}, {} {}",
            self.mode, state.index, state.total, state.model, state.video
        ));
    }
}
