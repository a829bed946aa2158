#!/usr/bin/env python3
"""Crystals found by `unmix segment` on overlapping MgO cubes, with and without precession: the table of docs/segment.md.

usage: segment_table.py [--unmix build/unmix] [--seeds 2001-2005] [--routes nmf,vdf] [--folder DIR]
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


def crystals(tool, folder, seed, precession, route):
    scan, truth, fit, out = (folder / name for name in ("scan.hspy", "truth.npz", "nmf.npz", "segments.npz"))
    run(tool, "simulate", "nanoparticles", "-o", scan, "--truth", truth, "--seed", seed, "--set",
        f"precession_mrad={precession}")
    if route == "nmf":
        run(tool, "nmf", scan, "-o", fit, "--no-report")
    done = run(tool, "segment", fit if route == "nmf" else scan, "--route", route, "-o", out, "--no-report")
    return {**run(tool, "score", out, truth)["crystals"], "classes": done["k"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--seeds", default="2001-2005")
    parser.add_argument("--routes", default="nmf,vdf")
    parser.add_argument("--folder")
    options = parser.parse_args()
    first, last = (int(x) for x in options.seeds.split("-"))
    seeds = range(first, last + 1)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print("| route | precession | seed | classes | crystals | found | false | right state | F1 | mean IoU |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for route in options.routes.split(","):
            for precession in (0, 20):
                rows = [crystals(options.unmix, pathlib.Path(folder), seed, precession, route) for seed in seeds]
                head = f"| {route} | {precession} mrad |"
                for seed, r in zip(seeds, rows):
                    print(f"{head} {seed} | {r['classes']} | {r['particles']} | {r['hits']} | {r['found'] - r['hits']} | "
                          f"{r['right_state']} | {r['f1']:.3f} | {r['iou']:.3f} |", flush=True)
                found, hits, there = (sum(r[name] for r in rows) for name in ("found", "hits", "particles"))
                print(f"{head} **all** | | {there} | {hits} | {found - hits} | {sum(r['right_state'] for r in rows)} | "
                      f"**{2 * hits / (found + there):.3f}** | {statistics.mean(r['iou'] for r in rows):.3f} |", flush=True)


if __name__ == "__main__":
    main()
