#!/usr/bin/env python3
"""What `unmix nmf --second-pass auto` finds of phases that four components miss: a table of docs/nmf-family.md.

    tools/second_pass_table.py [--seeds 301-310]

Scans of 60 x 64 positions and 40 x 40 px: grains of four lattices of spots that share a direct beam and a diffuse
background, and two rare ones in discs of some 8 positions that each take 0.2, 0.5 or 2 % of the scan. A line a dose and
share, over all seeds: phases found (a component with a cosine above 0.9 and nearer to it than to any other), their median
cosine beside that of `-k 6`, components too many, and positions beyond counting noise before and after.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import numpy
from scipy.optimize import linear_sum_assignment

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNMIX = os.environ.get("UNMIX", str(ROOT / "build" / "unmix"))
NY, NX, SIDE, STATES, RARE, FOUND = 60, 64, 40, 4, 2, 0.9


def lattice(rng):
    y, x = numpy.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    turn, opening = rng.uniform(0, numpy.pi), rng.uniform(1.05, 2.0)
    a, b = rng.uniform(6, 11, 2)
    pattern = 40 * numpy.exp(-(y**2 + x**2) / 8) + 0.3 * numpy.exp(-(y**2 + x**2) / 200)
    for i in range(-6, 7):
        for j in range(-6, 7):
            cy = i * a * numpy.sin(turn) + j * b * numpy.sin(turn + opening)
            cx = i * a * numpy.cos(turn) + j * b * numpy.cos(turn + opening)
            if i or j:
                strength = 4 * rng.gamma(1.5) * numpy.exp(-(cy**2 + cx**2) / 300)
                pattern += strength / (1 + numpy.exp((numpy.hypot(y - cy, x - cx) - 1.8) / 0.4))
    return (pattern / pattern.sum()).ravel()


def make_scan(seed, counts, share):
    rng = numpy.random.default_rng([seed, 77])
    patterns = numpy.array([lattice(rng) for _ in range(STATES + RARE)])
    y, x = numpy.mgrid[:NY, :NX]
    at = rng.uniform(0, 1, (2, 14)) * numpy.array([NY, NX])[:, None]
    labels = (numpy.arange(14) % STATES)[numpy.argmin((y[..., None] - at[0])**2 + (x[..., None] - at[1])**2, axis=2)]
    for state in range(STATES, STATES + RARE if share else STATES):
        while (labels == state).mean() < share:
            labels[(y - rng.uniform(0, NY))**2 + (x - rng.uniform(0, NX))**2 <= 1.6**2] = state
    return rng.poisson(counts * patterns[labels.ravel()]).reshape(NY, NX, SIDE, SIDE).astype("u2"), patterns


def fit(folder, k, *options):
    done = subprocess.run([UNMIX, "nmf", folder / "scan.npy", "-k", str(k), "-o", folder / "r.npz", "--no-report", "-f", "--json",
                           *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    with numpy.load(folder / "r.npz") as file:
        return json.loads(done.stdout), file["factors"].T.astype(float)


def cosines(found, patterns):
    """Of the rare phases, each with the component that is its own."""
    table = (found / numpy.linalg.norm(found, axis=1, keepdims=True)) @ (patterns / numpy.linalg.norm(patterns, axis=1)[:, None]).T
    component, state = linear_sum_assignment(-table)
    own = dict(zip(state, table[component, state] * (table[component].argmax(axis=1) == state)))
    return [own.get(s, 0.0) for s in range(STATES, STATES + RARE)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="301-310", help="first-last [301-310]")
    first, last = map(int, parser.parse_args().seeds.split("-"))
    seeds = range(first, last + 1)
    print("counts  share %  found   cosine  cosine of -k 6  too many  beyond before  after")
    for counts in (200, 1000, 5000):
        for share in (0, 0.002, 0.005, 0.02):
            ours, theirs, extra, before, after = [], [], 0, [], []
            for seed in seeds:
                with tempfile.TemporaryDirectory() as folder:
                    folder = pathlib.Path(folder)
                    scan, patterns = make_scan(seed, counts, share)
                    numpy.save(folder / "scan.npy", scan)
                    told, h = fit(folder, STATES, "--second-pass", "auto")
                    told = told["second_pass"]
                    before.append(told["positions_before"])
                    after.append(told["positions_after"])
                    got = cosines(h, patterns) if share else [0, 0]
                    extra += told["components"] - sum(c > FOUND for c in got)
                    ours += got
                    theirs += cosines(fit(folder, STATES + RARE)[1], patterns) if share else [0, 0]
            found = sum(c > FOUND for c in ours)
            middle = [f"{statistics.median(c for c in list if c > FOUND):.3f}" if any(c > FOUND for c in list) else "-"
                      for list in (ours, theirs)]
            most = RARE * len(ours) // RARE if share else 0
            print(f"{counts:6}  {100 * share:7.1f}  {found:2} of {most:2}  {middle[0]:>6}  {middle[1]:>7} ({sum(c > FOUND for c in theirs):2})"
                  f"  {extra:8}  {statistics.median(before):13.0f}  {statistics.median(after):5.0f}", flush=True)


if __name__ == "__main__":
    main()
