#!/usr/bin/env python3
"""Builds two revisions and times the same commands with both, in turns, best of several.

    tools/compare_revisions.py REV1 REV2 [--size 128x128] [--pattern-size 128x128] [-k 10] [--repeats 5] [--dir DIR]

Wall time, processor time and peak memory of REV2 relative to REV1: below 1 is better. Commands that a revision does
not know are left out. Worktrees, builds and the scan are in DIR (a temporary folder) and removed at the end.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def build(revision, folder):
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", folder, revision], check=True)
    log = folder.with_suffix(".log")
    with open(log, "w") as out:
        for command in (["meson", "setup", "build", "--buildtype=release", "-Dtests=false"], ["ninja", "-C", "build"]):
            if subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT).returncode:
                sys.exit(f"{revision} does not build:\n{log.read_text()[-2000:]}")
    return folder / "build" / "unmix"


def timed(command):
    """(wall seconds, processor seconds, peak bytes) or None when the command fails."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    return None if child.returncode else (seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def commands(scan, packed, out, k):
    result = ["-o", out / "r.npz", "--force"]
    return {
        "image": ["image", scan, "-o", out / "images", "--force"],
        "svd": ["svd", scan, "-k", k, *result],
        "nmf": ["nmf", scan, "-k", k, *result, "--no-report"],
        "nmf, one thread": ["nmf", scan, "-k", k, *result, "--no-report", "--threads", 1],
        "nmf, no weights": ["nmf", scan, "-k", k, *result, "--no-report", "--weights", "none"],
        "nmf, gzip": ["nmf", packed, "-k", k, *result, "--no-report"],
        "prep, dog": ["prep", scan, "-o", out / "p.npy", "--force", "--background", "dog:1,4"],
        "start of the tool": ["version"],
    }


def compare(options, folder):
    tools = [build(revision, folder / f"tree{i}") for i, revision in enumerate((options.first, options.second))]
    scan, packed = folder / "scan.npy", folder / "scan.hspy"
    subprocess.run([tools[1], "simulate", "-o", scan, "--size", options.size, "--pattern-size", options.pattern_size,
                    "--states", str(options.k), "--counts", "2000", "--dtype", "u8", "--quiet"], check=True)
    subprocess.run([tools[1], "convert", scan, packed, "--compression", "gzip", "--quiet"], check=True)
    print(f"{'':20s} {options.first[:12]:>12s} {options.second[:12]:>12s}   wall    cpu  memory")
    for name, words in commands(scan, packed, folder, options.k).items():
        best = [None, None]
        for _ in range(options.repeats):
            for i, tool in enumerate(tools):
                taken = timed([str(tool), *map(str, words)])
                if taken is not None:
                    best[i] = taken if best[i] is None else tuple(map(min, best[i], taken))
        if None in best:
            print(f"{name:20s} not in both")
            continue
        ratios = [new / max(old, 1e-9) for old, new in zip(*best)]
        print(f"{name:20s} {best[0][0]:10.3f} s {best[1][0]:10.3f} s {ratios[0]:6.2f} {ratios[1]:6.2f} {ratios[2]:7.2f}",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="REV1")
    parser.add_argument("second", metavar="REV2")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--pattern-size", default="128x128")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dir")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unmix-compare-", dir=options.dir) as folder:
        try:
            compare(options, pathlib.Path(folder))
        finally:
            for i in range(2):
                subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", f"{folder}/tree{i}"],
                               stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
