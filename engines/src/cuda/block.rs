//! One contiguous block of device memory: what the arena lies in.
//!
//! Plain allocation (`cuMemAlloc`) comes first. Where the driver refuses it (L4T 36.4.7 and later
//! refuse large ones although the memory is free), the block is a range of addresses with chunks of
//! physical memory mapped into it. The driver's pools (`cuMemAllocAsync`) are never used: on Orin
//! they fail long before the memory is full.

use super::counter::{self, Kind};
use super::device::Device;
use super::driver::check;
use super::error::{CudaError, DriverFault};
use crate::memory::{MemorySpace, Slab, SlabError};
use cudarc::driver::sys::{self, CUresult};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Size of the chunks that are tried first; halved where the driver refuses one.
const CHUNK_BYTES: u64 = 64 << 20;

/// How a block was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockStrategy {
    /// One plain allocation.
    Plain,
    /// Chunks of physical memory behind one range of addresses, because the plain allocation was
    /// refused.
    Mapped {
        /// Number of chunks.
        chunks: usize,
    },
}

/// How a block is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum BlockChoice {
    /// Plain, and in chunks where that is refused.
    #[default]
    Auto,
    /// One plain allocation or none.
    Plain,
    /// Chunks at once.
    Chunks,
}

/// A block of device memory, given back when dropped.
#[derive(Debug)]
pub struct DeviceBlock {
    device: Arc<Device>,
    address: u64,
    bytes: u64,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    Plain,
    Mapped(Mapping),
}

