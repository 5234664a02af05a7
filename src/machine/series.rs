//! A bounded series of samples: its memory is taken once, and the oldest samples go when it is full.

/// What one column of a series holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Name with its unit, such as `power_total_w`.
    pub name: String,
    /// Where the value comes from.
    pub source: String,
}

impl Column {
    /// A column and where its values come from.
    pub(super) fn new(name: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
        }
    }
}

/// Samples in a ring. A value that was not read is NaN.
#[derive(Debug)]
pub struct Series {
    width: usize,
    capacity: usize,
    times_s: Vec<f64>,
    values: Vec<f64>,
    taken: u64,
}

/// Consecutive samples, copied out of a [`Series`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    width: usize,
    /// Seconds on the series' clock, ascending.
    pub times_s: Vec<f64>,
    values: Vec<f64>,
    /// Samples of the span that had gone already.
    pub lost: u64,
}

impl Series {
    /// Takes memory for `capacity` samples of `width` values.
    pub fn new(width: usize, capacity: usize) -> Self {
        let capacity = capacity.max(2);
        Self {
            width,
            capacity,
            times_s: vec![0.0; capacity],
            values: vec![f64::NAN; capacity * width],
            taken: 0,
        }
    }

    /// Most samples that it keeps.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Samples taken since it was made, those that have gone included; also the number of the next.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Adds a sample; allocates nothing.
    pub fn push(&mut self, at_s: f64, row: &[f64]) {
        let place = self.place(self.taken);
        if let (Some(time), Some(values)) = (
            self.times_s.get_mut(place),
            self.values
                .get_mut(place * self.width..(place + 1) * self.width),
        ) {
            *time = at_s;
            for (slot, value) in values.iter_mut().zip(row) {
                *slot = *value;
            }
            self.taken += 1;
        }
    }

    /// Changes a value of the last sample but `back`.
    pub fn amend(&mut self, back: u64, column: usize, change: impl FnOnce(f64) -> f64) {
        let Some(number) = self.taken.checked_sub(back + 1) else {
            return;
        };
        let place = self.place(number);
        if let Some(value) = self.values.get_mut(place * self.width + column) {
            *value = change(*value);
        }
    }

    /// The samples from number `first` on, as far as they are still there.
    pub fn since(&self, first: u64) -> Samples {
        let oldest = self.taken.saturating_sub(self.capacity as u64);
        let begin = first.max(oldest).min(self.taken);
        let mut samples = Samples {
            width: self.width,
            lost: begin.saturating_sub(first),
            ..Samples::default()
        };
        for number in begin..self.taken {
            let place = self.place(number);
            let values = self
                .values
                .get(place * self.width..(place + 1) * self.width);
            samples.times_s.extend(self.times_s.get(place));
            samples.values.extend(values.unwrap_or_default());
        }
        samples
    }

    fn place(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.times_s.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times_s.is_empty()
    }

    /// Keeps the first `length` samples.
    pub fn truncate(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < self.len() {
            self.times_s.truncate(length);
            self.values.truncate(length * self.width);
        }
    }

    /// The values of one sample.
    pub fn row(&self, index: usize) -> &[f64] {
        self.values
            .get(index * self.width..(index + 1) * self.width)
            .unwrap_or_default()
    }

