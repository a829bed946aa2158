#!/usr/bin/env python3
"""Crystals found by `unmix segment` on overlapping MgO cubes, with and without precession: the table of docs/segment.md.

usage: segment_table.py [--unmix build/unmix] [--seeds 2001-2005] [--folder DIR]
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile


def run(tool, *arguments):
    done = subprocess.run([tool, *map(str, arguments), "--threads", "1", "--force", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def crystals(tool, folder, seed, precession):
    scan, truth, fit, out = (folder / name for name in ("scan.hspy", "truth.npz", "nmf.npz", "segments.npz"))
    run(tool, "simulate", "nanoparticles", "-o", scan, "--truth", truth, "--seed", seed, "--set",
        f"precession_mrad={precession}")
    k = run(tool, "nmf", scan, "-o", fit, "--no-report")["k"]
    done = run(tool, "segment", fit, "-o", out, "--no-report")
    return {**run(tool, "score", out, truth)["crystals"], "k": k, "classes": done["k"], "route": "nmf"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--seeds", default="2001-2005")
    parser.add_argument("--folder")
    options = parser.parse_args()
    first, last = (int(x) for x in options.seeds.split("-"))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print("| precession | seed | k | classes | crystals | found | false | right state | F1 | mean IoU |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for precession in (0, 20):
            rows = [crystals(options.unmix, pathlib.Path(folder), seed, precession) for seed in range(first, last + 1)]
            for seed, r in zip(range(first, last + 1), rows):
                print(f"| {precession} mrad | {seed} | {r['k']} | {r['classes']} | {r['particles']} | {r['hits']} | "
                      f"{r['found'] - r['hits']} | {r['right_state']} | {r['f1']:.3f} | {r['iou']:.3f} |", flush=True)
            found, hits, there = (sum(r[name] for r in rows) for name in ("found", "hits", "particles"))
            print(f"| {precession} mrad | all | | | {there} | {hits} | {found - hits} | {sum(r['right_state'] for r in rows)} | "
                  f"{2 * hits / (found + there):.3f} | {statistics.mean(r['iou'] for r in rows):.3f} |", flush=True)


if __name__ == "__main__":
    main()
