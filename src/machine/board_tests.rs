//! Every board's tree gives the figures that were put into it; quirks give reasons; energy and
//! throttling are those worked out by hand.

use super::sensors::{Find, Sensor, Sensors, Told, Value, column};
use super::*;
use crate::jetson::{BOARDS, Board, JETPACKS, JetPack, Tree, monitor_folder, watts};
use std::collections::BTreeMap;

fn root(tree: &Tree) -> SystemRoot {
    SystemRoot::at(tree.path())
}

/// The number of a column.
fn number(columns: &[Column], name: &str) -> usize {
    columns
        .iter()
        .position(|column| column.name == name)
        .unwrap()
}

/// Values by name, and reasons.
fn look(tree: &Tree) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let mut recorder = Recorder::new(&root(tree), None, 4);
    recorder.sample(0.0);
    let samples = recorder.since(0);
    let named = recorder.columns().iter().zip(samples.row(0));
    let values = named
        .filter(|(_, value)| value.is_finite())
        .map(|(column, value)| (column.name.clone(), *value))
        .collect();
    let missing = recorder.missing();
    let reasons = missing.map(|(name, why)| (name.to_owned(), why.to_owned()));
    (values, reasons.collect())
}

#[test]
fn every_board_gives_what_its_kernel_shows() {
    for board in BOARDS {
        for jetpack in JETPACKS {
            let tree = Tree::new(board, jetpack);
            let (values, reasons) = look(&tree);
            let place = format!("{board:?} {jetpack:?}: {values:?} {reasons:?}");
            for (name, value) in [
                ("available_bytes", 6.0 * 1024.0 * 1024.0 * 1024.0),
                ("rss_bytes", 104_857_600.0),
                ("pss_bytes", 52_428_800.0),
                ("nvmap_total_bytes", 230_686_720.0),
                ("nvmap_process_bytes", 209_715_200.0),
                ("gpu_load_percent", 95.0),
                ("gpu_clock_mhz", f64::from(tree.top_mhz())),
                ("emc_clock_mhz", 3199.0),
                ("power_total_w", watts(board)),
                ("throttle", 0.0),
            ] {
                assert_eq!(values.get(name), Some(&value), "{name} of {place}");
            }
            let gpu = match jetpack {
                JetPack::Five => "temperature_gpu_therm_c",
                _ => "temperature_gpu_thermal_c",
            };
            assert_eq!(values.get(gpu), Some(&47.25), "{place}");
            // What is switched off, and what there is none of, has a reason and no value.
            let off = gpu.replace("gpu", "cv0");
            assert!(reasons[&off].contains("switched off"), "{place}");
            assert!(!values.contains_key(&off), "{place}");
            assert!(
                reasons["gpu_memory_used_bytes"].contains("shares"),
                "{place}"
            );
            assert_eq!(reasons.len(), 2, "{place}");
            let rails = values
                .keys()
                .filter(|name| name.starts_with("power_"))
                .count();
            assert_eq!(
                rails,
                if board == Board::AgxOrin { 5 } else { 4 },
                "{place}"
            );
        }
    }
}

#[test]
fn the_layout_before_hwmon_is_read() {
    let tree = Tree::new(Board::OrinNano, JetPack::Five);
    tree.older_power();
    let (values, _) = look(&tree);
    assert_eq!(values["power_total_w"], 6.4);
    assert_eq!(values["power_pom_5v_gpu_w"], 1.2);
    assert!(!values.keys().any(|name| name.contains("nc_w")));
}

#[test]
fn a_missing_rail_leaves_no_sum_and_says_which() {
    let tree = Tree::new(Board::AgxOrin, JetPack::Six);
    tree.remove(&format!("{}/curr2_input", monitor_folder("1-0041")));
    let (values, reasons) = look(&tree);
    assert_eq!(values.get("power_total_w"), None);
    assert!(
        reasons["power_total_w"].contains("curr2_input does not exist"),
        "{reasons:?}"
    );
    assert_eq!(values["power_vdd_gpu_soc_w"], 8.0);
    // Without any monitor there is a reason as well.
    tree.remove("/sys/bus/i2c");
    assert!(look(&tree).1["power_total_w"].contains("no power monitor"));
}