    /// The values of one column that were read.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f64> + '_ {
        self.curve(column).map(|(_, value)| value)
    }

    /// Time and value of one column, where it was read.
    fn curve(&self, column: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.times_s
            .iter()
            .enumerate()
            .map(move |(index, time)| {
                let value = self.row(index).get(column).copied();
                (*time, value.unwrap_or(f64::NAN))
            })
            .filter(|(_, value)| value.is_finite())
    }

    /// The integral of a column over each interval (from, to; seconds, ascending and apart), the
    /// column being a straight line between samples: trapezoids, cut at the intervals' ends.
    ///
    /// # Errors
    /// The reason where the samples do not reach over an interval.
    pub fn integrals(&self, column: usize, intervals: &[(f64, f64)]) -> Result<Vec<f64>, String> {
        let curve: Vec<(f64, f64)> = self.curve(column).collect();
        let (Some((begin, _)), Some((end, _))) = (curve.first(), curve.last()) else {
            return Err("no sample has a value".to_owned());
        };
        if curve.len() < 2 {
            return Err("a single sample has a value; a rate needs two".to_owned());
        }
        let mut at = 0;
        intervals
            .iter()
            .map(|&(from, to)| {
                if from < *begin || to > *end {
                    return Err(match self.lost {
                        0 => "samples do not reach over the whole interval".to_owned(),
                        lost => format!(
                            "the buffer was too short: {lost} samples had gone; use a lower \
                             --telemetry-hz"
                        ),
                    });
                }
                while curve.get(at + 1).is_some_and(|(time, _)| *time <= from) {
                    at += 1;
                }
                let mut sum = 0.0;
                for pair in curve.get(at..).unwrap_or_default().windows(2) {
                    let [(t0, v0), (t1, v1)] = pair else { break };
                    if *t0 >= to {
                        break;
                    }
                    let (a, b) = (from.max(*t0), to.min(*t1));
                    let value = |t: f64| match t1 - t0 {
                        step if step > 0.0 => v0 + (v1 - v0) * (t - t0) / step,
                        _ => *v1,
                    };
                    if b > a {
                        sum += f64::midpoint(value(a), value(b)) * (b - a);
                    }
                }
                Ok(sum)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_and_counts_the_rest() {
        let mut series = Series::new(2, 4);
        for i in 0..6 {
            series.push(f64::from(i), &[f64::from(i * 10), f64::NAN]);
        }
        let all = series.since(0);
        assert_eq!((all.len(), all.lost), (4, 2));
        assert_eq!(all.times_s, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(all.column(0).collect::<Vec<_>>(), [20.0, 30.0, 40.0, 50.0]);
        assert_eq!(all.column(1).count(), 0);
        assert_eq!(series.since(5).times_s, [5.0]);
        assert!(series.since(6).is_empty() && series.since(60).is_empty());
        series.amend(1, 1, |_| 7.0);
        assert_eq!(series.since(4).row(0), [40.0, 7.0]);
    }

    #[test]
    fn integrals_are_trapezoids_cut_at_the_ends() {
        let mut series = Series::new(1, 8);
        for (t, w) in [(0.0, 4.0), (1.0, 8.0), (3.0, 8.0), (4.0, 0.0)] {
            series.push(t, &[w]);
        }
        let samples = series.since(0);
        // By hand: 6 + 16 + 4; from 0.5 to 1: (6+8)/2*0.5; from 1.5 to 3.5: 8*1.5 + (8+4)/2*0.5.
        let all = [(0.0, 4.0), (0.5, 1.0), (1.5, 3.5)];
        assert_eq!(samples.integrals(0, &all[..1]).unwrap(), [26.0]);
        assert_eq!(samples.integrals(0, &all[1..]).unwrap(), [3.5, 15.0]);
        let pieces = [(0.0, 0.25), (0.25, 1.0), (1.0, 3.9), (3.9, 4.0)];
        let sum: f64 = samples.integrals(0, &pieces).unwrap().iter().sum();
        assert!((sum - 26.0).abs() < 1e-12);
        assert!(
            samples
                .integrals(0, &[(3.0, 4.1)])
                .unwrap_err()
                .contains("do not reach")
        );
    }

    #[test]
    fn a_value_that_was_not_read_is_bridged_and_never_a_zero() {
        let mut series = Series::new(1, 8);
        for (t, w) in [(0.0, 5.0), (1.0, f64::NAN), (2.0, 5.0)] {
            series.push(t, &[w]);
        }
        assert_eq!(series.since(0).integrals(0, &[(0.0, 2.0)]).unwrap(), [10.0]);
        assert!(series.since(1).integrals(0, &[(1.0, 2.0)]).is_err());
        assert!(Samples::default().integrals(0, &[]).is_err());
    }
}
