//! Time stamps of the device: a ring of events, made once.

use crate::cuda::{CudaError, Device, Event, Stream};
use crate::device::{Stamp, foreign_stamp};
use crate::error::Result;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// Events of the ring. A frame takes two for each of its spans, so this is many frames' worth.
const EVENTS: usize = 1024;

/// Events handed out in turn. A stamp is good until the ring has gone round.
pub(super) struct EventRing {
    events: Vec<Event>,
    next: Cell<u64>,
}

impl EventRing {
    /// Makes all events.
    pub(super) fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        let events = (0..EVENTS)
            .map(|_| Event::new(device, true))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            events,
            next: Cell::new(0),
        })
    }

    /// A stamp behind everything on `stream` so far.
    pub(super) fn stamp(&self, stream: &Stream) -> Result<Stamp> {
        let number = self.next.get();
        self.at(number)?.record(stream)?;
        self.next.set(number + 1);
        Ok(Stamp::Device(number))
    }

    /// Time between two stamps, waiting for the later one.
    pub(super) fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration> {
        let (from, to) = (self.find(from)?, self.find(to)?);
        to.synchronize()?;
        Ok(Event::elapsed(from, to)?)
    }

    fn find(&self, stamp: Stamp) -> Result<&Event> {
        match stamp {
            Stamp::Device(number)
                if number < self.next.get() && self.next.get() - number <= EVENTS as u64 =>
            {
                self.at(number)
            }
            _ => Err(foreign_stamp()),
        }
    }

    fn at(&self, number: u64) -> Result<&Event> {
        self.events
            .get((number % EVENTS as u64) as usize)
            .ok_or_else(foreign_stamp)
    }
}
