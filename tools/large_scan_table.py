#!/usr/bin/env python3
"""Makes the table of docs/large-scans.md: how fast simulated scans are written, beside the disk's own rate in the same run.

    tools/large_scan_table.py [--unmix build/unmix] [--folder .] [--positions 300000] [--formats npy,blo,lz4,blosc,gzip,foil]
                              [--threads 2] [--json FILE]

The scan is the lamella of a nanowire of 144x144 px as u8, 512 positions wide, as many rows as give --positions (1126400 is
the whole lamella); `foil` is the Al-Cu-Li foil of 512x512 positions of 128x128 px, in LZ4. Disk is what dd writes with
oflag=direct and with conv=fsync before and after each scan, in files as large as the scan, of at most 2 GB. A scan is good
that has 30,000 patterns/s, or half of the faster of the two rates by dd. Clocks are meant for an otherwise idle machine;
processor time per pattern holds under load too.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

LAMELLA = {"step_nm": 1, "diameter_nm": 450, "lamella_nm": 80, "segment_nm": 120, "wurtzite_nm": 300}
ROWS, PATTERN, FOIL_PATTERN = 512, 144, 128
GOOD_RATE, GOOD_SHARE, MOST_DD = 30000, 0.5, 2 << 30
SUFFIX = {"npy": "npy", "blo": "blo"}
COLUMNS = ("scan", "format", "size", "clock", "patterns/s", "written", "disk, direct", "disk, cached", "of the disk",
           "processor per pattern", "peak memory", "good")


def timed(command):
    """(seconds, processor seconds, peak bytes) of a command that must succeed."""
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    words = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(words.decode().strip())
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def disk_rates(folder, size):
    """Bytes/s that dd writes: past the page cache, and through it until all is on the disk."""
    megabytes = max(64, min(size, MOST_DD) >> 20)
    path = folder / "large_scan_table.dd"
    rates = []
    for how in ("oflag=direct", "conv=fsync"):
        seconds = timed(["dd", "if=/dev/zero", f"of={path}", "bs=4M", f"count={max(1, megabytes // 4)}", how])[0]
        rates.append(max(1, megabytes // 4) * (4 << 20) / seconds)
        path.unlink()
    return rates


def simulate(options, scan, path):
    foil = scan == "foil"
    columns = ROWS if foil else max(1, round(options.positions / ROWS))
    pixels = FOIL_PATTERN if foil else PATTERN
    values = {"pixel_per_A": 0.0245} if foil else LAMELLA
    sets = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    compression = ["--compression", "lz4" if foil else scan] if path.suffix == ".hspy" else []
    command = [options.unmix, "simulate", "precipitates" if foil else "nanowire", "-o", path, "--size", f"{ROWS}x{columns}",
               "--pattern-size", f"{pixels}x{pixels}", "--dtype", "u8", "--counts", 1000, "--seed", 1, "--threads",
               options.threads, "--progress", "none", "--force", *compression, *sets]
    return ROWS * columns, timed(command)


def measure(options, scan):
    path = options.folder / f"large_scan_table.{SUFFIX.get(scan, 'hspy')}"
    before = disk_rates(options.folder, options.positions * PATTERN * PATTERN if scan in SUFFIX else 1 << 29)
    positions, (clock, processor, peak) = simulate(options, scan, path)
    size = path.stat().st_size
    path.unlink()
    after = disk_rates(options.folder, size)
    direct, cached = (0.5 * (a + b) for a, b in zip(before, after))
    share = size / clock / max(direct, cached)
    return {"scan": "foil" if scan == "foil" else "lamella", "format": "lz4" if scan == "foil" else scan, "positions": positions,
            "bytes": size, "seconds": clock, "patterns_per_second": positions / clock, "bytes_per_second": size / clock,
            "disk_direct": direct, "disk_cached": cached, "of_disk": share, "processor_us": 1e6 * processor / positions,
            "peak_bytes": peak, "good": positions / clock >= GOOD_RATE or share >= GOOD_SHARE}


def line(row):
    return (row["scan"] + f", {row['positions']:,}", row["format"], f"{row['bytes'] / 1e9:.2f} GB", f"{row['seconds']:.1f} s",
            f"{row['patterns_per_second']:,.0f}", *(f"{row[key] / 1e6:.0f} MB/s" for key in
                                                    ("bytes_per_second", "disk_direct", "disk_cached")),
            f"{row['of_disk']:.2f}", f"{row['processor_us']:.0f} us", f"{row['peak_bytes'] / 1e6:.0f} MB",
            "yes" if row["good"] else "no")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--positions", type=int, default=300000)
    parser.add_argument("--formats", default="npy,blo,lz4,blosc,gzip,foil")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    rows = []
    for scan in options.formats.split(","):
        rows.append(measure(options, scan))
        print("| " + " | ".join(line(rows[-1])) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
