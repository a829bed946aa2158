#!/usr/bin/env python3
"""Plants faults in small simulated scans and counts how many `unmix verify` flags, and how many it flags on clean ones;
and how often its 90 % intervals of fractions hold the truth.

usage: verify_table.py [--unmix build/unmix] [--first SEED] [--seeds N] [--only FAULT] [--folder DIR]

Seeds below 1000 were used to choose the thresholds; docs/verify.md shows seeds from 1000 on. Prints a Markdown table.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

NY = NX = 32
KY = KX = 48
STATES = 4
COUNTS = 10000


def crystal(rng, tilt=(0.0, 0.0)):
    """Spots of one lattice in random orientation, the direct beam and diffuse scattering."""
    y, x = np.mgrid[:KY, :KX]
    cy, cx = (KY - 1) / 2, (KX - 1) / 2
    r2 = (y - cy) ** 2 + (x - cx) ** 2
    beam = np.exp(-r2 / (2 * 1.3 ** 2))
    angle, length, aspect, oblique = rng.uniform(0, np.pi), rng.uniform(7, 11), rng.uniform(0.75, 1.3), rng.uniform(-.2, .2)
    u = length * np.array([np.sin(angle), np.cos(angle)])
    v = length * aspect * np.array([np.cos(angle + oblique), -np.sin(angle + oblique)])
    spots = np.zeros((KY, KX))
    for h in range(-4, 5):
        for k in range(-4, 5):
            g = h * u + k * v
            strength = rng.uniform(0.2, 1) * np.exp(-(g @ g) / 400)
            if (h, k) != (0, 0):
                strength *= np.exp(tilt[0] * g[0] + tilt[1] * g[1])
                spots += strength * np.exp(-((y - cy - g[0]) ** 2 + (x - cx - g[1]) ** 2) / (2 * 1.1 ** 2))
    diffuse = np.exp(-r2 / (2 * 12.0 ** 2))
    pattern = 0.25 * beam / beam.sum() + 0.6 * spots / spots.sum() + 0.15 * diffuse / diffuse.sum()
    return pattern / pattern.sum()


def bent(rng):
    """One crystal in two tilts: intensities are re-distributed over the same reflections."""
    seed, angle = rng.integers(1 << 31), rng.uniform(0, 2 * np.pi)
    tilt = 0.09 * np.array([np.sin(angle), np.cos(angle)])
    return [crystal(np.random.default_rng(seed), sign * tilt) for sign in (-1, 1)]


def moved(pattern, dy, dx):
    """Shifted by whole pixels; what comes in is the level of the border."""
    return np.roll(pattern, (dy, dx), axis=(0, 1))


class Bench:
    """Simulates, fits and verifies one case in a folder."""

    def __init__(self, unmix, folder, seed):
        self.unmix, self.folder, self.seed = unmix, pathlib.Path(folder), seed
        self.rng = np.random.default_rng(seed)

    def run(self, *arguments):
        done = subprocess.run([self.unmix, *map(str, arguments), "--force", "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"unmix {' '.join(map(str, arguments))}: {done.stderr}")
        return json.loads(done.stdout)

    def simulate(self, patterns, *more):
        np.save(self.folder / "ends.npy", np.asarray(patterns, "f4"))
        self.run("simulate", "-o", self.folder / "scan.npy", "--truth", self.folder / "truth.npz", "--patterns",
                 self.folder / "ends.npy", "--size", f"{NY}x{NX}", "--counts", COUNTS, "--seed", self.seed, *more)

    def fit(self, k):
        self.run("nmf", self.folder / "scan.npy", "-k", k, "-o", self.folder / "result.npz", "--no-report", "--seed",
                 self.seed)

    def verify(self, name="result.npz"):
        return self.run("verify", self.folder / name, "--no-page", "--save", self.folder / "errors.npz")

    def clean_patterns(self):
        return [crystal(self.rng) for _ in range(STATES)]


def clean(bench):
    bench.simulate(bench.clean_patterns())
    bench.fit(STATES)


def clean_built_in(bench):
    """The built-in patterns of unmix simulate."""
    bench.run("simulate", "-o", bench.folder / "scan.npy", "--truth", bench.folder / "truth.npz", "--states", STATES,
              "--size", f"{NY}x{NX}", "--pattern-size", f"{KY}x{KX}", "--counts", COUNTS, "--seed", bench.seed)
    bench.fit(STATES)


def duplicate(bench):
    """A component twice, its loading shared out at random by position."""
    clean(bench)
    with np.load(bench.folder / "result.npz", allow_pickle=True) as file:
        arrays = dict(file)
    c = bench.rng.integers(STATES)
    share = np.clip(bench.rng.normal(0.5, 0.3, len(arrays["loadings"])), 0, 1)
    pattern = arrays["factors"].T[c]
    counts = pattern * arrays["loadings"][:, c].sum() / 2
    copy = pattern * (1 + bench.rng.normal(size=counts.shape) / np.sqrt(np.maximum(counts, 1)))
    loadings = arrays["loadings"]
    arrays["loadings"] = np.column_stack([loadings, loadings[:, c] * share]).astype("f4")
    arrays["loadings"][:, c] *= 1 - share
    arrays["factors"] = np.column_stack([arrays["factors"], np.maximum(copy, 0)]).astype("f4")
    start = bench.folder / "start.npz"
    np.savez(start, factors=arrays["factors"], loadings=arrays["loadings"])
    bench.run("nmf", bench.folder / "scan.npy", "-k", STATES + 1, "-o", bench.folder / "result.npz", "--no-report",
              "--start", start, "--max-passes", 2)


def split(bench):
    bench.simulate(bench.clean_patterns()[1:] + bent(bench.rng))
    bench.fit(STATES + 1)


def afterglow(bench):
    bench.simulate(bench.clean_patterns(), "--afterglow", 0.15)
    bench.fit(STATES)


def shifted(bench):
    patterns = bench.clean_patterns()
    dy, dx = bench.rng.choice([-3, -2, 2, 3], 2)
    bench.simulate(patterns + [moved(patterns[0], dy, dx)])
    bench.fit(STATES + 1)


def hot_pixel(bench):
    """One pixel counts 60 more on average."""
    bench.simulate(bench.clean_patterns())
    scan = np.load(bench.folder / "scan.npy")
    y, x = bench.rng.integers(2, KY - 2), bench.rng.integers(2, KX - 2)
    scan[:, :, y, x] += bench.rng.poisson(60, scan.shape[:2]).astype(scan.dtype)
    np.save(bench.folder / "scan.npy", scan)
    bench.fit(STATES)


def unmodelled(bench):
    """A fifth crystal in 0.2 % of the positions: two of 1024."""
    clean(bench)
    scan = np.load(bench.folder / "scan.npy")
    other = crystal(bench.rng)
    y, x = bench.rng.integers(2, NY - 2), bench.rng.integers(2, NX - 3)
    scan[y, x:x + 2] = bench.rng.poisson(0.5 * scan[y, x:x + 2] + 0.5 * COUNTS * other)
    np.save(bench.folder / "scan.npy", scan)
    bench.fit(STATES)


def lone(bench):
    """One position of a pattern of its own, which takes a component."""
    bench.simulate(bench.clean_patterns())
    scan = np.load(bench.folder / "scan.npy")
    y, x = bench.rng.integers(0, NY), bench.rng.integers(0, NX)
    scan[y, x] = bench.rng.poisson(COUNTS * crystal(bench.rng))
    np.save(bench.folder / "scan.npy", scan)
    bench.fit(STATES + 1)


def unstable(bench):
    """One component more than there are states: it has nothing to show but noise."""
    (clean if bench.seed % 2 else clean_built_in)(bench)
    bench.fit(STATES + 1)


FAULTS = {"clean": clean, "clean_built_in": clean_built_in, "duplicate": duplicate, "split": split, "afterglow": afterglow,
          "shifted": shifted, "hot_pixel": hot_pixel, "unmodelled": unmodelled, "lone": lone, "unstable": unstable}


def flags(evidence):
    found = {s["kind"] for c in evidence["components"] for s in c["suspicions"] if s["fault"]}
    found |= {"afterglow"} if evidence["fit"]["afterglow"] > 0 else set()
    return found | ({"unmodelled"} if evidence["fit"]["unmodelled"] else set())


def coverage(folder):
    """Of the 90 % intervals: part that hold the true fraction, of the strongest component and of all."""
    with np.load(folder / "truth.npz") as truth, np.load(folder / "errors.npz", allow_pickle=True) as found:
        true = truth["fractions"].reshape(-1, truth["fractions"].shape[-1])
        low, high = (found[name].reshape(true.shape) for name in ("fraction_low", "fraction_high"))
        cosine = unit(truth["factors"].T) @ unit(found["factors"].T).T
        order = [int(np.argmax(row)) for row in cosine]
        if sorted(order) != list(range(len(order))):
            return None
        low, high = low[:, order], high[:, order]
    held = (low <= true) & (true <= high)
    strongest = true.argmax(1)
    mixed = (true.max(1) < 0.95)
    return held.mean(), held[np.arange(len(held)), strongest].mean(), held[mixed].mean()


def unit(patterns):
    patterns = patterns - patterns.mean(0)
    return patterns / np.linalg.norm(patterns, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print("| planted | flagged | other flags |\n|---|---|---|")
    covered = []
    for name in [options.only] if options.only else FAULTS:
        hits, others = 0, {}
        for seed in range(options.first, options.first + options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                bench = Bench(options.unmix, folder, seed)
                FAULTS[name](bench)
                found = bench.verify()
                kinds = flags(found)
                if options.verbose:
                    for c in found["components"]:
                        for s in c["suspicions"]:
                            print(seed, c["index"], s["kind"], s["reason"], file=sys.stderr)
                if name.startswith("clean"):
                    covered.append(coverage(bench.folder))
            hits += bool(kinds) if name.startswith("clean") else name in kinds
            for kind in kinds - {name}:
                others[kind] = others.get(kind, 0) + 1
        text = ", ".join(f"{kind} {n}" for kind, n in sorted(others.items())) or "none"
        print(f"| {name} | {hits} of {options.seeds} | {text} |", flush=True)
    told = np.array([c for c in covered if c is not None])
    if len(told):
        print(f"\ncoverage of nominal 90 % intervals, mean (lowest .. highest scan) of {len(told)} scans:")
        for i, what in enumerate(("all components at all positions", "the strongest component of each position",
                                  "all components where no component has 95 %")):
            print(f"- {what}: {100 * told[:, i].mean():.1f} % ({100 * told[:, i].min():.1f} .. {100 * told[:, i].max():.1f})")


if __name__ == "__main__":
    main()
