//! The simulated device's memory, and who may touch which of it.
//!
//! Device addresses point into a range of the process that can be neither read nor written, so that
//! host code that takes one for a pointer faults at once. Behind it, at a fixed distance, lies a
//! mirror with the content. Addresses are never given out twice: a stale one is always known as
//! such.

use std::collections::{BTreeMap, HashMap};

/// Size of the range of device addresses. An emulator keeps a record of every page, used or not
/// (qemu: 12 GB for a terabyte and its mirror), and aarch64 is mostly emulated where this is built.
const SPACE: u64 = if cfg!(target_arch = "aarch64") {
    1 << 37
} else {
    1 << 40
};
/// Every block starts on a page of its own, with an unused page before it.
const PAGE: u64 = 4096;
/// Unit of chunks and reservations, as on Jetson and desktop GPUs.
pub(crate) const GRANULARITY: u64 = 2 << 20;

/// Allocated device memory, pinned host memory, reserved addresses and chunks.
pub(crate) struct Memory {
    base: u64,
    mirror: u64,
    next: u64,
    /// Plain blocks: size by address.
    plain: BTreeMap<u64, u64>,
    reservations: BTreeMap<u64, Reservation>,
    chunks: HashMap<u64, Chunk>,
    next_chunk: u64,
    /// Pinned host memory: size by address.
    pinned: BTreeMap<u64, u64>,
    /// What was given back: size by address.
    freed: BTreeMap<u64, u64>,
    /// Bytes of plain blocks and chunks.
    pub(crate) used: u64,
    /// The most that was ever used.
    pub(crate) peak: u64,
    /// Bytes of pinned host memory.
    pub(crate) pinned_used: u64,
}

struct Reservation {
    bytes: u64,
    maps: BTreeMap<u64, Map>,
}

struct Map {
    bytes: u64,
    chunk: u64,
    accessible: bool,
}

