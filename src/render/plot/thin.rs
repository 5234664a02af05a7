//! Long series made short without losing their extremes.

/// A series that may have been thinned.
#[derive(Clone, Debug, PartialEq)]
pub struct Thinned {
    /// What is left of the points, in their order.
    pub points: Vec<(f64, f64)>,
    /// How many points there were.
    pub of: usize,
}

impl Thinned {
    /// Whether points were left out.
    pub fn is_thinned(&self) -> bool {
        self.points.len() < self.of
    }
}

/// Leaves about `most` points: of every stretch of consecutive points the lowest and the highest.
/// First and last stay.
pub fn thin(points: &[(f64, f64)], most: usize) -> Thinned {
    let of = points.len();
    let stretches = (most / 2).max(1);
    if of <= most.max(4) {
        return Thinned {
            points: points.to_vec(),
            of,
        };
    }
    let size = of.div_ceil(stretches);
    let mut kept = vec![0, of - 1];
    for (number, stretch) in points.chunks(size).enumerate() {
        let place = |found: Option<(usize, &(f64, f64))>| found.map(|(at, _)| number * size + at);
        let by_y = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
        kept.extend(place(stretch.iter().enumerate().min_by(by_y)));
        kept.extend(place(stretch.iter().enumerate().max_by(by_y)));
    }
    kept.sort_unstable();
    kept.dedup();
    Thinned {
        points: kept
            .into_iter()
            .filter_map(|at| points.get(at).copied())
            .collect(),
        of,
    }
}
