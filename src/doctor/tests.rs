//! What the doctor says of boards that are set up badly, and of boards that are not.

use super::*;
use crate::jetson::{BOARDS, Board, JETPACKS, JetPack, Tree};

fn look(tree: &Tree) -> DoctorReport {
    examine(&DoctorOptions {
        root: SystemRoot::at(tree.path()),
        engines: Some(tree.path().join("engines")),
        out_dir: tree.path().join("runs"),
        ..DoctorOptions::default()
    })
}

fn line<'r>(report: &'r DoctorReport, name: &str) -> &'r Check {
    let found = report.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no line '{name}' in {report:#?}"))
}

fn expect(report: &DoctorReport, name: &str, outcome: Outcome, found: &str, fix: Option<&str>) {
    let check = line(report, name);
    assert_eq!(check.outcome, outcome, "{check:?}");
    assert!(check.found.contains(found), "{check:?}");
    match (fix, &check.fix) {
        (None, None) => {}
        (Some(fix), Some(given)) if given.contains(fix) => {}
        _ => panic!("{check:?}, expected {fix:?}"),
    }
}

#[test]
fn a_board_in_its_fastest_mode_with_fixed_clocks_is_fine() {
    for board in BOARDS {
        for jetpack in JETPACKS {
            let tree = Tree::new(board, jetpack);
            tree.fix_clocks();
            if (board, jetpack) != (Board::OrinNano, JetPack::Five) && board == Board::OrinNano {
                tree.set("/var/lib/nvpmodel/status", "pmode:0002 fmode:fanNull\n");
            }
            let report = look(&tree);
            let place = format!("{board:?} {jetpack:?}: {report:#?}");
            assert!(report.stand_in);
            for name in [
                "machine",
                "power mode",
                "clocks",
                "available",
                "contiguous",
                "swap",
            ] {
                assert_eq!(
                    line(&report, name).outcome,
                    Outcome::Ok,
                    "{name} of {place}"
                );
            }
            let release = line(&report, "L4T release").outcome;
            match jetpack {
                JetPack::Five => assert_eq!(release, Outcome::Failure, "{place}"),
                _ => assert_eq!(release, Outcome::Ok, "{place}"),
            }
            // The tree's own list of GPU clients: the desktop's 20 MiB do not matter.
            expect(
                &report,
                "other GPU programs",
                Outcome::Ok,
                "gnome-shell (pid 1810)",
                None,
            );
            // This machine's driver is not asked about a board that is not there.
            assert_eq!(line(&report, "CUDA driver").outcome, Outcome::NotChecked);
            assert_eq!(
                report.failures,
                usize::from(jetpack == JetPack::Five),
                "{place}"
            );
        }
    }
}

#[test]
fn a_board_as_it_comes_out_of_the_box_gets_its_commands() {
    use Outcome::{Ok, Warning};
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let report = look(&tree);
    let mode = "MAXN_SUPER (mode 2) is the fastest";
    expect(
        &report,
        "power mode",
        Warning,
        mode,
        Some("sudo nvpmodel -m 2"),
    );
    expect(
        &report,
        "clocks",
        Warning,
        "follow the load",
        Some("sudo jetson_clocks"),
    );
    expect(
        &report,
        "engines",
        Warning,
        "none in",
        Some("masklet build"),
    );
    expect(&report, "L4T release", Ok, "36.4.3 (JetPack 6)", None);
    let tree = Tree::new(Board::OrinNano, JetPack::Five);
    tree.set("/var/lib/nvpmodel/status", "pmode:0001\n");
    // Without a mode called MAXN the most watts win.
    expect(
        &look(&tree),
        "power mode",
        Warning,
        "15W (mode 0)",
        Some("nvpmodel -m 0"),
    );
}

#[test]
fn the_release_that_refuses_large_allocations_is_named() {
    let tree = Tree::new(Board::OrinNx, JetPack::Six);
    for (revision, outcome) in [
        ("4.4", Outcome::Ok),
        ("4.7", Outcome::Warning),
        ("5.0", Outcome::Warning),
        ("3.0", Outcome::Failure),
    ] {
        let text = format!("# R36 (release), REVISION: {revision}, GCID: 1\n");
        tree.set("/etc/nv_tegra_release", &text);
        let report = look(&tree);
        let check = line(&report, "L4T release");
        assert_eq!(check.outcome, outcome, "{check:?}");
        if outcome == Outcome::Warning {
            assert!(
                check.found.contains("NvMapMemAllocInternalTagged"),
                "{check:?}"
            );
        }
    }
}

