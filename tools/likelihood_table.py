#!/usr/bin/env python3
"""`unmix nmf --loss kl` against squared errors at few counts, on scans with a known answer: a table of docs/nmf-family.md.

    tools/likelihood_table.py [--seeds 201-205] [--counts 100 300 1000]
    tools/likelihood_table.py --peer [SCAN.hdf5]

A line a dose: mean cosine of the components to the true patterns, medians over the seeds, for squared errors, squared
errors weighted by Poisson noise, and the likelihood; and in how many seeds the likelihood's is the higher one.

With --peer: the divergence and the time of unmix and of scikit-learn (solver='mu', init='nndsvda') on its digits and, when
given, on a scan, in one run; scikit-learn goes on until it is within 0.1 % of unmix or has made 1,000 iterations.
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


def race(name, path, x, k):
    import time
    import warnings
    from sklearn.decomposition import NMF
    from sklearn.decomposition._nmf import _initialize_nmf
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fit = run("nmf", path, "-k", k, "--loss", "kl", "--tolerance", 1e-4, "-o", pathlib.Path(folder) / "r.npz", "--no-report",
                  *(["--start", "nndsvda"] if x.shape[1] > 10 * x.shape[0] else []))
        ours = time.perf_counter() - start
    start = time.perf_counter()
    w, h = _initialize_nmf(x, k, init="nndsvda", random_state=0)
    done = 0
    while done < 1000:
        model = NMF(k, init="custom", solver="mu", beta_loss="kullback-leibler", max_iter=25, tol=0)
        w = model.fit_transform(x, W=w, H=h)
        h, done = model.components_, done + 25
        theirs = time.perf_counter() - start
        if model.reconstruction_err_**2 / 2 <= 1.001 * fit["divergence"] or theirs > 60:
            break
    print(f"{name} k = {k}: unmix {fit['divergence']:.6g} in {ours:.2f} s ({fit['iterations']} visits), scikit-learn "
          f"{model.reconstruction_err_**2 / 2:.6g} in {theirs:.1f} s ({done} iterations): {theirs / ours:.0f} times", flush=True)


def peer(scan):
    import numpy
    from sklearn.datasets import load_digits
    digits = load_digits().data.astype(numpy.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "digits.npy"
        numpy.save(path, digits.astype(numpy.uint8))
        for k in (8, 16):
            race("digits", path, digits, k)
    if scan:
        import h5py
        with h5py.File(scan, "r") as file:
            x = file["fpd_expt/fpd_data/data"][...].astype(numpy.float32)
        race(pathlib.Path(scan).name, scan, x.reshape(x.shape[0] * x.shape[1], -1), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="201-205", help="first-last [201-205]")
    parser.add_argument("--counts", nargs="*", type=float, default=[100, 300, 1000])
    parser.add_argument("--peer", nargs="?", const="", metavar="SCAN.hdf5")
    arguments = parser.parse_args()
    if arguments.peer is not None:
        peer(arguments.peer)
        return
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
