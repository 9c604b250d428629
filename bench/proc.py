"""What the kernel knows of a process, read from /proc: the server never reports on itself."""

import os
from collections.abc import Collection
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, of all threads of `pid`; resolution 10 ms."""
    # The command name, in parentheses, may hold spaces: fields count from behind it (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / _TICKS_PER_SECOND


def busy_seconds(cores: Collection[int]) -> float:
    """Return the CPU seconds since boot in which `cores` were not idle, the host's theft included.

    Resolution 10 ms a core; /proc/stat, whose fields are those of proc(5).
    """
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_guests = map(int, fields)
            total += user + nice + system + irq + softirq + steal
    return total / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Return the resident memory of `pid` (VmRSS), in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended: it has no memory to measure")


def is_bound(port: int) -> bool:
    """Tell whether a socket listens on the TCP `port` of IPv4, or is bound to the UDP port."""
    listens = f":{port:04X} 00000000:0000 "
    return any(
        listens in line and (protocol == "udp" or f"{listens}0A " in line)
        for protocol in ("tcp", "udp")
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()
    )
