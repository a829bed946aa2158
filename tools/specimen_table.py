#!/usr/bin/env python3
"""Makes the table of docs/specimens/accuracy.md: prep, nmf and score on every built-in specimen, on seeds of its own.

    tools/specimen_table.py [--unmix build/unmix] [--cases small,preset] [--only nanowire] [--seeds 1001-1003]
                            [--json FILE] [-- NMF OPTIONS]

Small cases are those of tests/oracle/test_specimen_scores.py, which looks at seed 1; seeds 1001 and up are for the table
alone. Numbers are means over the seeds, the worst cosine is that of all seeds.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

# Few positions and pixels, plenty of counts, states that overlap little.
SMALL_DETECTOR = {"ky": 48, "kx": 48, "pixel_per_A": 0.05}
SMALL = {
    "nanowire": (4, {"ny": 12, "nx": 40, "step_nm": 8}),
    "precipitates": (None, {"ny": 20, "nx": 20, "step_nm": 8, "stage": 4, "thickness_nm": 30, "size_scale": 2,
                            "number_density": 400}),
    "precipitates al-mg-si": (None, {"ny": 20, "nx": 20, "step_nm": 8, "stage": 4, "thickness_nm": 30, "size_scale": 2,
                                     "number_density": 1000}),
    "nanoparticles": (None, {"ny": 24, "nx": 24, "step_nm": 10, "cubes": 4, "side_nm": 60}),
    "polycrystal": (None, {"ny": 20, "nx": 20, "step_nm": 8, "grain_nm": 130, "thickness_nm": 30}),
    "glass": (6, {"ny": 20, "nx": 20, "step_nm": 6, "thickness_nm": 35}),
    "empty": (1, {"ny": 16, "nx": 16}),
}
COUNTS = 10000
COLUMNS = ("specimen", "states", "k", "right", "1 px", "2 px", "commonest", "by phase", "fraction rms", "cosines",
           "particles")


def settings(name, case):
    """(kind, k, {parameter: value}) of a specimen; k None: as many as the evidence asks for."""
    kind, _, precipitates = name.partition(" ")
    k, own = SMALL[name] if case == "small" else (None, {})
    values = {**(SMALL_DETECTOR if case == "small" else {}), **own}
    return kind, k, {**values, **({"set": precipitates} if precipitates else {})}


def measure(unmix, name, case, seed, folder, *nmf):
    """Simulates, prepares, factorises and scores; unmix(*words) gives the JSON object."""
    kind, k, values = settings(name, case)
    scan, truth, prepared, result = (folder / name for name in ("s.hspy", "t.hspy", "p.hspy", "r.hspy"))
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    unmix("simulate", kind, "-o", scan, "--truth", truth, "--counts", COUNTS, "--seed", seed, "--hot", 0.001, "--dead",
          0.001, "--force", *sets)
    unmix("prep", scan, "-o", prepared, "--hot-pixels", 10, "--mask-beam", 4, "--force")
    words = [*(("-k", k) if k else ()), *nmf]
    fit = unmix("nmf", prepared, "-o", result, "--no-report", "--no-checkpoint", "--force", *words)
    score = unmix("score", result, truth)
    state, phase = score["by_state"], score["by_phase"]
    hits = state["particles"]
    f1 = None
    if hits and hits["particles"]:
        f1 = (2 * hits["precision"] * hits["recall"] / max(hits["precision"] + hits["recall"], 1e-12)
              if hits["precision"] is not None else 0.0)
    return {"specimen": name, "case": case, "seed": seed, "states": score["states"], "k": fit["k"],
            "accuracy": state["accuracy"], "baseline": state["baseline"], "phase_accuracy": phase["accuracy"],
            "fraction_rms": state["fraction_rms"], "nearest": [one["cosine"] for one in score["nearest"]],
            "particles_f1": f1, "seconds": fit["seconds"]}


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def line(rows):
    """One row of the table from those of all seeds."""
    def percent(value):
        return "-" if value is None else f"{100 * value:.1f} %"

    def span(values):
        return f"{min(values)}" if min(values) == max(values) else f"{min(values)}-{max(values)}"

    near = sorted(c for row in rows for c in row["nearest"])
    f1 = mean(row["particles_f1"] for row in rows)
    return (rows[0]["specimen"], span([r["states"] for r in rows]), span([r["k"] for r in rows]),
            *(percent(mean(r["accuracy"][i] for r in rows)) for i in range(3)),
            percent(mean(r["baseline"][0] for r in rows)), percent(mean(r["phase_accuracy"][0] for r in rows)),
            f"{mean(r['fraction_rms'] for r in rows):.3f}", f"{near[0]:.2f}, {near[len(near) // 2]:.3f}",
            "-" if f1 is None else f"{f1:.2f}")


def seeds_of(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--cases", default="small,preset")
    parser.add_argument("--only", default=",".join(SMALL))
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1001-1003"))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("nmf", nargs="*")
    options = parser.parse_args()

    def unmix(*words):
        done = subprocess.run([options.unmix, *map(str, words), "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())
        return json.loads(done.stdout)

    every = []
    for case in options.cases.split(","):
        print(f"\n**{case}**\n\n| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
        for name in options.only.split(","):
            with tempfile.TemporaryDirectory() as folder:
                rows = [measure(unmix, name, case, seed, pathlib.Path(folder), *options.nmf) for seed in options.seeds]
            every += rows
            print("| " + " | ".join(line(rows)) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
