#!/usr/bin/env python3
"""Variants of `unmix nmf` beside the plain fit, on scans with a known answer: the table of docs/nmf-family.md.

    tools/family_table.py [--seeds 101-105] [--case border ...]

Prints a line a variant, medians over the seeds: what the variant costs in fit (squared weighted error over that of the
plain fit with as many components as are left, less one; `begun` over that of the plain fit it began at), the root mean square error of the fractions, the power of the maps beyond what the probe lets
through (median over states), dips (median over states), and the worst cosine of a pattern. `better` counts the seeds in
which the measure of the variant's artefact fell.
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

# Scan, components, and variants with the measure that each is for.
CASES = {
    "border": (["--size", "48x48", "--pattern-size", "48x48", "--border", "1.2", "--counts", "500", "--states", "5"], 5,
               [("--probe 1.2", "beyond"), ("--smooth 0.01", "beyond"), ("--orthogonal 0.05", "fractions"),
                ("--sparse-loadings 1", "fractions"), ("--sparse-patterns 1", "fractions"), ("--dips 0.01", "dips"), ("--dips 0.03", "dips")]),
    "sharp": (["--size", "48x48", "--pattern-size", "48x48", "--border", "0.4", "--counts", "500", "--states", "5"], 5,
              [("--orthogonal 0.05", "fractions"), ("--orthogonal 0.02", "fractions"),
               ("--sparse-loadings 1", "fractions")]),
    "many": (["--size", "48x48", "--pattern-size", "48x48", "--border", "1.2", "--counts", "500", "--states", "5"], 9,
             [("--ard", "fractions")]),
}


def run(*words):
    done = subprocess.run([UNMIX, *map(str, words), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"unmix {' '.join(map(str, words))}: {done.stderr}")
    return json.loads(done.stdout)


def measure(folder, k, options):
    fit = run("nmf", folder / "scan.npy", "-k", k, "-o", folder / "r.hspy", "--force", "--no-report", *options)
    score = run("score", folder / "r.hspy", folder / "truth.hspy")
    cost = fit.get("fit_cost")
    if fit["k"] != k:
        same = run("nmf", folder / "scan.npy", "-k", fit["k"], "-o", folder / "r.hspy", "--force", "--no-report")
        cost = (fit["weighted_error"] / same["weighted_error"]) ** 2 - 1
    states = score["per_class"]
    beyond = [s["beyond_cut_off_found"] for s in states if s["beyond_cut_off_found"] is not None]
    dips = [s["dip"] for s in states if s["dip"] is not None]
    return {"cost": cost, "begun": fit.get("fit_cost"), "k": fit["k"], "fractions": score["fraction_rms"],
            "beyond": statistics.median(beyond) if beyond else float("nan"),
            "dips": statistics.median(dips) if dips else float("nan"),
            "cosine": min(s["cosine"] for s in states)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="101-105", help="first-last [101-105]")
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split("-"))
    print("scan    variant                   cost %  begun  k  fractions   beyond     dips   cosine  better")
    for name in arguments.case:
        simulation, k, variants = CASES[name]
        rows = {option: [] for option in ["plain", *(v for v, _ in variants)]}
        for seed in range(first, last + 1):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                run("simulate", "-o", folder / "scan.npy", "--truth", folder / "truth.hspy", "--seed", seed, *simulation)
                for option, found in rows.items():
                    found.append(measure(folder, k, option.split() if option != "plain" else []))
        aims = dict(variants)
        for option, found in rows.items():
            middle = {key: statistics.median(f[key] for f in found) for key in ("k", "fractions", "beyond", "dips", "cosine")}
            cost, begun = ("" if option == "plain" else f"{100 * statistics.median(f[key] for f in found):.3f}"
                           for key in ("cost", "begun"))
            better = ""
            if option in aims:
                key = aims[option]
                better = f"{sum(a[key] < b[key] for a, b in zip(found, rows['plain']))}/{len(found)} {key}"
            print(f"{name:7} {option:24} {cost:>7} {begun:>6} {middle['k']:2.0f}  {middle['fractions']:9.4f} {middle['beyond']:8.5f} "
                  f"{middle['dips']:8.4f} {middle['cosine']:8.5f}  {better}")


if __name__ == "__main__":
    main()
