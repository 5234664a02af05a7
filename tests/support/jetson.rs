//! Trees that stand in for `/` on Jetson boards: what their kernels show in `/proc`, `/sys` and
//! `/etc`, as far as masklet reads it, with the quirks that users have reported.
//!
//! Written from the layouts that NVIDIA's and the kernel's documentation and jetson_stats describe,
//! not dumped from boards; values are made up.
#![allow(dead_code)] // every test takes its own part

use std::fs;
use std::path::{Path, PathBuf};

/// A board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    OrinNano,
    OrinNx,
    AgxOrin,
}

/// A JetPack's major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JetPack {
    Five,
    Six,
    Seven,
}

pub const BOARDS: [Board; 3] = [Board::OrinNano, Board::OrinNx, Board::AgxOrin];
pub const JETPACKS: [JetPack; 3] = [JetPack::Five, JetPack::Six, JetPack::Seven];

/// A tree that can be changed while something reads it.
#[derive(Debug)]
pub struct Tree {
    dir: tempfile::TempDir,
    pub board: Board,
    pub jetpack: JetPack,
}

/// Rails of a board: monitor, channel, label, millivolts, milliamperes.
pub fn rails(board: Board) -> &'static [(&'static str, u32, &'static str, u32, u32)] {
    match board {
        // 5 W + 1.5 W + 1 W: VDD_IN is the whole.
        Board::OrinNano | Board::OrinNx => &[
            ("1-0040", 1, "VDD_IN", 5000, 1000),
            ("1-0040", 2, "VDD_CPU_GPU_CV", 5000, 300),
            ("1-0040", 3, "VDD_SOC", 5000, 200),
        ],
        // 8 W + 2 W + 4 W + 1 W; no rail for the whole.
        Board::AgxOrin => &[
            ("1-0040", 1, "VDD_GPU_SOC", 20000, 400),
            ("1-0040", 2, "VDD_CPU_CV", 20000, 100),
            ("1-0040", 3, "VIN_SYS_5V0", 5000, 800),
            ("1-0041", 1, "NC", 0, 0),
            ("1-0041", 2, "VDDQ_VDD2_1V8AO", 5000, 200),
            ("1-0041", 3, "NC", 0, 0),
        ],
    }
}

/// What [`rails`] add up to, in watts.
pub fn watts(board: Board) -> f64 {
    match board {
        Board::OrinNano | Board::OrinNx => 5.0,
        Board::AgxOrin => 15.0,
    }
}

impl Tree {
    /// A healthy board that is busy with its clocks up.
    pub fn new(board: Board, jetpack: JetPack) -> Self {
        let tree = Self {
            dir: tempfile::tempdir().unwrap(),
            board,
            jetpack,
        };
        tree.identity();
        tree.memory();
        tree.gpu();
        tree.power();
        tree.heat();
        tree.modes();
        tree
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, system_path: &str) -> PathBuf {
        self.path().join(system_path.trim_start_matches('/'))
    }

