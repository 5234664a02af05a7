//! The ring of decoded frames: worker threads decode ahead of the model, a bounded distance.
//!
//! The slots are arena memory and part of the plan, so reading ahead costs nothing that was not
//! announced. Frames come out in order whatever order they were finished in. While the consumer has
//! paused the clock (scoring, writing masks) the workers pause too, so that decoding hides behind
//! the model and behind nothing else.

use masklet_engines::memory::Tensor;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What became of one frame.
struct Finished<E> {
    outcome: Result<(), E>,
    decode: Duration,
}

struct State<E> {
    /// Next frame that a worker may claim.
    claim: usize,
    /// Frames before this one have been consumed.
    consumed: usize,
    /// Finished frames by slot.
    finished: Vec<Option<Finished<E>>>,
    paused: bool,
    stopped: bool,
}

/// A frame as the consumer sees it.
pub struct DecodedFrame<'a, E> {
    /// Frame index in the video.
    pub index: usize,
    /// The slot's bytes, or why decoding failed.
    pub pixels: Result<&'a [u8], E>,
    /// Time a worker spent on it.
    pub decode: Duration,
    /// Time the consumer waited for it.
    pub wait: Duration,
}

/// Hands out decoded frames in order.
pub struct FrameRing<'r, E> {
    slots: Vec<Mutex<Tensor<'r>>>,
    frames: Range<usize>,
    state: Mutex<State<E>>,
    changed: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock means a decoder panicked; its frame never finishes, the data is plain bytes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops the workers when the consumer leaves, in whatever way.
struct StopOnDrop<'a, 'r, E>(&'a FrameRing<'r, E>);

impl<E> Drop for StopOnDrop<'_, '_, E> {
    fn drop(&mut self) {
        lock(&self.0.state).stopped = true;
        self.0.changed.notify_all();
    }
}

impl<'r, E: Send> FrameRing<'r, E> {
    /// Decodes `frames` with `threads` workers into `slots` while `consume` runs; returns what
    /// `consume` returns. `decode` gets a frame index and the slot's bytes.
    ///
    /// # Errors
    /// When not a single worker can be started.
    pub fn run<R>(
        slots: Vec<Tensor<'r>>,
        frames: Range<usize>,
        threads: usize,
        decode: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync,
        consume: impl FnOnce(&Self) -> R,
    ) -> std::io::Result<R> {
        let ring = Self {
            state: Mutex::new(State {
                claim: frames.start,
                consumed: frames.start,
                finished: slots.iter().map(|_| None).collect(),
                paused: false,
                stopped: slots.is_empty(),
            }),
            slots: slots.into_iter().map(Mutex::new).collect(),
            frames,
            changed: Condvar::new(),
        };
        std::thread::scope(|scope| {
            let _stop = StopOnDrop(&ring);
            for worker in 0..threads.max(1).min(ring.slots.len().max(1)) {
                let builder = std::thread::Builder::new().name(format!("decode-{worker}"));
                match builder.spawn_scoped(scope, || ring.work(&decode)) {
                    Err(error) if worker == 0 => return Err(error),
                    // Fewer workers do the same, only slower.
                    Err(_) => break,
                    Ok(_) => {}
                }
            }
            Ok(consume(&ring))
        })
    }

    fn work(&self, decode: &(impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync)) {
        while let Some(frame) = self.claim() {
            let slot = frame % self.slots.len();
            let started = Instant::now();
            let outcome = {
                let mut tensor = lock(&self.slots[slot]);
                match tensor.view_mut().into_slice::<u8>() {
                    Ok(bytes) => decode(frame, bytes),
                    // Ring slots are host memory by construction.
                    Err(_) => Ok(()),
                }
            };
            let mut state = lock(&self.state);
            state.finished[slot] = Some(Finished {
                outcome,
                decode: started.elapsed(),
            });
            drop(state);
            self.changed.notify_all();
        }
    }

