//! Properties of the arena: no overlap, alignment, exact resets, plan equals observed peak.

use super::*;
use crate::tensor::DType;
use proptest::prelude::*;

fn arena(bytes: usize) -> Arena {
    Arena::new(Slab::host(bytes).unwrap())
}

fn bytes_row(bytes: usize) -> PlanRow {
    PlanRow::new("row", DType::U8, &[bytes])
}

/// What a random walk may do to a stack of regions.
#[derive(Clone, Debug)]
enum Step {
    Alloc(usize),
    /// Does the inner steps in a region of their own.
    Scope(Vec<Step>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = (0usize..5000).prop_map(Step::Alloc);
    let step = leaf.prop_recursive(3, 64, 8, |inner| {
        prop_oneof![
            (0usize..5000).prop_map(Step::Alloc),
            prop::collection::vec(inner, 0..8).prop_map(Step::Scope),
        ]
    });
    prop::collection::vec(step, 0..12)
}

/// Runs the walk; `live` holds the address ranges of every handle alive now.
fn walk(region: &Region<'_>, steps: &[Step], live: &mut Vec<(usize, usize)>, depth: usize) {
    let start = region.arena().used();
    let already_live = live.len();
    for step in steps {
        match step {
            Step::Alloc(bytes) => {
                let mut tensor = region.alloc(&bytes_row(*bytes)).unwrap();
                let (address, end) = {
                    let view = tensor.view();
                    (view.address(), view.address() + view.bytes())
                };
                assert_eq!(address % ALIGNMENT, 0);
                for &(other, other_end) in live.iter() {
                    assert!(
                        end <= other || other_end <= address,
                        "two live handles overlap"
                    );
                }
                tensor
                    .view_mut()
                    .into_slice::<u8>()
                    .unwrap()
                    .fill(depth as u8);
                live.push((address, end));
            }
            Step::Scope(inner) => {
                let before = region.arena().used();
                let outside = live.len();
                {
                    let scope = region.enter(RegionKind::ALL[(depth + 1).min(3)]).unwrap();
                    walk(&scope, inner, live, depth + 1);
                }
                live.truncate(outside);
                assert_eq!(
                    region.arena().used(),
                    before,
                    "a reset restores the exact offset"
                );
            }
        }
    }
    assert!(region.arena().used() >= start && live.len() >= already_live);
}

proptest! {
    #[test]
    fn live_handles_never_overlap_and_resets_are_exact(steps in steps()) {
        let mut arena = arena(1 << 20);
        {
            let root = arena.root(RegionKind::Process);
            walk(&root, &steps, &mut Vec::new(), 0);
        }
        prop_assert_eq!(arena.used(), 0);
    }

    #[test]
    fn the_observed_peak_is_the_planned_one(
        sizes in prop::collection::vec(prop::collection::vec((1usize..4000, 1usize..4), 0..5), 4),
        videos in 1usize..4,
        frames in 1usize..4,
    ) {
        let plan = Plan {
            staging: Vec::new(),
            regions: RegionKind::ALL
                .iter()
                .zip(&sizes)
                .map(|(&region, rows)| RegionPlan {
                    region,
                    rows: rows.iter().map(|&(bytes, count)| bytes_row(bytes).times(count)).collect(),
                })
                .collect(),
        };
        let alloc_all = |region: &Region<'_>, kind| {
            for row in &plan.region(kind).unwrap().rows {
                for _ in 0..row.count {
                    region.alloc(row).unwrap();
                }
            }
        };
        let mut arena = arena(plan.bytes());
        {
            let process = arena.root(RegionKind::Process);
            alloc_all(&process, RegionKind::Process);
            for _ in 0..videos {
                let video = process.enter(RegionKind::Video).unwrap();
                alloc_all(&video, RegionKind::Video);
                let batch = video.enter(RegionKind::ObjectBatch).unwrap();
                alloc_all(&batch, RegionKind::ObjectBatch);
                for _ in 0..frames {
                    let frame = batch.enter(RegionKind::Frame).unwrap();
                    alloc_all(&frame, RegionKind::Frame);
                }
            }
        }
        let marks = arena.high_water();
        prop_assert_eq!(marks.total, plan.bytes());
        prop_assert_eq!(marks.process, plan.region_bytes(RegionKind::Process));
        prop_assert_eq!(marks.video, plan.region_bytes(RegionKind::Video));
        prop_assert_eq!(marks.object_batch, plan.region_bytes(RegionKind::ObjectBatch));
        prop_assert_eq!(marks.frame, plan.region_bytes(RegionKind::Frame));
    }
}

#[test]
fn an_outer_region_is_closed_to_requests_while_an_inner_one_is_open() {
    let mut arena = arena(4096);
    let process = arena.root(RegionKind::Process);
    let video = process.enter(RegionKind::Video).unwrap();
    assert_eq!(
        process.alloc(&bytes_row(1)).unwrap_err(),
        ArenaError::NotInnermost {
            outer: RegionKind::Process,
            inner: RegionKind::Video
        }
    );
    assert!(process.enter(RegionKind::Video).is_err());
    drop(video);
    assert!(process.alloc(&bytes_row(1)).is_ok());
}

