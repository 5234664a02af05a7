//! Tests of the program and of its library, in one binary: one link, one shared harness.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/jetson.rs"]
mod jetson;
#[path = "../support/mod.rs"]
mod support;

mod baseline;
mod compare;
mod dataset;
mod doctor;
mod engines;
mod example;
mod extending;
mod fleet;
mod journal;
/// Run by `make gate` only, as is every module of this name.
mod long {
    mod accuracy;
}
mod overlay;
mod parity;
mod parity_command;
mod reliability;
mod report;
mod run;
mod score;
mod telemetry;
mod video;
