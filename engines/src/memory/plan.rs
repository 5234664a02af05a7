//! The memory plan: what every region will hold, known before anything is allocated.
//!
//! A plan is plain data. It can be printed, serialised and compared without a device. The rows are
//! the very rows from which a run allocates ([`super::Region::alloc`]), so the observed peak must
//! equal the planned one.

use super::{RegionKind, aligned};
use crate::tensor::{DType, element_count};
use serde::Serialize;

/// One planned allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanRow {
    /// What it holds, as people call it: `memory bank`, `image features: feat`.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// How many of them are alive at once.
    pub count: usize,
}

impl PlanRow {
    /// One tensor.
    pub fn new(name: impl Into<String>, dtype: DType, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            count: 1,
        }
    }

    /// The same row `count` times.
    pub fn times(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Bytes that the row takes in the arena: each tensor rounded up to the alignment.
    pub fn bytes(&self) -> usize {
        aligned(element_count(&self.shape).saturating_mul(self.dtype.size()))
            .saturating_mul(self.count)
    }
}

/// The rows of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionPlan {
    /// Which scope.
    pub region: RegionKind,
    /// Its allocations, in order.
    pub rows: Vec<PlanRow>,
}

impl RegionPlan {
    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(PlanRow::bytes).sum()
    }
}

/// What a run will take from its slab. Regions nest, so the slab is their sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Regions, outermost first.
    pub regions: Vec<RegionPlan>,
    /// Host memory beside a device's slab, through which frames and masks pass; empty where the
    /// slab itself is host memory.
    pub staging: Vec<PlanRow>,
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The plan is larger than what it may take.
    #[error(
        "the memory plan needs {needed} bytes, {limit_name} allows {limit} bytes; the largest rows \
         are {largest}; choose a smaller image size, fewer objects at once or a larger budget"
    )]
    OverBudget {
        /// Bytes of the whole plan.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
        /// Where the limit comes from: `--memory-budget`, or what the system has.
        limit_name: String,
        /// The largest rows with their bytes.
        largest: String,
    },
}

impl Plan {
    /// Bytes of the slab that carries the plan out.
    pub fn bytes(&self) -> usize {
        self.regions.iter().map(RegionPlan::bytes).sum()
    }

    /// Bytes of the staging memory beside the slab.
    pub fn staging_bytes(&self) -> usize {
        self.staging.iter().map(PlanRow::bytes).sum()
    }

    /// Bytes of one region; 0 when the plan has none of that kind.
    pub fn region_bytes(&self, kind: RegionKind) -> usize {
        self.region(kind).map_or(0, RegionPlan::bytes)
    }

    /// The region of one kind.
    pub fn region(&self, kind: RegionKind) -> Option<&RegionPlan> {
        self.regions.iter().find(|r| r.region == kind)
    }

    /// Checks the plan against a limit.
    ///
    /// # Errors
    /// [`PlanError::OverBudget`] with the three largest rows.
    pub fn check(&self, limit: usize, limit_name: &str) -> Result<(), PlanError> {
        let needed = self.bytes().saturating_add(self.staging_bytes());
        if needed <= limit {
            return Ok(());
        }
        let mut rows: Vec<(usize, String)> = self
            .regions
            .iter()
            .flat_map(|r| {
                r.rows
                    .iter()
                    .map(|row| (row.bytes(), format!("{} / {}", r.region, row.name)))
            })
            .chain(
                self.staging
                    .iter()
                    .map(|row| (row.bytes(), format!("staging / {}", row.name))),
            )
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.0));
        let largest = rows
            .iter()
            .take(3)
            .map(|(bytes, name)| format!("{name} ({bytes})"))
            .collect::<Vec<_>>()
            .join(", ");
        Err(PlanError::OverBudget {
            needed,
            limit,
            limit_name: limit_name.to_owned(),
            largest,
        })
    }
}
