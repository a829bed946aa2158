#!/usr/bin/env python3
"""The table of docs/tutorial-precipitates.md: five conditions of a simulated alloy, analysed by `unmix run` and compared with the truth.

    tools/series_table.py [--unmix build/unmix] [--scans 1] [--keep DIR] SEED [SEED ...]

For each seed: simulates every condition, runs the plan unattended, and asks of every condition and every phase that the alloy can have whether
the 95 % intervals of `unmix measure` hold what is in these fields:

  number   per um2, particles whose middles lie in the field (of those that reach into the foil)
  count    their share of all particles
  area     of the field that they take in projection, each body alone
  volume   fraction of the foil, from the fractions of the truth

A phase that the truth has and the result lacks is an interval that holds nothing; one that the result has and the truth lacks holds it only if it
reaches down to 0. Names that are none of the alloy's are listed as others.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

CONDITIONS = ["0.5 h", "2 h", "8 h", "48 h", "200 h"]
SPECIMEN = {"set": "al-mg-si", "thickness_nm": 40, "ny": 96, "nx": 96, "step_nm": 2.5, "ky": 80, "kx": 80, "pixel_per_A": 0.036}
STAGES = [(1, 2, 10000), (2, 1.5, 7000), (3, 1, 3500), (4, 0.5, 1500), (5, 0.4, 800)]  # stage, size_scale, particles per um3
COUNTS = 4000
SEGMENT = ["--alike", 1.4, "--least-share", 0.0001, "--least-size", 3]


def run(unmix, *words):
    done = subprocess.run([unmix, *map(str, words), "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"unmix {' '.join(map(str, words))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def simulate(unmix, folder, seed, scans):
    for i, _ in enumerate(CONDITIONS):
        for n in range(scans):
            sets = {**SPECIMEN, **dict(zip(("stage", "size_scale", "number_density"), STAGES[i]))}
            words = [w for name, value in sets.items() for w in ("--set", f"{name}={value}")]
            run(unmix, "simulate", "precipitates", "-o", folder / f"c{i}_{n}.hspy", "--truth", folder / f"c{i}_{n}.npz", "--counts",
                COUNTS, "--seed", 1000 * seed + 10 * i + n, *words)


def plan(folder, scans):
    text = ""
    for i, name in enumerate(CONDITIONS):
        text += f"[condition {name}]\nthickness = {SPECIMEN['thickness_nm']}\n"
        text += "".join(f"file = {folder}/c{i}_{n}.hspy\n" for n in range(scans)) + "\n"
    (folder / "plan.ini").write_text(text + f"[prep]\nmask-beam = 4\n[segment]\nalike = 1.4\nleast-share = 0.0001\n"
                                    f"least-size = 3\n[output]\nfolder = {folder}/result\n")
    return folder / "plan.ini"


def truth_of(folder, scans, i):
    """{phase: (number, area, volume)} of all scans of a condition, and the areas: um2 of the field, positions."""
    found, field = {}, 0.0
    for n in range(scans):
        with numpy.load(folder / f"c{i}_{n}.npz", allow_pickle=True) as file:
            head = json.loads(bytes(file["unmix_model"]))
            table, fractions = file["particles"] if "particles" in file else numpy.zeros((0, 13)), file["fractions"]
        ny, nx, step = *head["shape"][:2], head["axes"][0]["scale"]
        area = ny * nx * step ** 2
        field += area
        for s, state in enumerate(head["provenance"]["simulation"]["states"]):
            if state["background"]:
                continue
            rows = table[table[:, 0] == s]
            inside = (rows[:, 1] >= -0.5) & (rows[:, 1] < ny - 0.5) & (rows[:, 2] >= -0.5) & (rows[:, 2] < nx - 0.5)
            before = found.get(state["phase"], numpy.zeros(3))
            found[state["phase"]] = before + [inside.sum(), (rows[:, 9] * rows[:, 12]).sum(),
                                              fractions.reshape(ny * nx, -1)[:, s].mean() * area]
    return found, field


def name_by_truth(unmix, folder, scans):
    """measure.json with each class called by the phase that it is richest in: for builds and runs without names. A class is the matrix
    where no phase is at least twice as frequent in its particles as over all."""
    models, inside, over = {}, 0, 0
    for i, _ in enumerate(CONDITIONS):
        for n in range(scans):
            path = folder / f"named_{i}_{n}.npz"
            run(unmix, "segment", folder / "result" / "each" / f"c{i}_{n}.hspy", "--like", folder / "result" / "classes.hspy", "-o",
                path, "--no-report", "--force", *SEGMENT)
            with numpy.load(path, allow_pickle=True) as file:
                models[i, n] = dict(file)
            with numpy.load(folder / f"c{i}_{n}.npz", allow_pickle=True) as file:
                states = json.loads(bytes(file["unmix_model"]))["provenance"]["simulation"]["states"]
                fractions = file["fractions"]
            phases = list(dict.fromkeys(s["phase"] for s in states if not s["background"]))
            share = numpy.stack([sum(fractions[..., k] for k, s in enumerate(states) if s["phase"] == p) for p in phases])
            mask = models[i, n]["segments"] > 0
            inside = inside + numpy.einsum("cyx,pyx->cp", mask, share)
            over = over + numpy.stack([mask.sum(axis=(1, 2)), *[numpy.full(len(mask), v) for v in (mask[0].size, *share.sum(axis=(1, 2)))]])
    richness = inside / numpy.maximum(over[0], 1)[:, None] / numpy.maximum(over[2:].T / over[1][:, None], 1e-12)
    verdicts = [{"component": c, "verdict": "phase", "phase": phases[r.argmax()]} if r.max() >= 2 else
                {"component": c, "verdict": "background"} for c, r in enumerate(richness)]
    words = []
    for (i, n), model in models.items():
        head = json.loads(bytes(model["unmix_model"]))
        head["provenance"]["identification"] = verdicts
        model["unmix_model"] = numpy.frombuffer(json.dumps(head).encode(), "u1")
        numpy.savez(folder / f"named_{i}_{n}.npz", **model)
        words.append(f"{CONDITIONS[i]}={folder / f'named_{i}_{n}.npz'}")
    return run(unmix, "measure", *words, "--thickness", SPECIMEN["thickness_nm"])


def held(estimate, value):
    if estimate is None or estimate["low"] is None or estimate["high"] is None:
        return False
    return estimate["low"] <= value * (1 + 1e-9) + 1e-12 and value <= estimate["high"]


def entries(made, folder, scans):
    """One row per condition and phase: names, truth, result, what is held."""
    rows, others = [], []
    for i, name in enumerate(CONDITIONS):
        truth, field = truth_of(folder, scans, i)
        all_particles = sum(t[0] for t in truth.values())
        got = {p["phase"]: p for c in made["conditions"] if c["condition"] == name for p in c["phases"]}
        others += [f"{name}: {p} ({row['particles']})" for p, row in got.items() if p not in truth and row["particles"]]
        for phase, (number, area, volume) in truth.items():
            row = got.get(phase)
            wanted = {"density_per_um2": number / field * 1e6, "count_fraction": number / max(all_particles, 1),
                      "area_fraction": area / field, "volume_fraction": volume / field}
            nothing = row is None and number == 0 and area == 0
            rows.append({"condition": name, "phase": phase, "number": int(number), "found": row["particles"] if row else 0,
                         "truth": wanted, "got": {k: row[k] if row else None for k in wanted},
                         "held": {k: nothing or held(row[k] if row else None, v) for k, v in wanted.items()}})
    return rows, others


KEYS = ["density_per_um2", "count_fraction", "area_fraction", "volume_fraction"]


def show(rows):
    print("| condition | phase | particles: truth | found | per um2: truth | found (95 %) | volume, %: truth | found (95 %) | held: number, count, "
          "area, volume |\n|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        def interval(key, unit):
            e = r["got"][key]
            if e is None or e["value"] is None:
                return "-"
            ends = [f"{x * unit:.3g}" if x is not None else "?" for x in (e["low"], e["high"])]
            return f"{e['value'] * unit:.3g} ({' .. '.join(ends)})"
        print(f"| {r['condition']} | {r['phase']} | {r['number']} | {r['found']} | {r['truth']['density_per_um2']:.3g} | "
              f"{interval('density_per_um2', 1)} | {100 * r['truth']['volume_fraction']:.3g} | {interval('volume_fraction', 100)} | "
              f"{' '.join('yes' if r['held'][k] else 'no' for k in KEYS)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--scans", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--name-by-truth", action="store_true", help="call each class by the true phase that it is richest in")
    parser.add_argument("seeds", nargs="+", type=int)
    options = parser.parse_args()
    every = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.keep / str(seed) if options.keep else pathlib.Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "plan.ini").exists():
                simulate(options.unmix, folder, seed, options.scans)
            done = run(options.unmix, "run", plan(folder, options.scans))
            made = json.loads((folder / "result" / "measured" / "measure.json").read_text())
            if options.name_by_truth:
                made = name_by_truth(options.unmix, folder, options.scans)
            rows, others = entries(made, folder, options.scans)
        every += rows
        print(f"\nseed {seed}: {done['study']['nmf']['k']} components, {done['seconds']:.0f} s, {done['peak_bytes'] / 1e6:.0f} MB"
              f"{'; others: ' + ', '.join(others) if others else ''}\n")
        show(rows)
        sys.stdout.flush()
    there = [r for r in every if r["truth"]["area_fraction"] > 0]
    for name, rows in (("all entries", every), ("entries of phases that are there", there)):
        print(f"\n{name}: {len(rows)} of each kind; held: " +
              ", ".join(f"{k} {sum(r['held'][k] for r in rows)} of {len(rows)}" for k in KEYS))


if __name__ == "__main__":
    main()
