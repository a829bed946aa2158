#!/usr/bin/env python3
"""joint_table.py UNMIX [SEED ...] - a heat-treatment series fitted together (unmix nmf --each) and scan by scan.

Five scans of different sizes hold the same matrix grains in other places, and a phase whose share grows from 0.3 % to 4 % of the
positions. Prints the Markdown table of docs/joint.md; every seed is another series. What is told of a seed, over its five scans:

  recall      positions of the rare phase at which its component gives the most counts
  precision   of the positions at which it does, those that are of the phase
  cosine      of its pattern and the true one
  states      states that have a component with a cosine above 0.8, of 5
  identities  scans in which every state has the component number that it has in the last scan
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
from scipy import optimize

SIZES = [(40, 48), (36, 44), (44, 40), (38, 52), (42, 46)]
SHARES = [0.003, 0.006, 0.01, 0.02, 0.04]
STATES, PIXELS, COUNTS, LIKE = 5, 48, 300, 0.8
RARE = STATES - 1


def layout(random, size, share):
    """Grains of the other states (Voronoi) with small discs of the rare phase in them."""
    y, x = numpy.mgrid[:size[0], :size[1]]
    at = random.uniform(0, 1, (2, 12)) * numpy.array(size)[:, None]
    grains = numpy.argmin((y[..., None] - at[0])**2 + (x[..., None] - at[1])**2, axis=2)
    labels = random.permutation(numpy.arange(12) % RARE)[grains]
    while (labels == RARE).mean() < share:
        cy, cx = random.uniform(0, size[0]), random.uniform(0, size[1])
        labels[(y - cy)**2 + (x - cx)**2 <= 1.6**2] = RARE
    return labels.astype("u1")


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return json.loads(done.stdout) if "--json" in words else None


def simulate(unmix, folder, seed):
    random = numpy.random.default_rng(seed)
    for i, (size, share) in enumerate(zip(SIZES, SHARES)):
        numpy.save(folder / "layout.npy", layout(random, size, share))
        ends = ["--patterns", folder / "ends.npy"] if i else ["--states", STATES, "--pattern-size", f"{PIXELS}x{PIXELS}"]
        run(unmix, "simulate", "-f", "-q", "--layout", folder / "layout.npy", "--counts", COUNTS, "--seed", 100 * seed + i,
            "-o", folder / f"aged_{i}.npy", "--truth", folder / f"truth_{i}.npz", *ends)
        if i == 0:
            with numpy.load(folder / "truth_0.npz") as file:
                numpy.save(folder / "ends.npy", file["factors"].T.reshape(-1, PIXELS, PIXELS))


def judge(model, truth):
    with numpy.load(model) as file, numpy.load(truth) as known:
        h, w = numpy.nan_to_num(file["factors"].T.astype(float)), numpy.nan_to_num(file["loadings"].astype(float))
        ends, fractions = known["factors"].T.astype(float), known["loadings"].astype(float)
    cosine = (h / numpy.linalg.norm(h, axis=1, keepdims=True)) @ (ends / numpy.linalg.norm(ends, axis=1, keepdims=True)).T
    component, state = optimize.linear_sum_assignment(-cosine)
    number = {s: int(c) for c, s in zip(component, state) if cosine[c, s] > LIKE}
    label, true = numpy.argmax(w * h.sum(axis=1), axis=1), numpy.argmax(fractions * ends.sum(axis=1), axis=1)
    found = label == number.get(RARE, -1)
    return {"hit": int((found & (true == RARE)).sum()), "true": int((true == RARE).sum()), "found": int(found.sum()),
            "cosine": float(cosine[component[state == RARE], RARE][0]), "number": number}


def table_row(name, cards):
    hits, true, found = (sum(card[key] for card in cards) for key in ("hit", "true", "found"))
    same = sum(card["number"] == cards[-1]["number"] and len(card["number"]) == STATES for card in cards)
    recalls = " ".join(f"{100 * card['hit'] / card['true']:.0f}" for card in cards)
    return {"name": name, "recall": hits / true, "precision": hits / found if found else 0, "recalls": recalls,
            "cosine": numpy.mean([card["cosine"] for card in cards]),
            "states": numpy.mean([len(card["number"]) for card in cards]), "same": same}


def series(unmix, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        simulate(unmix, folder, seed)
        common = ["-k", STATES, "--no-report", "--json", "-q", "-f"]
        run(unmix, "nmf", folder / "aged_*.npy", "-o", folder / "joint.npz", "--each", folder / "joint", *common)
        for i in range(len(SIZES)):
            run(unmix, "nmf", folder / f"aged_{i}.npy", "-o", folder / f"alone_{i}.npz", *common)
        truths = [folder / f"truth_{i}.npz" for i in range(len(SIZES))]
        return [table_row("together", [judge(folder / "joint" / f"aged_{i}.npz", t) for i, t in enumerate(truths)]),
                table_row("scan by scan", [judge(folder / f"alone_{i}.npz", t) for i, t in enumerate(truths)])]


def main():
    unmix, seeds = sys.argv[1], [int(word) for word in sys.argv[2:]] or [1, 2, 3]
    print("| seed | fit | recall | of each scan, % | precision | cosine | states | identities |\n|---|---|---|---|---|---|---|---|")
    better = 0
    for seed in seeds:
        rows = series(unmix, seed)
        better += rows[0]["recall"] > rows[1]["recall"]
        for r in rows:
            print(f"| {seed} | {r['name']} | {r['recall']:.3f} | {r['recalls']} | {r['precision']:.3f} | {r['cosine']:.3f} "
                  f"| {r['states']:.1f} | {r['same']} of {len(SIZES)} |", flush=True)
    print(f"\nBetter recall together in {better} of {len(seeds)} series.")


main()
