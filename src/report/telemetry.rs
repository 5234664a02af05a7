//! `telemetry.csv`, read back: the sensors over time.

use std::path::{Path, PathBuf};

/// The samples of one session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetrySeries {
    /// Times that the run had been resumed then.
    pub session: u32,
    /// Seconds on the session's clock, one per sample.
    pub times_s: Vec<f64>,
    /// Columns by name, each with one value per sample; NaN where nothing was read.
    pub columns: Vec<(String, Vec<f64>)>,
    /// When the machine slowed down: from and to in seconds, and the kinds joined by `+`.
    pub throttled: Vec<(f64, f64, String)>,
}

impl TelemetrySeries {
    /// A column by name, where it has a value at all.
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        let (_, values) = self.columns.iter().find(|(known, _)| known == name)?;
        values
            .iter()
            .any(|value| value.is_finite())
            .then_some(values.as_slice())
    }

    /// Seconds from the first sample to the last.
    pub fn span_s(&self) -> f64 {
        match (self.times_s.first(), self.times_s.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        }
    }
}

/// The files of a run folder, in the order of its sessions; the error is why there are none, in a
/// sentence.
pub(super) fn read_all(run: &Path) -> Result<Vec<TelemetrySeries>, String> {
    let mut files: Vec<(u32, PathBuf)> = Vec::new();
    let mut shards = 0;
    for entry in std::fs::read_dir(run).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(session) = session_of(&name) {
            files.push((session, entry.path()));
        }
        if name == "shards" {
            shards = std::fs::read_dir(entry.path()).map_or(0, Iterator::count);
        }
    }
    if files.is_empty() && shards > 0 {
        return Err(format!(
            "This run was merged from {shards} shards; the samples of each are in its own folder \
             below shards/."
        ));
    }
    files.sort();
    files
        .iter()
        .map(|(session, path)| read(*session, path))
        .collect()
}

fn session_of(name: &str) -> Option<u32> {
    match name.strip_prefix("telemetry")?.strip_suffix(".csv")? {
        "" => Some(0),
        number => number.strip_prefix('-')?.parse().ok(),
    }
}

fn read(session: u32, path: &Path) -> Result<TelemetrySeries, String> {
    let damaged = |why: String| format!("{} cannot be read: {why}.", path.display());
    let mut reader = csv::ReaderBuilder::new()
        // A run that was killed may leave half a line.
        .flexible(true)
        .from_path(path)
        .map_err(|error| damaged(error.to_string()))?;
    let header = reader
        .headers()
        .map_err(|error| damaged(error.to_string()))?
        .clone();
    let place = |name: &str| header.iter().position(|known| known == name);
    let Some(time) = place("t_s") else {
        return Err(damaged("it has no column t_s".to_owned()));
    };
    let throttle = place("throttle");
    let numbers: Vec<usize> = (0..header.len())
        .filter(|at| ![Some(time), throttle, place("unix_s")].contains(&Some(*at)))
        .collect();
    let mut series = TelemetrySeries {
        session,
        columns: numbers
            .iter()
            .map(|at| (header.get(*at).unwrap_or_default().to_owned(), Vec::new()))
            .collect(),
        ..TelemetrySeries::default()
    };
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| damaged(error.to_string()))?
    {
        let number = |at: usize| {
            let value = record.get(at)?.parse::<f64>().ok()?;
            value.is_finite().then_some(value)
        };
        let Some(at_s) = number(time).filter(|_| record.len() == header.len()) else {
            continue;
        };
        series.times_s.push(at_s);
        for (at, (_, values)) in numbers.iter().zip(&mut series.columns) {
            values.push(number(*at).unwrap_or(f64::NAN));
        }
        let kinds = throttle.and_then(|at| record.get(at)).unwrap_or_default();
        let goes_on = series.times_s.iter().rev().nth(1).copied();
        match series.throttled.last_mut() {
            _ if kinds.is_empty() => {}
            Some((_, to, known)) if known == kinds && Some(*to) == goes_on => *to = at_s,
            _ => series.throttled.push((at_s, at_s, kinds.to_owned())),
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_columns_gaps_and_throttling_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = "unix_s,t_s,power_total_w,throttle,temperature_tj_c\n\
                    1,0,5,,\n2,1,,heat,40\n3,2,6,heat,41\n4,3,6,,41\n5,4,6,heat,\n6,5,6,hea";
        std::fs::write(folder.path().join("telemetry.csv"), text).unwrap();
        std::fs::write(folder.path().join("telemetry-2.csv"), "unix_s,t_s\n").unwrap();
        std::fs::write(folder.path().join("telemetry-x.csv"), "no").unwrap();
        let all = read_all(folder.path()).unwrap();
        let sessions: Vec<u32> = all.iter().map(|series| series.session).collect();
        assert_eq!(sessions, [0, 2]);
        let first = &all[0];
        assert_eq!(first.times_s, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(first.span_s(), 4.0);
        let power = first.column("power_total_w").unwrap();
        assert!(power[1].is_nan() && power[0] == 5.0 && power[4] == 6.0);
        let heat = |from, to| (from, to, "heat".to_owned());
        assert_eq!(first.throttled, [heat(1.0, 2.0), heat(4.0, 4.0)]);
        assert_eq!(all[1].column("power_total_w"), None);
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("telemetry.csv"), "a,b\n1,2\n").unwrap();
        let why = read_all(folder.path()).unwrap_err();
        assert!(
            why.contains("telemetry.csv") && why.contains("t_s"),
            "{why}"
        );
        std::fs::remove_file(folder.path().join("telemetry.csv")).unwrap();
        assert_eq!(read_all(folder.path()), Ok(Vec::new()));
        std::fs::create_dir_all(folder.path().join("shards/1-of-1")).unwrap();
        assert!(read_all(folder.path()).unwrap_err().contains("1 shards"));
    }
}
