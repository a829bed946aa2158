#!/usr/bin/env python3
"""family_picture.py OUT.svg - truth, plain fit and variant side by side, on the scan `border` of tools/family_table.py,
seed 101: a map behind the probe, a map with less overlap, a pattern with fewer dips.

    .venv/bin/python tools/family_picture.py docs/nmf-family.svg
"""
import pathlib
import sys
import tempfile

import numpy

from family_table import CASES, run
from make_readme_picture import CELL, CIVIDIS, GAP, GRAY, image

SIDE = 48
ROWS = (("--probe 1.2", "map"), ("--orthogonal 0.05", "map"), ("--dips 0.03", "pattern"))
LABEL = 18


def load(path):
    with numpy.load(path) as file:
        w, h = file["loadings"].astype(float), file["factors"].astype(float)
    size = h.sum(0)
    return w * size, h / size


def matched(truth, w, h):
    """Components in the order of the true patterns."""
    cosine = (truth.T @ h) / numpy.outer(numpy.linalg.norm(truth, axis=0), numpy.linalg.norm(h, axis=0))
    order = [int(numpy.argmax(row)) for row in cosine]
    return w[:, order], h[:, order]


def panel(kind, w, h, state, top):
    values = w[:, state] / top if kind == "map" else numpy.sqrt(h[:, state] / top)
    return numpy.clip(values, 0, 1).reshape(SIDE, SIDE)


def main(out):
    simulation, k, _ = CASES["border"]
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run("simulate", "-o", folder / "scan.npy", "--truth", folder / "truth.npz", "--seed", 101, *simulation)
        true_w, true_h = load(folder / "truth.npz")
        fits = {}
        for options in ("", *(row[0] for row in ROWS)):
            run("nmf", folder / "scan.npy", "-k", k, "-o", folder / "r.npz", "--force", "--no-report", *options.split())
            fits[options] = matched(true_h, *load(folder / "r.npz"))
    for i, (options, kind) in enumerate(ROWS):
        wrong = [numpy.abs(fits[""][0 if kind == "map" else 1][:, c] - (true_w if kind == "map" else true_h)[:, c]).sum()
                 for c in range(k)]
        state = int(numpy.argmax(wrong))
        top = true_w[:, state].max() if kind == "map" else numpy.quantile(true_h[:, state], 0.985)
        y = i * (CELL + GAP + LABEL) + LABEL
        for j, (name, (w, h)) in enumerate((("truth", (true_w, true_h)), ("plain", fits[""]), (options, fits[options]))):
            x = j * (CELL + GAP)
            parts.append(f'<text x="{x}" y="{y - 5}">{name}</text>')
            parts.append(image(panel(kind, w, h, state, top), CIVIDIS if kind == "map" else GRAY, x, y, CELL))
    width, height = 3 * CELL + 2 * GAP, len(ROWS) * (CELL + GAP + LABEL)
    pathlib.Path(out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main(sys.argv[1])
