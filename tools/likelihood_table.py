#!/usr/bin/env python3
"""`unmix nmf --loss kl` against squared errors at few counts, on scans with a known answer: a table of docs/nmf-family.md.

    tools/likelihood_table.py [--seeds 201-205] [--counts 100 300 1000]

A line a dose: mean cosine of the components to the true patterns, medians over the seeds, for squared errors, squared
errors weighted by Poisson noise, and the likelihood; and in how many seeds the likelihood's is the higher one.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNMIX = os.environ.get("UNMIX", str(ROOT / "build" / "unmix"))
FITS = {"squares": ["--weights", "none"], "weighted": ["--weights", "poisson"], "likelihood": ["--loss", "kl"]}
STATES = 6


def run(*words):
    done = subprocess.run([UNMIX, *map(str, words), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"unmix {' '.join(map(str, words))}: {done.stderr}")
    return json.loads(done.stdout)


def cosines(folder, seed, counts):
    run("simulate", "-o", folder / "scan.npy", "--truth", folder / "truth.hspy", "--force", "--seed", seed, "--counts", counts,
        "--states", STATES, "--size", "60x60", "--pattern-size", "64x64", "--border", 1)
    found = {}
    for name, options in FITS.items():
        run("nmf", folder / "scan.npy", "-k", STATES, "-o", folder / "r.hspy", "--force", "--no-report", *options)
        found[name] = run("score", folder / "r.hspy", folder / "truth.hspy")["cosine"]
        found[name] = statistics.mean(found[name]) if isinstance(found[name], list) else found[name]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="201-205", help="first-last [201-205]")
    parser.add_argument("--counts", nargs="*", type=float, default=[100, 300, 1000])
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split("-"))
    print("counts   " + "  ".join(f"{name:>10}" for name in FITS) + "  above squares  above weighted")
    for counts in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            found = [cosines(pathlib.Path(folder), seed, counts) for seed in range(first, last + 1)]
        middle = {name: statistics.median(f[name] for f in found) for name in FITS}
        above = [sum(f["likelihood"] > f[name] for f in found) for name in ("squares", "weighted")]
        print(f"{counts:6g}   " + "  ".join(f"{middle[name]:10.5f}" for name in FITS)
              + f"  {above[0]:>8}/{len(found)}  {above[1]:>9}/{len(found)}", flush=True)


if __name__ == "__main__":
    main()
