#!/usr/bin/env python3
"""Makes the tables of docs/choose.md: `unmix choose` on simulated scans whose noise-free values are known.

    tools/choose_table.py [--unmix build/unmix] [--first 8000] [--cases 50] [--empty 20] [--json OUT.json]

Case i has the seed FIRST + i, which decides everything: the kind (layout: `unmix simulate` with built-in crystals;
lattice: the generator of the engine's tests, with or without a common background; specimen: nanoparticles on a film,
none bent), 3 to 12 states, 1e3 to 1e5 counts a pattern, 40 to 56 positions a side,
patterns of 40 x 40 pixels.

The truth is the number of *distinguishable states*: singular values of the noise-free scan, weighted so that
counting noise has unit variance in each row and column, above (N M)^(1/4). From smaller ones the noise leaves no trace in
the singular values of what is measured (Baik, Ben Arous & Peche 2005; Benaych-Georges & Nadakuditi 2012).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import scipy.sparse.linalg

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "gen"))
import engine_scans  # noqa: E402

SIDE = 40  # of patterns


class NoScan(Exception):
    """The seed decides on something that cannot be measured; the next seed takes its place."""


def distinguishable(mean):
    """Of noise-free counts, positions x pixels."""
    mean = mean[mean.sum(1) > 0][:, mean.sum(0) > 0].astype("f8")
    n, m = mean.shape
    p, q = numpy.ones(n), numpy.ones(m)
    for _ in range(20):
        p = m / (mean @ q)
        q = n / (p @ mean)
    white = numpy.sqrt(p)[:, None] * mean * numpy.sqrt(q)
    values = scipy.sparse.linalg.svds(white, k=25, return_singular_vectors=False, random_state=0)
    return int((values > (n * m) ** 0.25).sum())


def run(unmix, *words):
    return subprocess.run([str(unmix), *map(str, words)], check=True, capture_output=True, text=True).stdout


def of_simulate(unmix, folder, words, counts, seed):
    """Noise-free values and a scan with noise, by `unmix simulate`."""
    common = [*words, "--counts", counts, "--seed", seed, "-q", "-f"]
    run(unmix, "simulate", *common, "-o", folder / "mean.npy", "--truth", folder / "truth.npz", "--no-noise",
        "--dtype", "f32")
    run(unmix, "simulate", *common, "-o", folder / "scan.npy", "--truth", folder / "truth.npz")
    mean = numpy.load(folder / "mean.npy")
    return mean.reshape(mean.shape[0] * mean.shape[1], -1)


def layout(unmix, folder, rng, seed, states, counts, side):
    words = ["--layout", rng.choice(["voronoi", "stripes", "discs"]), "--states", states, "--size", f"{side}x{side}",
             "--pattern-size", f"{SIDE}x{SIDE}"]
    return of_simulate(unmix, folder, words, counts, seed), f"layout {words[1]}"


def lattice(unmix, folder, rng, seed, states, counts, side):
    background = float(rng.choice([0, 0.5, 0.8, 0.95]))
    engine_scans.SCAN, engine_scans.SIDE = (side, side), SIDE
    engine_scans.STATES, engine_scans.RARE = states, states - 1
    engine_scans.KINDS = {"case": (counts, background)}
    answer = engine_scans.truth("case", seed)
    if answer.W.min() < 0:
        raise NoScan("its map of thickness has negative values")
    counts_of_scan, answer = engine_scans.scan("case", seed, answer)
    numpy.save(folder / "scan.npy", counts_of_scan)
    return answer.W @ answer.H, f"lattices, {100 * background:.0f} % background"


def specimen(unmix, folder, rng, seed, states, counts, side):
    words = ["nanoparticles"]
    for key, value in {"ny": side, "nx": side, "ky": SIDE, "kx": SIDE, "pixel_per_A": 0.078, "cubes": states,
                       "thickness_step_nm": 1000}.items():
        words += ["--set", f"{key}={value}"]
    return of_simulate(unmix, folder, words, counts, seed), "nanoparticles on a film"


def empty(folder, rng, side):
    """Noise about one value, or about one pattern."""
    counts = 10 ** rng.uniform(2, 5)
    y, x = numpy.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    pattern = numpy.exp(-(y**2 + x**2) / rng.uniform(50, 500)) if rng.random() < 0.5 else numpy.ones((SIDE, SIDE))
    thickness = numpy.exp(rng.choice([0, 0.2]) * rng.standard_normal((side, side)))
    mean = counts * pattern / pattern.sum() * thickness[..., None, None]
    numpy.save(folder / "scan.npy", rng.poisson(mean).astype("u2"))
    return "one value" if pattern.min() == 1 else "one pattern"


def choose(unmix, folder, name):
    result = json.loads(run(unmix, "choose", folder / "scan.npy", "--k", "2..14", "--json"))
    return {"name": name} | result


def make(unmix, seed, with_structure):
    rng = numpy.random.default_rng([seed, 505])
    side = int(rng.integers(40, 57))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if not with_structure:
            return choose(unmix, folder, empty(folder, rng, side)) | {"seed": seed}
        states = int(rng.integers(3, 13))
        counts = float(f"{10 ** rng.uniform(3, 5):.2g}")
        kind = [layout, lattice, layout, lattice, specimen][seed % 5]
        mean, name = kind(unmix, folder, rng, seed, states, counts, side)
        return choose(unmix, folder, name) | {"seed": seed, "states": states, "counts": counts, "side": side,
                                              "truth": distinguishable(mean)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default=ROOT / "build" / "unmix", type=pathlib.Path)
    parser.add_argument("--first", default=8000, type=int, help="seed of the first case")
    parser.add_argument("--cases", default=50, type=int)
    parser.add_argument("--empty", default=20, type=int, help="scans without structure")
    parser.add_argument("--json", type=pathlib.Path, help="keep all that was told")
    options = parser.parse_args()
    done, hits, widths = [], 0, []
    print("| seed | kind | states | counts | distinguishable | recommended | range |\n|---|---|---|---|---|---|---|")
    seed = options.first - 1
    while len(done) < options.cases:
        seed += 1
        try:
            r = make(options.unmix, seed, True)
        except NoScan as problem:
            print(f"seed {seed} is left out: {problem}", file=sys.stderr, flush=True)
            continue
        done.append(r)
        hit = r["low"] <= r["truth"] <= r["high"]
        hits += hit
        widths.append(r["high"] - r["low"] + 1)
        print(f"| {seed} | {r['name']} | {r['states']} | {r['counts']:g} | {r['truth']} | {r['recommended']} | "
              f"{r['low']}..{r['high']}{'' if hit else ' **missed**'} |", flush=True)
    quiet = 0
    for seed in range(options.first, options.first + options.empty):
        r = make(options.unmix, seed, False)
        done.append(r)
        quiet += not r["structure"]
        if r["structure"]:
            print(f"seed {seed}, {r['name']}: structure {r['low']}..{r['high']}")
    if options.cases:
        exact = sum(r["recommended"] == r["truth"] for r in done[:options.cases])
        print(f"\nin the range: {hits} of {options.cases}; recommended is right: {exact}; numbers in a range: mean "
              f"{numpy.mean(widths):.2f}, most {max(widths)}")
    print(f"no structure: {quiet} of {options.empty} scans without any")
    if options.json:
        options.json.write_text(json.dumps(done, indent=1))


if __name__ == "__main__":
    main()