impl DeviceBlock {
    /// Takes one block of `bytes`, aligned to 256 bytes at least. Its content is undefined.
    /// `purpose` says in errors what it is for ("the arena").
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`] when every way was refused, with the request, what is free, the
    /// cause and what to do.
    pub fn allocate(
        device: &Arc<Device>,
        bytes: u64,
        purpose: &'static str,
    ) -> Result<Self, CudaError> {
        Self::allocate_as(device, bytes, purpose, BlockChoice::Auto)
    }

    /// As [`DeviceBlock::allocate`], in the ways that `choice` allows.
    ///
    /// # Errors
    /// As there.
    pub fn allocate_as(
        device: &Arc<Device>,
        bytes: u64,
        purpose: &'static str,
        choice: BlockChoice,
    ) -> Result<Self, CudaError> {
        if bytes == 0 {
            return Err(CudaError::Empty { purpose });
        }
        device.bind()?;
        let plain = match allocate_plain(bytes, choice) {
            Ok(None) => "not tried".to_owned(),
            Ok(Some(address)) => {
                counter::count(Kind::Device);
                return Ok(Self {
                    device: Arc::clone(device),
                    address,
                    bytes,
                    backing: Backing::Plain,
                });
            }
            Err(CUresult::CUDA_ERROR_OUT_OF_MEMORY) => {
                DriverFault(CUresult::CUDA_ERROR_OUT_OF_MEMORY).to_string()
            }
            // Not a matter of memory: a broken device would only be hidden by another try.
            Err(code) => {
                return Err(CudaError::Call {
                    call: "cuMemAlloc_v2",
                    fault: DriverFault(code),
                });
            }
        };
        let chunks = if choice == BlockChoice::Plain {
            "not tried".to_owned()
        } else if device.info().can_map_chunks {
            match Mapping::new(device, bytes) {
                Ok(mapping) => {
                    tracing::info!(
                        bytes,
                        chunks = mapping.chunks.len(),
                        "{purpose} is mapped from chunks; plain allocation: {plain}"
                    );
                    return Ok(Self {
                        device: Arc::clone(device),
                        address: mapping.address,
                        bytes,
                        backing: Backing::Mapped(mapping),
                    });
                }
                Err(error) => error.to_string(),
            }
        } else {
            "not possible on this device".to_owned()
        };
        Err(CudaError::OutOfMemory {
            purpose,
            bytes,
            memory: device.memory()?,
            available_bytes: device.info().integrated.then(mem_available).flatten(),
            plain,
            chunks,
        })
    }

    /// Address of the first byte on the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How it was had.
    pub fn strategy(&self) -> BlockStrategy {
        match &self.backing {
            Backing::Plain => BlockStrategy::Plain,
            Backing::Mapped(mapping) => BlockStrategy::Mapped {
                chunks: mapping.chunks.len(),
            },
        }
    }

    /// The block as the memory of an arena.
    ///
    /// # Errors
    /// [`SlabError::Misaligned`] when the driver gave an address that no driver gives.
    pub fn into_slab(self) -> Result<Slab, SlabError> {
        let (base, bytes) = (self.address as usize, self.bytes as usize);
        // SAFETY: the block is one live allocation until the slab drops it, and nobody else knows
        // its address.
        unsafe { Slab::from_raw_parts(base, bytes, MemorySpace::Device, Box::new(self)) }
    }
}

impl Drop for DeviceBlock {
    fn drop(&mut self) {
        // Work in flight may use the block, and unmapping does not wait for it.
        self.device.record_err(self.device.synchronize());
        if let Backing::Plain = self.backing {
            // SAFETY: the address came from cuMemAlloc and is freed once.
            let code = unsafe { sys::cuMemFree_v2(self.address) };
            self.device.record_err(check("cuMemFree_v2", code));
        }
    }
}

/// The address, or nothing where it is not to be tried.
fn allocate_plain(bytes: u64, choice: BlockChoice) -> Result<Option<u64>, CUresult> {
    if choice == BlockChoice::Chunks {
        return Ok(None);
    }
    let size = usize::try_from(bytes).map_err(|_| CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
    let mut address = 0;
    // SAFETY: writes one address; a context is current.
    match unsafe { sys::cuMemAlloc_v2(&raw mut address, size) } {
        CUresult::CUDA_SUCCESS => Ok(Some(address)),
        code => Err(code),
    }
}

/// A reserved range of addresses and the chunks mapped into it, from its start without a gap.
/// Dropping it takes back as much as was done.
#[derive(Debug)]
struct Mapping {
    device: Arc<Device>,
    address: u64,
    reserved: usize,
    chunks: Vec<Chunk>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    handle: sys::CUmemGenericAllocationHandle,
    offset: u64,
    bytes: usize,
}

impl Mapping {
    fn new(device: &Arc<Device>, bytes: u64) -> Result<Self, CudaError> {
        let properties = properties(device);
        let mut granularity = 0;
        // SAFETY: writes one integer, reads the properties.
        check("cuMemGetAllocationGranularity", unsafe {
            sys::cuMemGetAllocationGranularity(
                &raw mut granularity,
                &raw const properties,
                sys::CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_MINIMUM,
            )
        })?;
        let granularity = granularity.max(1) as u64;
        let too_large = CudaError::Call {
            call: "cuMemAddressReserve",
            fault: DriverFault(CUresult::CUDA_ERROR_OUT_OF_MEMORY),
        };
        let whole = bytes
            .checked_next_multiple_of(granularity)
            .ok_or_else(|| too_large.clone())?;
        let reserved = usize::try_from(whole).map_err(|_| too_large)?;
        let mut address = 0;
        // SAFETY: writes one address; no alignment or place is asked for.
        check("cuMemAddressReserve", unsafe {
            sys::cuMemAddressReserve(&raw mut address, reserved, 0, 0, 0)
        })?;
        let mut mapping = Self {
            device: Arc::clone(device),
            address,
            reserved,
            chunks: Vec::new(),
        };
        mapping.fill(&properties, granularity)?;
        let access = sys::CUmemAccessDesc {
            location: properties.location,
            flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        };
        // SAFETY: the whole range is mapped; reads one description.
        check("cuMemSetAccess", unsafe {
            sys::cuMemSetAccess(mapping.address, mapping.reserved, &raw const access, 1)
        })?;
        Ok(mapping)
    }

    /// Maps chunks until the range is full, with smaller ones where large ones are refused.
    fn fill(
        &mut self,
        properties: &sys::CUmemAllocationProp,
        granularity: u64,
    ) -> Result<(), CudaError> {
        let mut size = CHUNK_BYTES.next_multiple_of(granularity);
        let mut offset = 0;
        let whole = self.reserved as u64;
        while offset < whole {
            let bytes = size.min(whole - offset) as usize;
            let mut handle = 0;
            // SAFETY: writes one handle; the size is a multiple of the granularity.
            let code = unsafe {
                sys::cuMemCreate(&raw mut handle, bytes, std::ptr::from_ref(properties), 0)
            };
            if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY && bytes as u64 > granularity {
                size = (bytes as u64 / 2).next_multiple_of(granularity);
                continue;
            }
            check("cuMemCreate", code)?;
            counter::count(Kind::Vmm);
            // SAFETY: this part of the range is reserved and not mapped yet; the handle is live.
            let code = unsafe { sys::cuMemMap(self.address + offset, bytes, 0, handle, 0) };
            if let Err(error) = check("cuMemMap", code) {
                // SAFETY: the handle is live and mapped nowhere.
                let code = unsafe { sys::cuMemRelease(handle) };
                self.device.record_err(check("cuMemRelease", code));
                return Err(error);
            }
            self.chunks.push(Chunk {
                handle,
                offset,
                bytes,
            });
            offset += bytes as u64;
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let note = |call, code| self.device.record_err(check(call, code));
        for chunk in &self.chunks {
            // SAFETY: each chunk was mapped at its place, is unmapped once and released once. The
            // block synchronised the device, so nothing uses it.
            unsafe {
                note(
                    "cuMemUnmap",
                    sys::cuMemUnmap(self.address + chunk.offset, chunk.bytes),
                );
                note("cuMemRelease", sys::cuMemRelease(chunk.handle));
            }
        }
        // SAFETY: the range was reserved with this size and nothing is mapped in it any more.
        note("cuMemAddressFree", unsafe {
            sys::cuMemAddressFree(self.address, self.reserved)
        });
    }
}

fn properties(device: &Device) -> sys::CUmemAllocationProp {
    sys::CUmemAllocationProp {
        type_: sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
        requestedHandleTypes: sys::CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE,
        location: sys::CUmemLocation {
            type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: device.handle(),
        },
        win32HandleMetaData: std::ptr::null_mut(),
        allocFlags: sys::CUmemAllocationProp_st__bindgen_ty_1 {
            compressionType: 0,
            gpuDirectRDMACapable: 0,
            usage: 0,
            reserved: [0; 4],
        },
    }
}

/// MemAvailable of `/proc/meminfo` in bytes.
fn mem_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}
