//! Memory of the system: how much, in how large pieces, and whether swap is in use.

use super::board::is_jetson;
use super::{Check, Section};
use crate::figures::stats::bytes;
use crate::machine::{Environment, SystemMemory, SystemRoot};

const HERE: Section = Section::Memory;

/// Less than this is short for building engines on an 8 GB board.
const ENOUGH: u64 = 2 << 30;
/// Less than this is short for the smallest model.
const LEAST: u64 = 256 << 20;
/// Size of blocks that count as contiguous: a large page.
const BLOCK: u64 = 2 << 20;

pub(super) fn checks(root: &SystemRoot) -> Vec<Check> {
    let jetson = is_jetson(&Environment::read(root));
    vec![
        available(root, jetson),
        contiguous(root, jetson),
        swap(root, jetson),
    ]
}

fn available(root: &SystemRoot, jetson: bool) -> Check {
    const NAME: &str = "available";
    let memory = SystemMemory::read(root);
    let (free, total) = match (memory.available_bytes.get(), memory.total_bytes.get()) {
        (Some(free), Some(total)) => (free, total),
        _ => {
            let reason = memory.available_bytes.reason.or(memory.total_bytes.reason);
            return Check::not_checked(HERE, NAME, reason.unwrap_or_default());
        }
    };
    let shared = match jetson {
        true => ", shared by CPU and GPU",
        false => "",
    };
    let found = format!("{} of {}{shared}", bytes(free), bytes(total));
    let fix = match jetson {
        true => "sudo systemctl isolate multi-user.target",
        false => "ps -eo pid,rss,comm --sort=-rss | head",
    };
    match free {
        free if free < LEAST => Check::failure(HERE, NAME, found, fix),
        free if free < ENOUGH => Check::warning(
            HERE,
            NAME,
            format!("{found}: engines that are built now may skip fast tactics for lack of it"),
            fix,
        ),
        _ => Check::ok(HERE, NAME, found),
    }
}

/// Free bytes in blocks of at least [`BLOCK`], and the size of the largest kind of block.
fn free_blocks(text: &str, page: u64) -> Option<(u64, u64)> {
    let (mut sum, mut largest, mut lines) = (0, 0, 0);
    for line in text.lines() {
        // Node 0, zone   Normal    604    664 …: blocks of 1, 2, 4, … pages
        let (_, rest) = line.split_once("zone")?;
        lines += 1;
        for (order, word) in rest.split_whitespace().skip(1).enumerate() {
            let count: u64 = word.parse().ok()?;
            let size = page.checked_shl(u32::try_from(order).ok()?)?;
            if count > 0 {
                largest = largest.max(size);
                if size >= BLOCK {
                    sum += count * size;
                }
            }
        }
    }
    (lines > 0).then_some((sum, largest))
}

fn contiguous(root: &SystemRoot, jetson: bool) -> Check {
    const NAME: &str = "contiguous";
    const PLACE: &str = "/proc/buddyinfo";
    let page = match root.is_real() {
        true => rustix::param::page_size() as u64,
        false => 4096,
    };
    let text = match root.read(PLACE) {
        Ok(text) => text,
        Err(reason) => return Check::not_checked(HERE, NAME, reason),
    };
    let Some((free, largest)) = free_blocks(&text, page) else {
        let reason = format!("{PLACE} has another form than expected");
        return Check::not_checked(HERE, NAME, reason);
    };
    let found = format!(
        "{} free in blocks of {} and more, the largest {}",
        bytes(free),
        bytes(BLOCK),
        bytes(largest)
    );
    let available = SystemMemory::read(root).available_bytes.get();
    // The page cache holds memory that is not in free blocks: little alone is not a sign.
    let fragmented = jetson && free < (512 << 20) && available.is_some_and(|all| all > (1 << 30));
    match fragmented {
        true => Check::warning(
            HERE,
            NAME,
            format!(
                "{found}: memory is fragmented, and GPU allocations may fail although there is enough"
            ),
            "sudo sh -c 'sync; echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory'",
        ),
        false => Check::ok(HERE, NAME, found),
    }
}

fn swap(root: &SystemRoot, jetson: bool) -> Check {
    const NAME: &str = "swap";
    const PLACE: &str = "/proc/swaps";
    let text = match root.read(PLACE) {
        Ok(text) => text,
        Err(reason) => return Check::not_checked(HERE, NAME, reason),
    };
    let mut areas = Vec::new();
    let (mut size, mut used) = (0_u64, 0_u64);
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, all, in_use, ..] = words.as_slice() else {
            continue;
        };
        areas.push(name.rsplit('/').next().unwrap_or(name).to_owned());
        size += all.parse::<u64>().unwrap_or(0) * 1024;
        used += in_use.parse::<u64>().unwrap_or(0) * 1024;
    }
    if areas.is_empty() {
        return Check::ok(HERE, NAME, "none");
    }
    let zram = match areas.iter().any(|area| area.starts_with("zram")) && jetson {
        true => "; GPU memory cannot be swapped",
        false => "",
    };
    let found = format!(
        "{} of {} in use ({}){zram}",
        bytes(used),
        bytes(size),
        areas.join(", ")
    );
    match used > (256 << 20) {
        true => Check::warning(
            HERE,
            NAME,
            format!("{found}: pages that come back during a run cost time"),
            "sudo swapoff -a && sudo swapon -a",
        ),
        false => Check::ok(HERE, NAME, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_summed_from_two_mebibytes_on() {
        let text = "Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3 \n\
                    Node 0, zone   Normal    604    664   2928   3038    622    303    246    164    120     94     77 \n";
        // Orders 9 and 10: 95 x 2 MiB + 80 x 4 MiB.
        assert_eq!(free_blocks(text, 4096), Some((510 << 20, 4 << 20)));
        // Pages of 64 KiB: order 5 on.
        let (sum, largest) = free_blocks("Node 0, zone Normal 9 9 9 9 9 2 1\n", 65_536).unwrap();
        assert_eq!((sum, largest), (8 << 20, 4 << 20));
        assert_eq!(free_blocks("nonsense", 4096), None);
        assert_eq!(free_blocks("", 4096), None);
    }
}
