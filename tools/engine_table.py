#!/usr/bin/env python3
"""Prints how good the engine is on generated scans, a line a scan (see tests/oracle/engine_reference.py for the words).

    tools/engine_table.py [--unmix build/unmix] [--kinds D0,D1] [--seeds 1-10] [--cache DIR] [--json FILE] [-- NMF OPTIONS]

The best solutions known take minutes a scan; with --cache they are kept and improved on from run to run.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "oracle"))
import engine_reference  # noqa: E402
from engine_reference import engine_scans  # noqa: E402

COLUMNS = (("kind", "{}"), ("seed", "{}"), ("reads", "{:.2f}"), ("visits", "{:.2f}"), ("passes", "{:.0f}"), ("seconds", "{:.2f}"),
           ("excess_of_floor", "{:.4f}"), ("worst_to_best", "{:.4f}"), ("nearest", "{:.4f}"), ("subspace", "{:.4f}"),
           ("rare_to_truth", "{:.3f}"), ("best_rare_to_truth", "{:.3f}"), ("worst_to_truth", "{:.3f}"),
           ("detectable", "{:.2f}"), ("reported_off", "{:.0e}"))


def load_known(path):
    if path is None or not path.exists():
        return []
    with numpy.load(path) as stored:
        return [(float(f), w.astype("f8"), h.astype("f8"))
                for f, w, h in zip(stored["objective"], stored["w"], stored["h"])]


def save_known(path, known):
    objective, w, h = zip(*known)
    numpy.savez(path, objective=objective, w=numpy.array(w, "f4"), h=numpy.array(h, "f4"))


def make_scan(options, kind, seed, folder):
    """(path, counts, answer); a scan in the cache is not made again."""
    path = (options.cache or folder) / f"{kind}-{seed}.npy"
    if options.cache and path.exists():
        return path, numpy.load(path), engine_scans.truth(kind, seed)
    counts, answer = engine_scans.scan(kind, seed)
    numpy.save(path, counts)
    return path, counts, answer


def measure(options, kind, seed, folder):
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
    scan, counts, answer = make_scan(options, kind, seed, folder)

    def run(path, *more):
        command = [options.unmix, "nmf", scan, "-k", engine_reference.K, "-o", path, "--no-report",
                   "--no-checkpoint", "--json", "--force", *more]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())
        return json.loads(done.stdout)

    problem = engine_reference.Problem(counts, answer)
    cached = options.cache / f"{kind}-{seed}.npz" if options.cache else None
    known = load_known(cached)
    if not known:
        known = engine_reference.best_known(problem, run, folder, 100, True)
    report = run(folder / "result.npz", *options.nmf)
    row = engine_reference.judge(problem, known, folder / "result.npz", report)
    if cached and row["objective"] < known[0][0]:
        known.insert(0, (row["objective"], *engine_reference.factors(folder / "result.npz")))
    if cached:
        save_known(cached, known)
    row.update(kind=kind, seed=seed, reported_off=row["reported"] / row["objective"] - 1, report=report)
    return row


def show(row):
    print("  ".join((form.format(row[name]) if row[name] is not None else "-").rjust(len(name))
                    for name, form in COLUMNS), flush=True)


def summary(kind, rows):
    count = len(rows)
    print(f"{kind}: of {count} seeds: reads <= 3.1 {sum(r['reads'] <= 3.1 for r in rows)}, visits <= 3.1 {sum(r['visits'] <= 3.1 for r in rows)}, "
          f"excess <= floor {sum(r['excess_of_floor'] <= 1 for r in rows)}, "
          f"worst component >= 0.99 {sum(r['worst_to_best'] >= 0.99 for r in rows)} "
          f"(nearest {sum((r['nearest'] or 0) >= 0.99 for r in rows)}, "
          f"subspace {sum(r['subspace'] >= 0.99 for r in rows)}), "
          f"rare state found (cosine > 0.6) {sum(r['rare_to_truth'] > 0.6 for r in rows)} "
          f"(by the best known {sum(r['best_rare_to_truth'] > 0.6 for r in rows)})")


def numbers(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--kinds", default="D0,D1,D2,D3")
    parser.add_argument("--seeds", type=numbers, default=numbers("1-10"))
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("nmf", nargs="*", help="options of unmix nmf, after --")
    options = parser.parse_args()
    print("  ".join(name for name, _ in COLUMNS))
    everything = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds.split(","):
            rows = []
            for seed in options.seeds:
                rows.append(measure(options, kind, seed, pathlib.Path(folder)))
                show(rows[-1])
            summary(kind, rows)
            everything += rows
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