    fn claim(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        loop {
            if state.stopped || state.claim >= self.frames.end {
                return None;
            }
            if !state.paused && state.claim < state.consumed + self.slots.len() {
                let frame = state.claim;
                state.claim += 1;
                return Some(frame);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the next frame is decoded, without taking it.
    pub fn wait_for_next(&self) {
        let mut state = lock(&self.state);
        let slot = match self.slots.len() {
            0 => return,
            slots => state.consumed % slots,
        };
        while state.consumed < self.frames.end
            && state.finished.get(slot).is_some_and(Option::is_none)
        {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the next frame to `use_frame`; `None` after the last one.
    pub fn next<T>(&self, use_frame: impl FnOnce(DecodedFrame<'_, E>) -> T) -> Option<T> {
        let started = Instant::now();
        let mut state = lock(&self.state);
        let index = state.consumed;
        if index >= self.frames.end || self.slots.is_empty() {
            return None;
        }
        let slot = index % self.slots.len();
        let finished = loop {
            if let Some(finished) = state.finished[slot].take() {
                break finished;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let wait = started.elapsed();
        let result = {
            let tensor = lock(&self.slots[slot]);
            let bytes = tensor.view().as_slice::<u8>().unwrap_or(&[]);
            use_frame(DecodedFrame {
                index,
                pixels: finished.outcome.map(|()| bytes),
                decode: finished.decode,
                wait,
            })
        };
        lock(&self.state).consumed = index + 1;
        self.changed.notify_all();
        Some(result)
    }

    /// Runs `off_the_clock` while the workers rest.
    pub fn paused<T>(&self, off_the_clock: impl FnOnce() -> T) -> T {
        lock(&self.state).paused = true;
        let result = off_the_clock();
        lock(&self.state).paused = false;
        self.changed.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use masklet_engines::memory::{Arena, PlanRow, RegionKind, Slab};
    use masklet_engines::tensor::DType;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn with_slots<R>(depth: usize, body: impl FnOnce(Vec<Tensor<'_>>) -> R) -> R {
        let mut arena = Arena::new(Slab::host(1 << 16).unwrap());
        let region = arena.root(RegionKind::Video);
        let row = PlanRow::new("decoded frame", DType::U8, &[4]);
        let slots = (0..depth).map(|_| region.alloc(&row).unwrap()).collect();
        body(slots)
    }

    #[test]
    fn frames_come_in_order_and_never_more_than_the_ring_ahead() {
        let consumed = AtomicUsize::new(5);
        let furthest = AtomicUsize::new(0);
        let seen = with_slots(3, |slots| {
            FrameRing::<()>::run(
                slots,
                5..60,
                4,
                |frame, bytes| {
                    let ahead = frame + 1 - consumed.load(Ordering::SeqCst).min(frame);
                    furthest.fetch_max(ahead, Ordering::SeqCst);
                    // Later frames of a group finish first.
                    std::thread::sleep(Duration::from_micros(((60 - frame) % 4 * 300) as u64));
                    bytes.fill(frame as u8);
                    Ok(())
                },
                |ring| {
                    let mut seen = Vec::new();
                    while let Some(frame) = ring.next(|f| {
                        assert_eq!(f.pixels.unwrap(), [f.index as u8; 4]);
                        f.index
                    }) {
                        seen.push(frame);
                        consumed.store(frame + 1, Ordering::SeqCst);
                    }
                    seen
                },
            )
            .unwrap()
        });
        assert_eq!(seen, (5..60).collect::<Vec<_>>());
        // One more than the depth: the consumed mark of this test trails the ring's own by a step.
        assert!(furthest.load(Ordering::SeqCst) <= 4);
    }

    #[test]
    fn a_failed_frame_is_reported_in_its_place_and_the_rest_goes_on() {
        let outcomes: Vec<bool> = with_slots(2, |slots| {
            FrameRing::run(
                slots,
                0..6,
                2,
                |frame, _| if frame == 3 { Err("torn") } else { Ok(()) },
                |ring| {
                    let mut all = Vec::new();
                    while let Some(ok) = ring.next(|f| f.pixels.is_ok()) {
                        all.push(ok);
                    }
                    all
                },
            )
            .unwrap()
        });
        assert_eq!(outcomes, [true, true, true, false, true, true]);
    }

    #[test]
    fn waiting_for_the_next_frame_takes_nothing() {
        let seen = with_slots(2, |slots| {
            FrameRing::<()>::run(
                slots,
                3..5,
                1,
                |_, _| Ok(()),
                |ring| {
                    let mut seen = Vec::new();
                    loop {
                        // Behind the last frame there is nothing to wait for.
                        ring.wait_for_next();
                        match ring.next(|f| (f.index, f.wait)) {
                            Some(frame) => seen.push(frame),
                            None => return seen,
                        }
                    }
                },
            )
            .unwrap()
        });
        let frames: Vec<usize> = seen.iter().map(|(index, _)| *index).collect();
        assert_eq!(frames, [3, 4]);
    }

    #[test]
    fn leaving_early_stops_the_workers() {
        let decoded = AtomicUsize::new(0);
        with_slots(2, |slots| {
            FrameRing::<()>::run(
                slots,
                0..1_000_000,
                2,
                |_, _| {
                    decoded.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                },
                |ring| ring.next(|_| ()),
            )
            .unwrap()
        });
        assert!(decoded.load(Ordering::SeqCst) <= 4);
    }

    #[test]
    fn nothing_new_is_decoded_while_paused() {
        let decoded = AtomicUsize::new(0);
        with_slots(2, |slots| {
            FrameRing::<()>::run(
                slots,
                0..100,
                1,
                |_, _| {
                    decoded.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                },
                |ring| {
                    ring.next(|_| ());
                    ring.paused(|| {
                        std::thread::sleep(Duration::from_millis(20));
                        let at_rest = decoded.load(Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(20));
                        assert_eq!(decoded.load(Ordering::SeqCst), at_rest);
                    });
                    while ring.next(|_| ()).is_some() {}
                },
            )
            .unwrap()
        });
        assert_eq!(decoded.load(Ordering::SeqCst), 100);
    }
}
