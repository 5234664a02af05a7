//! An NVIDIA device through its driver (libcuda), loaded at run time.
//!
//! In scope: is there a device and if not, why ([`availability`]); one block of device memory for
//! the arena ([`DeviceBlock`]); pinned host memory ([`PinnedBlock`]); streams, events, graphs; the
//! kernels around the model ([`kernels`]); a count of everything the driver was made to allocate
//! ([`counter`]). Out of scope: tensors, TensorRT, and who may use which address when: addresses
//! are plain integers here, and the functions that take them are `unsafe` with a contract.
//!
//! The layers are cudarc's: its `driver::sys` loads the library and calls it. Its own memory types
//! are not used, because they allocate from the driver's pools (which fail early on Jetson) and
//! track every slice with events; a block of ours is one plain allocation. cudarc panics when the
//! library or a symbol is missing, so [`availability`] asks for both first, and everything here
//! starts from a [`Device`], which cannot be had without it.
//!
//! | on the CPU | here |
//! | --- | --- |
//! | heap block | [`DeviceBlock`], [`PinnedBlock`] |
//! | thread | [`Stream`] |
//! | join handle, condition variable | [`Event`] |
//! | a recorded sequence of calls | [`GraphExec`] |

mod block;
pub mod counter;
mod device;
mod driver;
mod error;
mod event;
mod graph;
mod jpeg;
pub mod kernels;
mod pinned;
mod stream;

pub use block::{BlockChoice, BlockStrategy, DeviceBlock};
pub use device::{Device, DeviceInfo, DeviceMemory, describe_device, pci_address};
pub use driver::availability;
pub use error::{CudaError, DriverFault};
pub use event::Event;
pub use graph::{CaptureError, GraphExec};
pub use jpeg::{JpegDecoder, JpegError, JpegLibrary};
pub use pinned::{PinnedBlock, PinnedKind};
pub use stream::Stream;