#[test]
fn of_two_gpus_the_one_with_a_load_is_taken() {
    let tree = Tree::new(Board::OrinNx, JetPack::Six);
    tree.second_gpu();
    let (values, _) = look(&tree);
    assert_eq!(values["gpu_clock_mhz"], 918.0);
    assert_eq!(values["gpu_load_percent"], 95.0);
    let notes = Recorder::new(&root(&tree), None, 2).notes().to_vec();
    assert!(notes[0].contains("10000000.gpu"), "{notes:?}");
}

#[test]
fn unreadable_debugfs_is_a_reason() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    tree.remove("/sys/kernel/debug");
    let (values, reasons) = look(&tree);
    for name in ["nvmap_total_bytes", "nvmap_process_bytes", "emc_clock_mhz"] {
        assert!(!values.contains_key(name));
        assert!(reasons[name].contains("does not exist"), "{reasons:?}");
    }
    assert_eq!(values["gpu_clock_mhz"], 1020.0);
}

#[test]
fn power_mode_and_fixed_clocks() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let seen = Environment::read(&root(&tree));
    assert_eq!(seen.power_mode.value.as_deref(), Some("15W (mode 0)"));
    assert_eq!(seen.clocks_fixed.get(), Some(false));
    assert!(seen.stand_in);
    tree.set("/var/lib/nvpmodel/status", "pmode:0002 fmode:fanNull\n");
    tree.fix_clocks();
    let seen = Environment::read(&root(&tree));
    assert_eq!(
        seen.power_mode.value.as_deref(),
        Some("MAXN_SUPER (mode 2)")
    );
    assert_eq!(seen.clocks_fixed.get(), Some(true));
    tree.set("/var/lib/nvpmodel/status", "pmode:0009\n");
    let reason = Environment::read(&root(&tree)).power_mode.reason.unwrap();
    assert!(reason.contains("mode 9"), "{reason}");
}

/// A recording of a board whose state at each second is given: milliamperes of the first rail,
/// load, clock.
fn record(tree: &Tree, states: &[(u32, u32, u32)]) -> Recorder {
    let mut recorder = Recorder::new(&root(tree), None, 64);
    for (second, (milliamperes, load, mhz)) in states.iter().enumerate() {
        tree.set_milliamperes(*milliamperes);
        tree.set_gpu(*load, *mhz);
        recorder.sample(second as f64);
    }
    recorder
}

#[test]
fn energy_equals_the_integral_worked_out_by_hand() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    // 5 V: 5, 10, 10, 20, 5 W at seconds 0 to 4.
    let states = [1000, 2000, 2000, 4000, 1000].map(|ma| (ma, 95, 1020));
    let recorder = record(&tree, &states);
    let span = Span {
        from_s: 0.0,
        to_s: 4.0,
        columns: recorder.columns().into(),
        samples: recorder.since(0),
        throttle: Vec::new(),
        sampler_cpu_s: None,
    };
    let frame = |frame, from_s, to_s| FrameInterval {
        frame,
        from_s,
        to_s,
    };
    // Frame 7 from 0.5 to 1.5: (7.5+10)/2/2 + 10/2 = 9.375 J. Frame 8 from 2 to 3: 15 J. Frame 9
    // from 3.5 to 4: (12.5+5)/2/2 = 4.375 J. Between them is scoring, which does not count.
    let frames = [frame(7, 0.5, 1.5), frame(8, 2.0, 3.0), frame(9, 3.5, 4.0)];
    // Object a is on all frames, b joins at 8 and is gone at 9.
    let marks = clip_marks(&span, &frames, &[(7, 10), (8, 9)]);
    let close = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} {b}");
    close(marks[0].clip.energy_j.get(), 28.75);
    close(marks[0].frames_energy_j.get(), 28.75);
    close(marks[0].energy_share_j.get(), 9.375 + 7.5 + 4.375);
    close(marks[1].frames_energy_j.get(), 15.0);
    close(marks[1].energy_share_j.get(), 7.5);
    close(Some(marks[0].clip.measured_s), 2.5);
    close(Some(marks[1].frames_s), 1.0);
    let power = marks[0].clip.sensors["power_total_w"];
    assert_eq!((power.min, power.mean, power.max), (5.0, 10.0, 20.0));
    assert_eq!(marks[0].clip.sensors.get("throttle"), None);
}