#[test]
fn short_and_fragmented_memory_and_swap_in_use() {
    use Outcome::{Failure, Warning};
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    tree.set(
        "/proc/buddyinfo",
        "Node 0, zone Normal 90000 80000 70000 60000 50000 4000 300 20 10 2 0\n",
    );
    tree.set(
        "/proc/swaps",
        "Filename Type Size Used Priority\n/dev/zram0 partition 4194304 1048576 5\n",
    );
    let report = look(&tree);
    expect(
        &report,
        "contiguous",
        Warning,
        "fragmented",
        Some("compact_memory"),
    );
    expect(
        &report,
        "swap",
        Warning,
        "1.00 GiB of 4.00 GiB in use (zram0)",
        Some("swapoff"),
    );
    for (kilobytes, outcome) in [(1_500_000, Warning), (200_000, Failure)] {
        tree.set(
            "/proc/meminfo",
            &format!("MemTotal: 8388608 kB\nMemAvailable: {kilobytes} kB\n"),
        );
        let report = look(&tree);
        expect(
            &report,
            "available",
            outcome,
            "of 8.00 GiB",
            Some("multi-user.target"),
        );
    }
}

#[test]
fn another_program_on_the_gpu_is_told_and_closed_debugfs_is_not_alarming() {
    let tree = Tree::new(Board::AgxOrin, JetPack::Six);
    tree.set(
        "/sys/kernel/debug/nvmap/iovmm/clients",
        "CLIENT PROCESS PID SIZE\nuser python3 4321 2097152K\nuser python3 4321 1048576K\n\
         total 3145728K\n",
    );
    expect(
        &look(&tree),
        "other GPU programs",
        Outcome::Warning,
        "1 hold 3.00 GiB: python3 (pid 4321)",
        Some("kill 4321"),
    );
    tree.remove("/sys/kernel/debug");
    let report = look(&tree);
    expect(
        &report,
        "other GPU programs",
        Outcome::NotChecked,
        "as root",
        None,
    );
    assert_eq!(report.failures, 0);
}

#[test]
fn a_machine_without_gpu_is_not_alarmed() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    for path in [
        "/etc/nv_tegra_release",
        "/proc/device-tree",
        "/sys",
        "/var/lib/nvpmodel",
    ] {
        tree.remove(path);
    }
    let report = look(&tree);
    // The disk is this machine's.
    let told = report.checks.iter().filter(|check| check.name != "disk");
    let told = told.filter(|check| matches!(check.outcome, Outcome::Warning | Outcome::Failure));
    assert_eq!(told.count(), 0, "{report:#?}");
    let found = &line(&report, "hardware").found;
    assert_eq!(found, "not there; the CPU backend will be used");
    assert!(report.checks.iter().all(|check| check.name != "power mode"));
    let ffmpeg = line(&report, "ffmpeg");
    match ffmpeg.outcome {
        Outcome::Ok => assert!(ffmpeg.found.ends_with("/ffmpeg"), "{ffmpeg:?}"),
        _ => assert!(
            ffmpeg.found.contains("apt-get install ffmpeg"),
            "{ffmpeg:?}"
        ),
    }
    // A card on the bus is seen whatever its driver does.
    tree.set("/sys/bus/pci/devices/0000:65:00.0/vendor", "0x10de\n");
    tree.set("/sys/bus/pci/devices/0000:65:00.0/class", "0x030200\n");
    expect(
        &look(&tree),
        "hardware",
        Outcome::Ok,
        "one NVIDIA GPU",
        None,
    );
}

#[test]
fn the_text_is_as_wide_as_asked_and_keeps_commands_whole() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    tree.set(
        "/etc/nv_tegra_release",
        "# R36 (release), REVISION: 4.7, GCID: 1\n",
    );
    let text = look(&tree).render(100, false);
    for line in text
        .lines()
        .filter(|line| !line.contains("-> ") && !line.contains("/"))
    {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.contains("-> sudo nvpmodel -m 2\n"), "{text}");
    assert!(text.contains("STAND-IN"), "{text}");
    assert!(!text.contains('\u{1b}') && look(&tree).render(100, true).contains("\u{1b}[33m"));
}
