"""What the kernel knows of a process of this machine."""

from __future__ import annotations

from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return what the process's threads used of a CPU so far, in user and in kernel mode; not those that ended."""
    # In nanoseconds, where /proc/<pid>/stat counts hundredths.
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1_000_000_000


def peak_megabytes(pid: int) -> float:
    """Return the most memory that the process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) / 1024
