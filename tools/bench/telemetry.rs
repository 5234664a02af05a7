//! What telemetry costs: CPU time of the sampler's thread in percent of one core, on this machine
//! and on a tree that stands in for an Orin; and what one look at the proportional set costs.
//!
//! `cargo bench --bench telemetry [-- SECONDS]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/jetson.rs"]
mod jetson;

use jetson::{Board, JetPack, Tree};
use masklet::machine::{ProcessMemory, SystemRoot, Telemetry, TelemetryOptions};
use std::time::{Duration, Instant};

fn main() {
    // Cargo adds `--bench`.
    let seconds: u64 = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(20);
    let tree = Tree::new(Board::AgxOrin, JetPack::Six);
    // Pages that PSS has to walk, as many as a run of a small model has.
    let ballast = vec![1_u8; 512 << 20];
    for (name, root) in [
        ("this machine", SystemRoot::real()),
        ("stand-in AGX Orin", SystemRoot::at(tree.path())),
    ] {
        for hz in [5, 10] {
            let root = root.clone();
            let telemetry = Telemetry::start(&TelemetryOptions {
                hz,
                root,
                gpu: None,
            })
            .unwrap();
            let (began, before) = (Instant::now(), telemetry.cpu_s());
            std::thread::sleep(Duration::from_secs(seconds));
            let (spent, took) = (telemetry.cpu_s() - before, began.elapsed().as_secs_f64());
            println!(
                "{name}: {hz} Hz, {} columns, {took:.1} s: {:.3} ms CPU a sample, {:.3} % of a core",
                telemetry.columns().len(),
                spent * 1e3 / (took * f64::from(hz)),
                spent / took * 100.0
            );
        }
    }
    let rounds = 50;
    let began = Instant::now();
    for _ in 0..rounds {
        assert!(
            ProcessMemory::read(&SystemRoot::real())
                .pss_bytes
                .value
                .is_some()
        );
    }
    println!(
        "one look at RSS, peak and PSS with {} MiB resident: {:.3} ms wall",
        ballast.len() >> 20,
        began.elapsed().as_secs_f64() * 1e3 / f64::from(rounds)
    );
}