#[test]
fn exhaustion_names_region_request_and_free_bytes() {
    let mut arena = arena(1024);
    let process = arena.root(RegionKind::Process);
    let _held = process.alloc(&bytes_row(600)).unwrap();
    let error = process
        .alloc(&PlanRow::new("memory bank", DType::F32, &[100]))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("process") && text.contains("memory bank"),
        "{text}"
    );
    assert!(
        text.contains("512 bytes") && text.contains("256 of 1024"),
        "{text}"
    );
    assert!(
        process
            .alloc(&PlanRow::new("huge", DType::F32, &[usize::MAX, 2]))
            .is_err()
    );
}

#[test]
fn a_raw_handle_is_caught_after_its_region_ended() {
    let mut arena = arena(4096);
    let process = arena.root(RegionKind::Process);
    let raw = {
        let video = process.enter(RegionKind::Video).unwrap();
        let tensor = video.alloc(&bytes_row(10)).unwrap();
        let raw = video.raw(&tensor);
        assert_eq!(
            process.arena().address_of(&raw).unwrap(),
            tensor.view().address()
        );
        raw
    };
    assert!(matches!(
        process.arena().address_of(&raw),
        Err(ArenaError::Stale { .. })
    ));
    // A new region at the same depth and address does not bring the handle back.
    let video = process.enter(RegionKind::Video).unwrap();
    let _tensor = video.alloc(&bytes_row(10)).unwrap();
    assert!(matches!(
        process.arena().address_of(&raw),
        Err(ArenaError::Stale { .. })
    ));
}

#[test]
fn high_water_can_be_restarted_per_video() {
    let mut arena = arena(1 << 16);
    let process = arena.root(RegionKind::Process);
    let _weights = process.alloc(&bytes_row(1000)).unwrap();
    {
        let video = process.enter(RegionKind::Video).unwrap();
        video.alloc(&bytes_row(5000)).unwrap();
    }
    assert_eq!(process.arena().high_water().video, aligned(5000));
    process.arena().restart_high_water();
    {
        let video = process.enter(RegionKind::Video).unwrap();
        video.alloc(&bytes_row(300)).unwrap();
    }
    let marks = process.arena().high_water();
    assert_eq!((marks.process, marks.video), (aligned(1000), aligned(300)));
    assert_eq!(marks.total, aligned(1000) + aligned(300));
}

#[test]
fn views_refuse_the_wrong_type_and_index() {
    let mut arena = arena(4096);
    let process = arena.root(RegionKind::Process);
    let mut bank = process
        .alloc(&PlanRow::new("bank", DType::F32, &[3, 2, 4]))
        .unwrap();
    bank.view_mut()
        .at(1)
        .unwrap()
        .into_slice::<f32>()
        .unwrap()
        .fill(5.0);
    assert_eq!(
        bank.view()
            .at(1)
            .unwrap()
            .at(0)
            .unwrap()
            .as_slice::<f32>()
            .unwrap(),
        [5.0; 4]
    );
    assert!(bank.view().at(2).unwrap().as_slice::<i32>().is_err());
    assert!(matches!(
        bank.view().at(3),
        Err(AccessError::OutOfRange { index: 3, .. })
    ));
    let parts = bank.split();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[1].view().as_slice::<f32>().unwrap(), [5.0; 8]);
}

#[test]
fn an_oversized_plan_names_its_largest_rows() {
    let plan = Plan {
        staging: Vec::new(),
        regions: vec![RegionPlan {
            region: RegionKind::Video,
            rows: vec![
                bytes_row(10),
                PlanRow::new("decoded frames", DType::U8, &[1000]).times(8),
            ],
        }],
    };
    assert!(plan.check(plan.bytes(), "--memory-budget").is_ok());
    let text = plan.check(2000, "--memory-budget").unwrap_err().to_string();
    assert!(
        text.contains("--memory-budget") && text.contains("video / decoded frames (8192)"),
        "{text}"
    );
}

#[test]
fn what_is_kept_outlives_regions_and_counts_as_process_memory() {
    let mut arena = arena(8192);
    let kept = arena.keep(&bytes_row(1000)).unwrap();
    assert_eq!(kept.bytes, 1024);
    {
        let process = arena.root(RegionKind::Process);
        let own = process.alloc(&bytes_row(300)).unwrap();
        assert!(own.view().address() >= kept.address + kept.bytes);
        assert_eq!(process.arena().high_water().process, 1024 + 512);
        process.arena().restart_high_water();
        assert_eq!(process.arena().high_water().process, 1024 + 512);
    }
    assert_eq!(arena.used(), 1024, "regions end where the kept memory does");
    let more = arena.keep(&bytes_row(256)).unwrap();
    assert_eq!(more.address, kept.address + 1024);
    arena.restart_high_water();
    assert_eq!(arena.high_water().process, 1280);
    let error = arena.keep(&bytes_row(9000)).unwrap_err();
    assert!(
        matches!(error, ArenaError::Exhausted { free: 6912, .. }),
        "{error}"
    );
}
