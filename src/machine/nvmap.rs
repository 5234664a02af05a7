//! Memory that NvMap, Jetson's allocator of GPU memory, has handed out, by process. Its list is in
//! debugfs, which root alone may read.
//!
//! Not to be added to anything: on unified memory these bytes are in other figures too.

use super::root::{Probe, SystemRoot};
use super::sensors::{Place, Sensor, Told, Value};
use super::series::Column;

const CLIENTS: &str = "/sys/kernel/debug/nvmap/iovmm/clients";

/// The list of clients.
#[derive(Debug)]
struct NvMap(Result<Probe, String>);

/// What the list says, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NvMapBytes {
    /// All clients.
    pub total: u64,
    /// This process; zero where it has none.
    pub own: u64,
}

pub(super) fn sensor(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    Some(Box::new(NvMap(Probe::open(place.root, CLIENTS))))
}

impl Sensor for NvMap {
    fn columns(&self) -> Vec<Column> {
        let total = format!("{CLIENTS} total, every second");
        let own = format!("{CLIENTS} this process, every second");
        vec![
            Column::new("nvmap_total_bytes", total),
            Column::new("nvmap_process_bytes", own),
        ]
    }

    fn read(&mut self, _: &mut Told) -> Vec<Value> {
        let text = match &mut self.0 {
            Ok(probe) => probe.text(),
            Err(reason) => Err(reason.clone()),
        };
        let found = text.and_then(|text| {
            parse(text, std::process::id())
                .ok_or_else(|| format!("{CLIENTS} has another form than expected"))
        });
        vec![
            found.clone().map(|bytes| bytes.total as f64),
            found.map(|bytes| bytes.own as f64),
        ]
    }

    /// The list may be long.
    fn period_s(&self) -> f64 {
        1.0
    }
}

/// A process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its name, where it is known.
    pub name: Option<String>,
    /// Its number.
    pub pid: u32,
    /// What it holds, in bytes, where that is known.
    pub bytes: Option<u64>,
}

/// The processes that hold memory of a Jetson's GPU.
///
/// # Errors
/// Why they are not known.
pub(super) fn processes(root: &SystemRoot) -> Result<Vec<GpuProcess>, String> {
    let text = root.read(CLIENTS)?;
    let mut found: Vec<GpuProcess> = Vec::new();
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, name @ .., number, size] = words.as_slice() else {
            continue;
        };
        let (Ok(pid), Some(bytes)) = (number.parse(), kibibytes(size)) else {
            continue;
        };
        match found.iter_mut().find(|known| known.pid == pid) {
            Some(known) => known.bytes = known.bytes.map(|all| all + bytes),
            None => found.push(GpuProcess {
                name: Some(name.join(" ")),
                pid,
                bytes: Some(bytes),
            }),
        }
    }
    Ok(found)
}

/// `CLIENT PROCESS PID SIZE` per line and a last line `total SIZE`; sizes such as `1024K`.
fn parse(text: &str, pid: u32) -> Option<NvMapBytes> {
    let mut total = None;
    let mut own = 0;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["total", size] => total = Some(kibibytes(size)?),
            // A process' name may hold spaces: the last two words count.
            [_, .., number, size] if number.parse() == Ok(pid) => own += kibibytes(size)?,
            _ => {}
        }
    }
    Some(NvMapBytes { total: total?, own })
}

fn kibibytes(word: &str) -> Option<u64> {
    word.strip_suffix('K')?
        .parse::<u64>()
        .ok()
        .map(|count| count.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_summed_by_process() {
        let text = "CLIENT                        PROCESS      PID        SIZE\n\
                    user                       gnome-shell     1810      20480K\n\
                    user                     Isolated Web C       77       1024K\n\
                    user                           masklet       77     204800K\n\
                    total                                            226304K\n";
        let seen = parse(text, 77).unwrap();
        assert_eq!(seen.own, 205_824 * 1024);
        assert_eq!(seen.total, 226_304 * 1024);
        assert_eq!(parse(text, 78).unwrap().own, 0);
        assert_eq!(parse("CLIENT PROCESS PID SIZE\n", 77), None);
        assert_eq!(parse("CLIENT\ntotal many\n", 77), None);
    }
}
