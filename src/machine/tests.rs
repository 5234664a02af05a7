//! Stand-in trees, damaged sensors, and the real machine.

use std::fs;

use tempfile::TempDir;

use super::*;

fn tree(files: &[(&str, &str)]) -> (TempDir, SystemRoot) {
    let dir = TempDir::new().unwrap();
    let root = SystemRoot::at(dir.path());
    for (path, text) in files {
        let path = root.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (dir, root)
}

#[test]
fn memory_of_a_stand_in_tree() {
    let (_dir, root) = tree(&[
        (
            "/proc/self/status",
            "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n",
        ),
        (
            "/proc/self/smaps_rollup",
            "55-7f ---p 0 00:00 0 [rollup]\nRss: 1024 kB\nPss:   512 kB\nPss_Anon: 1 kB\n",
        ),
        (
            "/proc/meminfo",
            "MemTotal:       8000000 kB\nMemFree: 5 kB\nMemAvailable:    4000000 kB\n",
        ),
    ]);
    let seen = MemorySnapshot::read(&root);
    assert_eq!(seen.process.rss_bytes, Reading::of(1024 * 1024));
    assert_eq!(seen.process.peak_rss_bytes, Reading::of(2048 * 1024));
    assert_eq!(seen.process.pss_bytes, Reading::of(512 * 1024));
    assert_eq!(seen.system.available_bytes, Reading::of(4_096_000_000));
    assert_eq!(seen.system.total_bytes, Reading::of(8_192_000_000));
}

#[test]
fn a_missing_sensor_is_a_reason_and_not_a_zero() {
    let (_dir, root) = tree(&[
        ("/proc/self/status", "VmRSS: many kB\n"),
        ("/proc/meminfo", "MemTotal: 10 kB\n"),
    ]);
    let seen = MemorySnapshot::read(&root);
    let reason = |reading: &Reading<u64>| {
        assert_eq!(reading.value, None);
        reading.reason.clone().unwrap()
    };
    assert!(reason(&seen.process.rss_bytes).contains("VmRSS is not a number of kB"));
    assert!(reason(&seen.process.peak_rss_bytes).contains("no line VmHWM"));
    assert!(reason(&seen.process.pss_bytes).contains("smaps_rollup does not exist"));
    assert!(reason(&seen.system.available_bytes).contains("no line MemAvailable"));
    let json = serde_json::to_value(&seen.process.pss_bytes).unwrap();
    assert!(json["value"].is_null() && json["reason"].is_string());
}

#[test]
fn the_machine_itself_can_be_read() {
    let root = SystemRoot::real();
    let process = ProcessMemory::read(&root);
    let rss = process.rss_bytes.get().unwrap();
    assert!(rss > 100_000 && process.peak_rss_bytes.get().unwrap() >= rss / 2);
    let environment = Environment::read(&root);
    assert!(environment.kernel.get_text().contains('.'));
    assert!(environment.cores.get().unwrap() >= 1);
}

impl Reading<String> {
    fn get_text(&self) -> &str {
        self.value.as_deref().unwrap_or("")
    }
}

#[test]
fn environment_of_an_orin() {
    let (_dir, root) = tree(&[
        (
            "/etc/nv_tegra_release",
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
        ),
        (
            "/proc/device-tree/model",
            "NVIDIA Jetson Orin Nano Developer Kit\0",
        ),
        (
            "/proc/cpuinfo",
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n",
        ),
        (
            "/etc/os-release",
            "NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\n",
        ),
        ("/proc/sys/kernel/osrelease", "5.15.148-tegra\n"),
        ("/proc/uptime", "123.45 400.0\n"),
    ]);
    let seen = Environment::read(&root);
    assert_eq!(seen.l4t_release.get_text(), "36.4.3");
    assert_eq!(
        seen.jetson_model.get_text(),
        "NVIDIA Jetson Orin Nano Developer Kit"
    );
    assert_eq!(seen.cpu_model.get_text(), "ARM Cortex-A78AE");
    assert_eq!(seen.os.get_text(), "Ubuntu 22.04.5 LTS");
    assert_eq!(seen.kernel.get_text(), "5.15.148-tegra");
    assert_eq!(seen.uptime_s.get(), Some(123.45));
    assert_eq!(seen.memory_total_bytes.value, None);
    let json = serde_json::to_string(&seen).unwrap();
    assert!(!json.to_lowercase().contains("hostname"));
    let back: Environment = serde_json::from_str(&json).unwrap();
    assert_eq!(back, seen);
}

#[test]
fn environment_of_another_machine() {
    let (_dir, root) = tree(&[
        ("/etc/nv_tegra_release", "something else"),
        ("/proc/device-tree/model", "Raspberry Pi 5\0"),
        (
            "/proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Imagined CPU @ 2 GHz\n",
        ),
        ("/proc/uptime", "soon"),
    ]);
    let seen = Environment::read(&root);
    assert!(seen.l4t_release.reason.unwrap().contains("another form"));
    assert!(seen.jetson_model.reason.unwrap().contains("no Jetson"));
    assert_eq!(seen.cpu_model.get_text(), "Imagined CPU @ 2 GHz");
    assert!(seen.uptime_s.reason.unwrap().contains("not a number"));
    assert!(seen.os.reason.unwrap().contains("does not exist"));
}

#[test]
fn the_sampler_sees_a_peak_that_two_readings_miss() {
    let mut sampler = MemorySampler::start(SystemRoot::real(), None).unwrap();
    sampler.mark();
    let before = ProcessMemory::rss(&SystemRoot::real()).get().unwrap();
    let block = 64 << 20;
    let data = vec![1_u8; block];
    let sum: u64 = data.iter().step_by(4096).map(|b| u64::from(*b)).sum();
    assert_eq!(sum, (block / 4096) as u64);
    let taken = || {
        let samples = sampler.telemetry.samples_since(0);
        samples.lost + samples.len() as u64
    };
    let before_thread = taken();
    // Two beats: the first may have been in progress when the memory was touched.
    while taken() < before_thread + 2 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(data);
    let peak = sampler.peak();
    assert!(peak.peak_rss_bytes.get().unwrap() >= before + block as u64 / 2);
    assert!(peak.samples >= 2, "{} samples", peak.samples);
    assert!(peak.min_available_bytes.get().unwrap() > 0);
}

#[test]
fn the_sampler_of_a_tree_without_sensors_says_why() {
    let (_dir, root) = tree(&[]);
    let sampler = MemorySampler::start(root, None).unwrap();
    let peak = sampler.peak();
    assert_eq!(peak.peak_rss_bytes.value, None);
    assert!(
        peak.peak_rss_bytes
            .reason
            .unwrap()
            .contains("/proc/self/status does not exist")
    );
    assert!(!peak.exact);
}

#[test]
fn what_is_missing_is_known_from_the_start() {
    let (_dir, root) = tree(&[]);
    let telemetry = Telemetry::start(&TelemetryOptions {
        root,
        gpu: None,
        hz: 1,
    })
    .unwrap();
    let missing = telemetry.record().missing;
    assert!(missing["power_total_w"].contains("no power monitor"));
    assert!(
        missing["gpu_load_percent"].contains("no GPU"),
        "{missing:?}"
    );
}