#[test]
fn energy_without_a_sensor_is_a_reason() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    tree.remove("/sys/bus/i2c");
    let mut recorder = Recorder::new(&root(&tree), None, 64);
    for second in 0..3 {
        recorder.sample(f64::from(second));
    }
    let span = Span {
        from_s: 0.0,
        to_s: 2.0,
        columns: recorder.columns().into(),
        samples: recorder.since(0),
        throttle: Vec::new(),
        sampler_cpu_s: None,
    };
    let frame = FrameInterval {
        frame: 0,
        from_s: 0.0,
        to_s: 1.0,
    };
    let marks = clip_marks(&span, &[frame], &[(0, 1)]);
    assert_eq!(marks[0].energy_share_j.get(), None);
    assert!(
        marks[0]
            .energy_share_j
            .reason
            .as_ref()
            .unwrap()
            .contains("no power sensor")
    );
}

#[test]
fn a_clock_that_falls_under_load_is_an_event_at_its_second() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let states = [
        (1000, 95, 1020),
        (1000, 10, 306), // idle: slow because nothing is to do
        (1000, 95, 612), // one sample: the governor on its way up
        (1000, 95, 1020),
        (1000, 96, 1000), // 2 % below is not throttling
        (1000, 97, 612),  // second 5: it falls
        (1000, 97, 510),
        (1000, 97, 510),
        (1000, 97, 1020),
    ];
    let recorder = record(&tree, &states);
    let events = recorder.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].kind, ThrottleKind::ClockUnderLoad);
    assert_eq!((events[0].from_s, events[0].to_s), (5.0, 7.0));
    assert!(
        events[0].what.contains("of 1020 MHz under 97 % load"),
        "{events:?}"
    );
    let samples = recorder.since(0);
    let bits: Vec<f64> = samples
        .column(number(recorder.columns(), column::THROTTLE))
        .collect();
    assert_eq!(bits, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn over_current_and_heat_are_told_by_the_machine() {
    let tree = Tree::new(Board::AgxOrin, JetPack::Six);
    let mut recorder = Recorder::new(&root(&tree), None, 64);
    let alarm = format!("{}/curr1_crit_alarm", monitor_folder("1-0040"));
    for second in 0..9 {
        match second {
            2 => tree.set("/sys/class/hwmon/hwmon1/oc3_event_cnt", "9\n"),
            4 => tree.set(&alarm, "1\n"),
            5 => tree.set(&alarm, "0\n"),
            6 => tree.set("/sys/class/thermal/cooling_device2/cur_state", "1\n"),
            8 => tree.set("/sys/class/thermal/cooling_device2/cur_state", "0\n"),
            _ => {}
        }
        recorder.sample(f64::from(second));
    }
    let seen: Vec<_> = recorder
        .events()
        .iter()
        .map(|e| (e.kind, e.from_s, e.to_s, e.what.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (
                ThrottleKind::OverCurrent,
                2.0,
                2.0,
                "over-current oc3: 2 events"
            ),
            (
                ThrottleKind::OverCurrent,
                4.0,
                4.0,
                "VDD_GPU_SOC critical current alarm"
            ),
            (
                ThrottleKind::Heat,
                6.0,
                7.0,
                "cooling device gpu-throttle-alert is on"
            ),
        ]
    );
}

#[test]
fn a_file_that_breaks_while_it_is_watched_is_a_gap() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let mut recorder = Recorder::new(&root(&tree), None, 8);
    recorder.sample(0.0);
    tree.set(&tree.clock_file(), "");
    recorder.sample(1.0);
    tree.set(&tree.clock_file(), "510000000\n");
    recorder.sample(2.0);
    let clock = number(recorder.columns(), column::GPU_CLOCK);
    let clocks: Vec<f64> = recorder.since(0).column(clock).collect();
    assert_eq!(clocks, [1020.0, 510.0]);
    let reasons: BTreeMap<&str, &str> = recorder.missing().collect();
    assert!(
        reasons["gpu_clock_mhz"].contains("no number"),
        "{reasons:?}"
    );
}