struct Chunk {
    bytes: u64,
    mapped: bool,
    released: bool,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            base: reserve(SPACE),
            mirror: reserve(SPACE),
            next: GRANULARITY,
            plain: BTreeMap::new(),
            reservations: BTreeMap::new(),
            chunks: HashMap::new(),
            next_chunk: 1,
            pinned: BTreeMap::new(),
            freed: BTreeMap::new(),
            used: 0,
            peak: 0,
            pinned_used: 0,
        }
    }

    fn place(&mut self, bytes: u64, alignment: u64) -> Option<u64> {
        let offset = self.next.next_multiple_of(alignment);
        let end = offset.checked_add(bytes)?.next_multiple_of(PAGE) + PAGE;
        if self.base == 0 || self.mirror == 0 || end > SPACE {
            return None;
        }
        self.next = end;
        Some(self.base + offset)
    }

    fn use_bytes(&mut self, bytes: u64) {
        self.used += bytes;
        self.peak = self.peak.max(self.used);
    }

    /// A plain block.
    pub(crate) fn allocate(&mut self, bytes: u64, poison: bool) -> Option<u64> {
        let address = self.place(bytes, PAGE)?;
        self.open(address, bytes, poison)?;
        self.plain.insert(address, bytes);
        self.use_bytes(bytes);
        Some(address)
    }

    /// Gives a plain block back.
    pub(crate) fn free(&mut self, address: u64) -> Result<(), String> {
        let Some(bytes) = self.plain.remove(&address) else {
            return Err(self.complain(address, 0, "cuMemFree"));
        };
        self.close(address, bytes);
        self.freed.insert(address, bytes);
        self.used -= bytes;
        Ok(())
    }

    /// Reserves addresses.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Option<u64> {
        let address = self.place(bytes, GRANULARITY)?;
        let maps = BTreeMap::new();
        self.reservations
            .insert(address, Reservation { bytes, maps });
        Some(address)
    }

    /// Gives reserved addresses back.
    pub(crate) fn unreserve(&mut self, address: u64, bytes: u64) -> Result<(), String> {
        match self.reservations.get(&address) {
            Some(r) if r.bytes == bytes && r.maps.is_empty() => {
                self.reservations.remove(&address);
                self.freed.insert(address, bytes);
                Ok(())
            }
            Some(_) => Err(format!(
                "cuMemAddressFree of {address:#x}: another size than reserved, or still mapped"
            )),
            None => Err(self.complain(address, bytes, "cuMemAddressFree")),
        }
    }

    /// A chunk of physical memory.
    pub(crate) fn create(&mut self, bytes: u64) -> u64 {
        let handle = self.next_chunk;
        self.next_chunk += 1;
        self.chunks.insert(
            handle,
            Chunk {
                bytes,
                mapped: false,
                released: false,
            },
        );
        self.use_bytes(bytes);
        handle
    }

    /// Maps a whole chunk.
    pub(crate) fn map(&mut self, address: u64, bytes: u64, handle: u64) -> Result<(), String> {
        let chunk = self.chunks.get_mut(&handle).filter(|c| !c.released);
        let chunk = chunk.ok_or_else(|| format!("cuMemMap of an unknown chunk {handle}"))?;
        if chunk.mapped || chunk.bytes != bytes {
            return Err("cuMemMap: only a whole chunk, and only once, is simulated".to_owned());
        }
        let found = self.reservations.range_mut(..=address).next_back();
        let (start, reservation) = found
            .filter(|(start, r)| address + bytes <= **start + r.bytes)
            .ok_or_else(|| format!("cuMemMap at {address:#x}, which is not reserved"))?;
        let offset = address - start;
        let taken = reservation
            .maps
            .iter()
            .any(|(at, map)| offset < at + map.bytes && *at < offset + bytes);
        if taken {
            return Err(format!("cuMemMap at {address:#x}, which is mapped already"));
        }
        chunk.mapped = true;
        let map = Map {
            bytes,
            chunk: handle,
            accessible: false,
        };
        reservation.maps.insert(offset, map);
        Ok(())
    }

    /// Lets the device read and write a range of mapped addresses.
    pub(crate) fn set_access(
        &mut self,
        address: u64,
        bytes: u64,
        poison: bool,
    ) -> Result<(), String> {
        let mut opened = Vec::new();
        let found = self.reservations.range_mut(..=address).next_back();
        let (start, reservation) =
            found.ok_or_else(|| format!("cuMemSetAccess at {address:#x}: not reserved"))?;
        let (from, end) = (address - start, address - start + bytes);
        let mut covered = from;
        for (at, map) in reservation.maps.range_mut(from..end) {
            if *at != covered {
                break;
            }
            covered += map.bytes;
            if !map.accessible {
                map.accessible = true;
                opened.push((start + at, map.bytes));
            }
        }
        if covered != end {
            return Err(format!("cuMemSetAccess at {address:#x}: not all mapped"));
        }
        for (address, bytes) in opened {
            if self.open(address, bytes, poison).is_none() {
                return Err("the host has no memory for the mapped chunks".to_owned());
            }
        }
        Ok(())
    }

    /// Takes a chunk out of its place.
    pub(crate) fn unmap(&mut self, address: u64, bytes: u64) -> Result<(), String> {
        let found = self.reservations.range_mut(..=address).next_back();
        let map = found.and_then(|(start, reservation)| {
            let map = reservation.maps.get(&(address - start))?;
            if map.bytes != bytes {
                return None;
            }
            reservation.maps.remove(&(address - start))
        });
        let map = map.ok_or_else(|| format!("cuMemUnmap of {address:#x}, which is not mapped"))?;
        if map.accessible {
            self.close(address, bytes);
        }
        self.freed.insert(address, bytes);
        if let Some(chunk) = self.chunks.get_mut(&map.chunk) {
            chunk.mapped = false;
        }
        self.drop_chunk(map.chunk);
        Ok(())
    }

    /// Gives a chunk back; it goes when it is no longer mapped.
    pub(crate) fn release(&mut self, handle: u64) -> Result<(), String> {
        match self.chunks.get_mut(&handle) {
            Some(chunk) if !chunk.released => chunk.released = true,
            _ => return Err(format!("cuMemRelease of an unknown chunk {handle}")),
        }
        self.drop_chunk(handle);
        Ok(())
    }

    fn drop_chunk(&mut self, handle: u64) {
        if let Some(chunk) = self.chunks.get(&handle)
            && chunk.released
            && !chunk.mapped
        {
            self.used -= chunk.bytes;
            self.chunks.remove(&handle);
        }
    }

    /// A block of pinned host memory.
    pub(crate) fn allocate_pinned(&mut self, bytes: u64) -> Option<u64> {
        let length = bytes.next_multiple_of(PAGE);
        let address = reserve(length);
        if address == 0 || !protect(address, length, true) {
            return None;
        }
        self.pinned.insert(address, bytes);
        self.freed.remove(&address);
        self.pinned_used += bytes;
        Some(address)
    }

    /// Gives pinned memory back. Its pages stay reserved, without content or access.
    pub(crate) fn free_pinned(&mut self, address: u64) -> Result<(), String> {
        let Some(bytes) = self.pinned.remove(&address) else {
            return Err(self.complain(address, 0, "cuMemFreeHost"));
        };
        let length = bytes.next_multiple_of(PAGE);
        discard(address, length);
        self.freed.insert(address, bytes);
        self.pinned_used -= bytes;
        Ok(())
    }

    /// Whether a host range lies in one pinned block.
    pub(crate) fn is_pinned(&self, address: u64, bytes: u64) -> bool {
        within(&self.pinned, address, bytes)
    }

    /// Whether an address is one of pinned host memory at all.
    pub(crate) fn in_pinned(&self, address: u64) -> bool {
        within(&self.pinned, address, 0)
    }

    /// Whether an address was one of pinned host memory that is freed.
    pub(crate) fn was_pinned(&self, address: u64) -> bool {
        let on_device = (self.base..self.base + SPACE).contains(&address);
        !on_device && within(&self.freed, address, 0)
    }

    /// Where the host finds `bytes` at a device address. Pinned memory is its own device address.
    ///
    /// # Errors
    /// What is wrong with the range, in a sentence.
    pub(crate) fn resolve(&self, address: u64, bytes: u64, who: &str) -> Result<u64, String> {
        if self.is_pinned(address, bytes) {
            return Ok(address);
        }
        let mapped = || {
            let (start, r) = self.reservations.range(..=address).next_back()?;
            let end = (address - start).checked_add(bytes)?;
            let mut at = address - start;
            for (offset, map) in r.maps.range(..end.max(1)) {
                if offset + map.bytes > at && map.accessible && *offset <= at {
                    at = offset + map.bytes;
                }
            }
            (at >= end && at > address - start).then_some(())
        };
        if within(&self.plain, address, bytes) || mapped().is_some() {
            return Ok(address - self.base + self.mirror);
        }
        Err(self.complain(address, bytes, who))
    }

    fn complain(&self, address: u64, bytes: u64, who: &str) -> String {
        let at = |blocks: &BTreeMap<u64, u64>| {
            blocks
                .range(..=address)
                .next_back()
                .filter(|(start, size)| address < **start + **size)
                .map(|(start, size)| (*start, *size))
        };
        let range = format!("{who}: {bytes} bytes at {address:#x}");
        if let Some((start, size)) = at(&self.plain).or_else(|| at(&self.pinned)) {
            return format!("{range} run out of the block of {size} bytes at {start:#x}");
        }
        if let Some((start, size)) = at(&self.freed) {
            return format!("{range} lie in a block of {size} bytes at {start:#x} that was freed");
        }
        format!("{range} were never allocated")
    }

    /// What is still allocated, a line each.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let plain = self.plain.iter().map(|(a, b)| ("device block", *a, *b));
        let pinned = self.pinned.iter().map(|(a, b)| ("pinned block", *a, *b));
        let reserved = self
            .reservations
            .iter()
            .map(|(a, r)| ("reserved range", *a, r.bytes));
        let chunks = self.chunks.iter().map(|(h, c)| ("chunk", *h, c.bytes));
        plain
            .chain(pinned)
            .chain(reserved)
            .chain(chunks)
            .map(|(what, at, bytes)| format!("{what} of {bytes} bytes at {at:#x}"))
            .collect()
    }

    /// Makes the mirror of a block usable.
    fn open(&self, address: u64, bytes: u64, poison: bool) -> Option<()> {
        let mirror = address - self.base + self.mirror;
        if !protect(mirror, bytes.next_multiple_of(PAGE), true) {
            return None;
        }
        if poison {
            // SAFETY: these pages were just made writable and belong to this block.
            unsafe { std::ptr::write_bytes(mirror as *mut u8, 0xFF, bytes as usize) };
        }
        Some(())
    }

    /// Takes the mirror of a block away, content and all.
    fn close(&self, address: u64, bytes: u64) {
        discard(
            address - self.base + self.mirror,
            bytes.next_multiple_of(PAGE),
        );
    }
}

fn within(blocks: &BTreeMap<u64, u64>, address: u64, bytes: u64) -> bool {
    blocks
        .range(..=address)
        .next_back()
        .is_some_and(|(start, size)| address < start + size && bytes <= start + size - address)
}

/// Addresses without memory; 0 when there are none.
fn reserve(bytes: u64) -> u64 {
    // SAFETY: a new anonymous mapping, which disturbs no other.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes as usize,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return 0;
    }
    address as u64
}

fn protect(address: u64, bytes: u64, open: bool) -> bool {
    let protection = if open {
        libc::PROT_READ | libc::PROT_WRITE
    } else {
        libc::PROT_NONE
    };
    // SAFETY: the pages are of a mapping made by `reserve`.
    unsafe { libc::mprotect(address as *mut libc::c_void, bytes as usize, protection) == 0 }
}

fn discard(address: u64, bytes: u64) {
    // SAFETY: the pages are of a mapping made by `reserve`.
    unsafe {
        libc::madvise(
            address as *mut libc::c_void,
            bytes as usize,
            libc::MADV_DONTNEED,
        )
    };
    protect(address, bytes, false);
}
