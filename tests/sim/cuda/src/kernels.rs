//! The project's kernels by name: what they take, what memory they touch, how they run here.
//!
//! Parameter types come from the PTX that is loaded, so that PTX and source cannot drift apart
//! unseen; what an address must be good for comes from this file; the arithmetic is the compiled
//! `vision.cu` itself.

use crate::memory::Memory;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

unsafe extern "C" {
    fn masklet_sim_run_kernel(
        name: *const c_char,
        grid: *const c_uint,
        block: *const c_uint,
        arguments: *const *mut c_void,
        count: c_uint,
    ) -> c_int;
}

/// Parameter sizes of the kernels in a piece of PTX, by name.
pub(crate) fn parse_ptx(text: &str) -> BTreeMap<String, Vec<usize>> {
    let mut kernels = BTreeMap::new();
    for part in text.split(".entry ").skip(1) {
        let Some((name, rest)) = part.split_once('(') else {
            continue;
        };
        let Some((parameters, _)) = rest.split_once(')') else {
            continue;
        };
        let sizes = parameters
            .split(".param")
            .skip(1)
            .map(|p| match p.split_whitespace().next() {
                Some(".u64" | ".b64" | ".s64" | ".f64") => 8,
                _ => 4,
            })
            .collect();
        kernels.insert(name.trim().to_owned(), sizes);
    }
    kernels
}

/// A launch with its arguments copied, as the driver copies them.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    /// Every argument in the low bytes of a word.
    pub(crate) arguments: Vec<u64>,
}

impl Launch {
    /// Addresses among the arguments and how many bytes at each the kernel touches.
    fn extents(&self) -> Option<Vec<(usize, u64)>> {
        let a = &self.arguments;
        Some(match self.name.as_str() {
            "masklet_resize_columns" => {
                let (window, width, height, size) = (a[5], a[7], a[8], a[9]);
                vec![
                    (0, height * width * 3),
                    (1, height * size * 3),
                    (2, size * 4),
                    (3, size * 4),
                    (4, size * window * 2),
                ]
            }
            "masklet_resize_rows_normalize" => {
                let (window, size) = (a[5], a[7]);
                vec![
                    // How high the source is stands in the tables alone: see `run`.
                    (0, 0),
                    (1, size * size * 12),
                    (2, size * 4),
                    (3, size * 4),
                    (4, size * window * 2),
                ]
            }
            "masklet_logits_to_bits" => {
                let objects = u64::from(self.grid[2]);
                let (side, height, width) = (a[3], a[4], a[5]);
                vec![
                    (0, objects * side * side * 4),
                    (1, objects * height * width.div_ceil(32) * 4),
                    (2, objects * 4),
                ]
            }
            "masklet_round_bf16" => vec![(0, a[2] * 4), (1, a[2] * 4)],
            _ => return None,
        })
    }

    /// The arguments with every address checked and translated for the host.
    ///
    /// # Errors
    /// What is wrong with which address.
    pub(crate) fn translate(&self, memory: &Memory) -> Result<Vec<u64>, String> {
        let extents = self
            .extents()
            .ok_or_else(|| format!("no host code for the kernel {}", self.name))?;
        let mut arguments = self.arguments.clone();
        for &(index, bytes) in &extents {
            let who = format!("{} (argument {index})", self.name);
            arguments[index] = memory.resolve(self.arguments[index], bytes, &who)?;
        }
        if self.name == "masklet_resize_rows_normalize" {
            let size = self.arguments[7];
            let table = |index: usize, i: u64| {
                // SAFETY: the tables were just found to hold `size` values.
                u64::from(unsafe { ((arguments[index] + i * 4) as *const u32).read_unaligned() })
            };
            let end = (0..size)
                .map(|i| table(2, i) + table(3, i))
                .max()
                .unwrap_or(0);
            let bytes = end.saturating_mul(size * 3);
            arguments[0] = memory.resolve(self.arguments[0], bytes, &self.name)?;
        }
        Ok(arguments)
    }

    /// Runs the kernel over its grid on translated arguments.
    pub(crate) fn run(&self, mut arguments: Vec<u64>) -> Result<(), String> {
        let name = CString::new(self.name.as_str()).map_err(|e| e.to_string())?;
        let pointers: Vec<*mut c_void> = arguments
            .iter_mut()
            .map(|argument| std::ptr::from_mut(argument).cast())
            .collect();
        // SAFETY: every argument is a word whose low bytes hold the parameter (little endian, as
        // all machines are that these tests run on); the addresses were checked.
        let ran = unsafe {
            masklet_sim_run_kernel(
                name.as_ptr(),
                self.grid.as_ptr(),
                self.block.as_ptr(),
                pointers.as_ptr(),
                pointers.len() as c_uint,
            )
        };
        if ran == 1 {
            return Ok(());
        }
        Err(format!(
            "the kernel {} does not take {} arguments",
            self.name,
            pointers.len()
        ))
    }
}
