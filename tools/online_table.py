#!/usr/bin/env python3
"""`unmix nmf --online` against the full fit and scikit-learn's MiniBatchNMF on the same batches: a table of docs/nmf-family.md.

    tools/online_table.py [--seeds 401-405]

Scans of tools/second_pass_table.py (60 x 64 positions, 40 x 40 px, 1,000 counts, six states, two of them in 2 % of the
positions each), read row by row as they are measured, 1,024 positions a batch. MiniBatchNMF sees the Poisson-weighted scan
(weights of the whole scan, which a live one does not know) in the same batches by partial_fit, once and 20 times over; its
loadings are then solved exactly, as ours are. `above` is the squared weighted error over that of the full fit, less one;
`cosine` that of the worst pattern.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import warnings

import numpy
from scipy.optimize import linear_sum_assignment, nnls
from second_pass_table import NX, RARE, STATES, UNMIX, make_scan
from sklearn.decomposition import MiniBatchNMF

K, BATCH, COUNTS, SHARE = STATES + RARE, 1024, 1000, 0.02


def fit(folder, *options):
    done = subprocess.run([UNMIX, "nmf", folder / "scan.npy", "-k", str(K), "-o", folder / "r.npz", "--no-report", "-f", "--json",
                           *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    with numpy.load(folder / "r.npz") as file:
        return json.loads(done.stdout)["weighted_error"] ** 2, file["factors"].T.astype(float)


def peer(x, epochs):
    """Squared error and patterns in the weighted space."""
    model = MiniBatchNMF(K, init="nndsvda", batch_size=BATCH, random_state=0)
    rows = BATCH // NX * NX
    for _ in range(epochs):
        for start in range(0, len(x), rows):
            model.partial_fit(x[start:start + rows])
    left = sum(nnls(model.components_.T, row)[1] ** 2 for row in x)
    return left, model.components_


def worst(found, patterns):
    table = (found / numpy.linalg.norm(found, axis=1, keepdims=True)) @ (patterns / numpy.linalg.norm(patterns, axis=1)[:, None]).T
    return table[linear_sum_assignment(-table)].min()


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="401-405", help="first-last [401-405]")
    first, last = map(int, parser.parse_args().seeds.split("-"))
    rows = {"full fit": [], "unmix --online": [], "MiniBatchNMF, once": [], "MiniBatchNMF, 20 times": []}
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            scan, patterns = make_scan(seed, COUNTS, SHARE)
            numpy.save(folder / "scan.npy", scan)
            best, h = fit(folder)
            rows["full fit"].append((0, worst(h, patterns)))
            error, h = fit(folder, "--online", "--batch", str(BATCH), "--patience", "0")
            rows["unmix --online"].append((error / best - 1, worst(h, patterns)))
            x = scan.reshape(len(scan) * NX, -1).astype(float)
            a, b = x.sum(axis=1), x.sum(axis=0)
            use = b > 0
            x = x[:, use] / numpy.sqrt(a[:, None] * b[use])
            for name, epochs in (("MiniBatchNMF, once", 1), ("MiniBatchNMF, 20 times", 20)):
                error, h = peer(x, epochs)
                rows[name].append((error / best - 1, worst(h * numpy.sqrt(b[use]), patterns[:, use])))
    print(f"seeds {first}-{last}            above, %: median   worst   cosine: median   worst")
    for name, found in rows.items():
        above, cosine = zip(*found)
        print(f"{name:24} {100 * statistics.median(above):16.4f} {100 * max(above):8.4f} {statistics.median(cosine):16.4f} "
              f"{min(cosine):7.4f}")


if __name__ == "__main__":
    main()