    /// Writes a file in place, so that whoever holds it open sees the new text.
    pub fn set(&self, system_path: &str, text: &str) {
        let path = self.file(system_path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn remove(&self, system_path: &str) {
        let path = self.file(system_path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Name of the GPU's device.
    pub fn gpu_name(&self) -> &'static str {
        match self.jetpack {
            JetPack::Five => "17000000.ga10b",
            JetPack::Six | JetPack::Seven => "17000000.gpu",
        }
    }

    pub fn load_file(&self) -> String {
        match self.jetpack {
            JetPack::Five => "/sys/devices/gpu.0/load".to_owned(),
            JetPack::Six => format!("/sys/devices/platform/{}/load", self.gpu_name()),
            JetPack::Seven => format!("/sys/devices/platform/bus@0/{}/load", self.gpu_name()),
        }
    }

    pub fn clock_file(&self) -> String {
        format!("/sys/class/devfreq/{}/cur_freq", self.gpu_name())
    }

    /// The highest GPU clock in MHz.
    pub fn top_mhz(&self) -> u32 {
        match self.board {
            Board::OrinNano => 1020,
            Board::OrinNx => 918,
            Board::AgxOrin => 1300,
        }
    }

    pub fn set_gpu(&self, load_percent: u32, mhz: u32) {
        self.set(&self.load_file(), &format!("{}\n", load_percent * 10));
        self.set(
            &self.clock_file(),
            &format!("{}\n", u64::from(mhz) * 1_000_000),
        );
    }

    /// The current of the rail that is (the largest part of) the whole.
    pub fn set_milliamperes(&self, milliamperes: u32) {
        let folder = monitor_folder("1-0040");
        self.set(
            &format!("{folder}/curr1_input"),
            &format!("{milliamperes}\n"),
        );
    }

    fn identity(&self) {
        let model = match self.board {
            Board::OrinNano => "NVIDIA Jetson Orin Nano Developer Kit",
            Board::OrinNx => "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
            Board::AgxOrin => "NVIDIA Jetson AGX Orin Developer Kit",
        };
        self.set("/proc/device-tree/model", &format!("{model}\0"));
        let (release, revision, os, kernel) = match self.jetpack {
            JetPack::Five => ("35", "6.0", "Ubuntu 20.04.6 LTS", "5.10.216-tegra"),
            JetPack::Six => ("36", "4.3", "Ubuntu 22.04.5 LTS", "5.15.148-tegra"),
            JetPack::Seven => ("38", "2.0", "Ubuntu 24.04.3 LTS", "6.8.12-tegra"),
        };
        self.set(
            "/etc/nv_tegra_release",
            &format!(
                "# R{release} (release), REVISION: {revision}, GCID: 1, BOARD: generic, EABI: \
                 aarch64, DATE: x\n"
            ),
        );
        self.set("/etc/os-release", &format!("PRETTY_NAME=\"{os}\"\n"));
        self.set("/proc/sys/kernel/osrelease", &format!("{kernel}\n"));
        self.set("/proc/uptime", "3600.00 9000.00\n");
        self.set(
            "/proc/cpuinfo",
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n",
        );
    }

    /// 8 GiB in all, 6 GiB of it free.
    fn memory(&self) {
        self.set(
            "/proc/meminfo",
            "MemTotal:        8388608 kB\nMemFree:         6000000 kB\nMemAvailable:    6291456 kB\n\
             SwapTotal:       4194304 kB\nSwapFree:        4194304 kB\n",
        );
        self.set(
            "/proc/self/status",
            "Name:\tmasklet\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n",
        );
        self.set(
            "/proc/self/smaps_rollup",
            "Rss: 102400 kB\nPss:   51200 kB\n",
        );
        self.set(
            "/proc/buddyinfo",
            "Node 0, zone      DMA    100    100    100    100    100    100    100    100    100    100    300\n\
             Node 0, zone   Normal   1000   1000   1000   1000   1000   1000   1000   1000    500    400    900\n",
        );
        self.set(
            "/proc/swaps",
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/zram0                              partition\t4194304\t\t0\t\t5\n",
        );
        self.set(
            "/sys/kernel/debug/nvmap/iovmm/clients",
            &format!(
                "CLIENT                        PROCESS      PID        SIZE\n\
                 user                       gnome-shell     1810      20480K\n\
                 user                           masklet {:8}     204800K\n\
                 total                                            225280K\n",
                std::process::id()
            ),
        );
    }

    fn gpu(&self) {
        let top = u64::from(self.top_mhz()) * 1_000_000;
        let folder = format!("/sys/class/devfreq/{}", self.gpu_name());
        self.set(&format!("{folder}/min_freq"), "306000000\n");
        self.set(&format!("{folder}/max_freq"), &format!("{top}\n"));
        self.set(&format!("{folder}/governor"), "nvhost_podgov\n");
        self.set_gpu(95, self.top_mhz());
        // What else has a devfreq entry and is not a GPU.
        for other in ["15340000.vic", "15480000.nvdec"] {
            self.set(
                &format!("/sys/class/devfreq/{other}/cur_freq"),
                "115200000\n",
            );
        }
        self.set("/sys/kernel/debug/bpmp/debug/clk/emc/rate", "3199000000\n");
    }

    fn power(&self) {
        for device in ["1-0040", "1-0041"] {
            let wanted = rails(self.board).iter().filter(|rail| rail.0 == device);
            for (_, channel, label, millivolts, milliamperes) in wanted {
                let folder = monitor_folder(device);
                self.set(&format!("/sys/bus/i2c/devices/{device}/name"), "ina3221\n");
                self.set(&format!("{folder}/name"), "ina3221\n");
                self.set(
                    &format!("{folder}/in{channel}_label"),
                    &format!("{label}\n"),
                );
                self.set(
                    &format!("{folder}/in{channel}_input"),
                    &format!("{millivolts}\n"),
                );
                self.set(
                    &format!("{folder}/curr{channel}_input"),
                    &format!("{milliamperes}\n"),
                );
                for alarm in ["crit_alarm", "max_alarm"] {
                    self.set(&format!("{folder}/curr{channel}_{alarm}"), "0\n");
                }
                self.set(&format!("{folder}/in7_label"), "sum of shunt voltages\n");
                self.set(&format!("{folder}/in7_input"), "999\n");
            }
        }
        self.set("/sys/class/hwmon/hwmon1/name", "soctherm_oc\n");
        self.set("/sys/class/hwmon/hwmon1/oc1_event_cnt", "0\n");
        self.set("/sys/class/hwmon/hwmon1/oc3_event_cnt", "7\n");
    }

    fn heat(&self) {
        let ending = match self.jetpack {
            JetPack::Five => "therm",
            JetPack::Six | JetPack::Seven => "thermal",
        };
        let upper = self.jetpack == JetPack::Five;
        for (zone, (name, millidegrees)) in [
            ("cpu", "48500"),
            ("gpu", "47250"),
            // An engine that is switched off.
            ("cv0", "-256000"),
            ("soc0", "46000"),
            ("tj", "51750"),
        ]
        .into_iter()
        .enumerate()
        {
            let name = if upper && name != "tj" {
                name.to_uppercase()
            } else {
                name.to_owned()
            };
            let folder = format!("/sys/class/thermal/thermal_zone{zone}");
            self.set(&format!("{folder}/type"), &format!("{name}-{ending}\n"));
            self.set(&format!("{folder}/temp"), &format!("{millidegrees}\n"));
        }
        for (number, kind, state) in [
            (0, "pwm-fan", 2),
            (1, "cpu-throttle-alert", 0),
            (2, "gpu-throttle-alert", 0),
        ] {
            let folder = format!("/sys/class/thermal/cooling_device{number}");
            self.set(&format!("{folder}/type"), &format!("{kind}\n"));
            self.set(&format!("{folder}/cur_state"), &format!("{state}\n"));
        }
    }

    fn modes(&self) {
        let modes = match (self.board, self.jetpack) {
            (Board::OrinNano, JetPack::Five) => [("0", "15W"), ("1", "7W"), ("2", "7W_AI")],
            (Board::OrinNano, _) => [("0", "15W"), ("1", "25W"), ("2", "MAXN_SUPER")],
            (Board::OrinNx, _) => [("0", "MAXN"), ("1", "10W"), ("2", "15W")],
            (Board::AgxOrin, _) => [("0", "MAXN"), ("1", "15W"), ("2", "30W")],
        };
        let mut conf = String::from("# NVIDIA's file has comments\n< PARAM TYPE=FILE NAME=CPU >\n");
        for (id, name) in modes {
            conf += &format!("< POWER_MODEL ID={id} NAME={name} >\nCPU_ONLINE CORE_0 1\n");
        }
        self.set("/etc/nvpmodel.conf", &conf);
        self.set("/var/lib/nvpmodel/status", "pmode:0000 fmode:fanNull\n");
        for core in 0..2 {
            let folder = format!("/sys/devices/system/cpu/cpu{core}/cpufreq");
            self.set(&format!("{folder}/scaling_min_freq"), "729600\n");
            self.set(&format!("{folder}/scaling_max_freq"), "1510400\n");
        }
    }

    /// What `jetson_clocks` does.
    pub fn fix_clocks(&self) {
        let top = u64::from(self.top_mhz()) * 1_000_000;
        let folder = format!("/sys/class/devfreq/{}", self.gpu_name());
        self.set(&format!("{folder}/min_freq"), &format!("{top}\n"));
        for core in 0..2 {
            let folder = format!("/sys/devices/system/cpu/cpu{core}/cpufreq");
            self.set(&format!("{folder}/scaling_min_freq"), "1510400\n");
        }
    }

    /// The layout of power monitors before hwmon: one of them, in milliwatts.
    pub fn older_power(&self) {
        self.remove("/sys/bus/i2c/devices/1-0040");
        let device = "/sys/bus/i2c/devices/1-0040";
        self.set(&format!("{device}/name"), "ina3221x\n");
        let rails = [("POM_5V_IN", "6400"), ("POM_5V_GPU", "1200"), ("NC", "0")];
        for (channel, (label, milliwatts)) in rails.into_iter().enumerate() {
            let folder = format!("{device}/iio:device0");
            self.set(
                &format!("{folder}/rail_name_{channel}"),
                &format!("{label}\n"),
            );
            self.set(
                &format!("{folder}/in_power{channel}_input"),
                &format!("{milliwatts}\n"),
            );
        }
    }

    /// A second devfreq entry for a GPU, before the real one and without a load of its own.
    pub fn second_gpu(&self) {
        let folder = "/sys/class/devfreq/10000000.gpu";
        self.set(&format!("{folder}/cur_freq"), "114750000\n");
        self.set(&format!("{folder}/min_freq"), "114750000\n");
        self.set(&format!("{folder}/max_freq"), "114750000\n");
        let own = format!("/sys/class/devfreq/{}/device/load", self.gpu_name());
        self.set(&own, "950\n");
    }
}

/// Where a monitor's channels are.
pub fn monitor_folder(device: &str) -> String {
    let number = if device == "1-0040" { 3 } else { 4 };
    format!("/sys/bus/i2c/devices/{device}/hwmon/hwmon{number}")
}