#[test]
fn the_background_samples_and_says_what_it_takes() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let telemetry = Telemetry::start(&TelemetryOptions {
        hz: 10,
        root: root(&tree),
        gpu: None,
    })
    .unwrap();
    let mark = telemetry.mark();
    while telemetry.samples_since(0).len() < 6 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let span = telemetry.since(&mark);
    // The start's and the mark's, four of the thread's, and that of the end.
    assert!(span.samples.len() >= 6, "{}", span.samples.len());
    assert!(span.samples.times_s.is_sorted());
    assert_eq!(span.samples.times_s.first(), Some(&span.from_s));
    assert_eq!(span.samples.times_s.last(), Some(&span.to_s));
    assert!(span.sampler_cpu_s.unwrap() >= 0.0 && telemetry.cpu_s() > 0.0);
    // A constant 5 W over the whole span.
    let joules = span.samples.integrals(
        number(&span.columns, column::POWER),
        &[(span.from_s, span.to_s)],
    );
    let expected = 5.0 * (span.to_s - span.from_s);
    assert!((joules.unwrap()[0] - expected).abs() < 1e-9);
}

/// What docs/extending.md says of a new sensor: its columns, sources, reasons and statistics follow from it.
#[test]
fn a_sensor_is_all_that_a_new_column_takes() {
    #[derive(Debug)]
    struct Dice(f64);
    impl Sensor for Dice {
        fn columns(&self) -> Vec<Column> {
            vec![
                Column::new("dice_dots", "a die"),
                Column::new("lost_dots", ""),
            ]
        }
        fn read(&mut self, told: &mut Told) -> Vec<Value> {
            self.0 += 1.0;
            told.push((ThrottleKind::Heat, "hot dice".to_owned()));
            vec![Ok(self.0), Err("under the table".to_owned())]
        }
    }
    let find: Find = |_| Some(Box::new(Dice(0.0)));
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let telemetry = Telemetry::of(Sensors::of(&[find], &root(&tree), None), 1).unwrap();
    let mark = telemetry.mark();
    let span = telemetry.since(&mark);
    let record = telemetry.record();
    let names: Vec<&str> = record.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["dice_dots", "lost_dots", "throttle"]);
    assert_eq!(record.columns[0].source, "a die");
    assert_eq!(record.missing["lost_dots"], "under the table");
    let frame = FrameInterval {
        frame: 0,
        from_s: span.from_s,
        to_s: span.to_s,
    };
    let marks = clip_marks(&span, &[frame], &[(0, 1)]);
    let sensors = &marks[0].clip.sensors;
    assert_eq!(
        sensors.len(),
        1,
        "a column without a value has no statistics"
    );
    assert!(sensors["dice_dots"].max > sensors["dice_dots"].min);
    assert_eq!(marks[0].clip.throttle[0].what, "hot dice");
    assert!(marks[0].energy_share_j.value.is_none());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("telemetry.csv");
    TelemetryLog::create(&path, telemetry.into())
        .unwrap()
        .write()
        .unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("unix_s,t_s,dice_dots,lost_dots,throttle")
    );
    assert!(lines.next().unwrap().ends_with(",1,,heat"), "{text}");
}
