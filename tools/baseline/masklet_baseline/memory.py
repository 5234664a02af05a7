"""Memory of this process and of PyTorch's allocator, in the words of the journal.

A figure is ``{"value": n}``, or ``{"value": null, "reason": …}`` where there is nothing to read. They are
different views of the same bytes and are never added.
"""

from __future__ import annotations

import torch

NO_CUDA = "PyTorch keeps no allocator statistics on the CPU"


def _field(path: str, name: str) -> dict:
    try:
        with open(path, encoding="ascii", errors="replace") as lines:
            for line in lines:
                key, _, rest = line.partition(":")
                if key == name:
                    return {"value": int(rest.split()[0]) * 1024}
    except (OSError, ValueError, IndexError) as error:
        return {"value": None, "reason": f"{path} cannot be read: {error}"}
    return {"value": None, "reason": f"{path} has no line {name}"}


def rss() -> dict:
    """Resident set."""
    return _field("/proc/self/status", "VmRSS")


def pss() -> dict:
    """Proportional set; the kernel walks the page tables for it."""
    return _field("/proc/self/smaps_rollup", "Pss")


def available() -> dict:
    """``MemAvailable`` of the system."""
    return _field("/proc/meminfo", "MemAvailable")


class Watch:
    """Memory over one span: begins when made, ends with :meth:`marks`."""

    def __init__(self, device: torch.device):
        self.device = device
        self.by_frame: list[int] = []
        self._driver_low: int | None = None
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")  # the kernel's own high-water mark starts over
            self._exact = True
        except OSError:
            self._exact = False
        self._before, self._available = rss(), available()
        self._most = self._before["value"] or 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            stats = torch.cuda.memory_stats(device)
            self._retries, self._ooms = stats.get("num_alloc_retries", 0), stats.get("num_ooms", 0)

    def sample(self) -> None:
        """One frame's sample, off the clocks."""
        value = rss()["value"]
        if value is not None:
            self.by_frame.append(value)
            self._most = max(self._most, value)
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            self._driver_low = free if self._driver_low is None else min(free, self._driver_low)

    def marks(self) -> dict:
        """The journal's ``memory`` of a row."""
        after = rss()
        # The kernel's mark is of the whole span, but counts in coarser steps than the samples.
        mark = _field("/proc/self/status", "VmHWM")["value"] if self._exact else None
        most = max(self._most, after["value"] or 0, mark or 0)
        peak = {"value": most} if most else {"value": None, "reason": "no sample was taken"}
        return {"arena": None, "rss_before_bytes": self._before, "rss_after_bytes": after, "rss_peak_bytes": peak,
                "pss_after_bytes": pss(), "available_before_bytes": self._available,
                "available_after_bytes": available(), "rss_by_frame_bytes": self.by_frame,
                "allocator": self._allocator()}

    def _allocator(self) -> dict:
        names = ("allocated_peak_bytes", "reserved_peak_bytes", "inactive_split_peak_bytes", "alloc_retries", "ooms",
                 "driver_used_peak_bytes")
        if self.device.type != "cuda":
            return {name: {"value": None, "reason": NO_CUDA} for name in names}
        stats = torch.cuda.memory_stats(self.device)
        self.sample_driver()
        _, total = torch.cuda.mem_get_info(self.device)

        def stat(key: str) -> dict:
            value = stats.get(key)
            return {"value": value} if value is not None else {
                "value": None, "reason": f"this allocator ({torch.cuda.get_allocator_backend()}) keeps no {key}"}

        values = (stat("allocated_bytes.all.peak"), stat("reserved_bytes.all.peak"),
                  stat("inactive_split_bytes.all.peak"),
                  {"value": stats.get("num_alloc_retries", 0) - self._retries},
                  {"value": stats.get("num_ooms", 0) - self._ooms}, {"value": total - self._driver_low})
        return dict(zip(names, values))

    def sample_driver(self) -> None:
        """The driver's view once more, for spans without a frame."""
        free, _ = torch.cuda.mem_get_info(self.device)
        self._driver_low = free if self._driver_low is None else min(free, self._driver_low)


def now(device: torch.device) -> dict:
    """What a state line says of memory: bytes, or null where there is none."""
    found = {"rss_bytes": rss()["value"], "allocated_bytes": None, "reserved_bytes": None, "driver_free_bytes": None}
    if device.type == "cuda":
        found |= {"allocated_bytes": torch.cuda.memory_allocated(device),
                  "reserved_bytes": torch.cuda.memory_reserved(device),
                  "driver_free_bytes": torch.cuda.mem_get_info(device)[0]}
    return found
