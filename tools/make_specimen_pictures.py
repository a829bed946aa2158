#!/usr/bin/env python3
"""make_specimen_pictures.py [NAME ...] - draws docs/specimens/NAME.svg from built-in specimens: maps of the states, and
noise-free patterns with and without precession and bending, in few grey levels so that git can diff them.

    .venv/bin/python tools/make_specimen_pictures.py [--unmix build/unmix] [--out docs/specimens] [nanowire ...]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

# Even steps in lightness; patterns dark on white as on film.
GRAY = ["#ffffff", "#dedede", "#b0b0b0", "#7c7c7c", "#444444", "#000000"]
STATES = ["#dddddd", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f5fa8", "#8c6d31",
          "#4d4d4d", "#a6d96a"]
CELL, GAP, LINE = 168, 14, 15


class Sheet:
    """A grid of pictures with captions, as SVG."""

    def __init__(self, columns):
        self.columns, self.body, self.y = columns, [], GAP
        self.width = columns * (CELL + GAP) + GAP

    def text(self, x, y, words, anchor="start", weight="normal"):
        self.body.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>')

    def heading(self, words):
        self.y += LINE
        self.text(GAP, self.y - 3, words, weight="bold")

    def raster(self, levels, colors, x, y, width):
        """Indices into colors; runs of one colour become one path."""
        scale, height = width / levels.shape[1], levels.shape[0]
        self.body.append(f'<g transform="translate({x} {y}) scale({scale:.4g})" shape-rendering="crispEdges" fill="none">'
                         f'<path fill="{colors[0]}" d="M0 0h{levels.shape[1]}v{height}h-{levels.shape[1]}z"/>'
                         '<g transform="translate(0 .5)">')
        for i, color in enumerate(colors[1:], 1):
            parts, at = [], (0, 0)  # relative moves, which are shorter
            for row, line in enumerate(levels == i):
                edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[0], line.astype("i1"), [0]])))
                for a, b in edges.reshape(-1, 2):
                    parts.append(f"m{a - at[0]} {row - at[1]}h{b - a}".replace(" -", "-"))
                    at = (b, row)
            if parts:
                self.body.append(f'<path stroke="{color}" d="{"".join(parts)}"/>')
        self.body.append("</g>")
        self.body.append("</g>")
        self.body.append(f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{height * scale:.1f}" fill="none" '
                         'stroke="#888" stroke-width="0.7"/>')
        return height * scale

    def patterns(self, named, gamma=0.4):
        """A row of patterns: white nothing, black the brightest pixel outside the direct beam."""
        for i, (name, pattern) in enumerate(named):
            x = GAP + i * (CELL + GAP)
            shade = numpy.clip(pattern / max(away(pattern).max(), 1e-30), 0, 1) ** gamma
            self.raster(numpy.minimum((shade * len(GRAY)).astype(int), len(GRAY) - 1), GRAY, x, self.y, CELL)
            for k, words in enumerate(name.split("\n")):
                self.text(x + CELL / 2, self.y + CELL + LINE * (k + 1) - 2, words, "middle")
        self.y += CELL + LINE * max(name.count("\n") + 1 for name, _ in named) + GAP

    def maps(self, labels, names, step_nm, width, captions=("",)):
        """Maps of states side by side, with a scale bar and the key of what occurs."""
        for i, (one, caption) in enumerate(zip(labels, captions)):
            x = GAP + i * (width + GAP)
            height = self.raster(one, [STATES[k % len(STATES)] for k in range(one.max() + 1)], x, self.y, width)
            self.text(x + width / 2, self.y + height + LINE - 2, caption, "middle")
        bar = max(b for b in (10, 20, 50, 100, 200, 500) if b / step_nm <= labels[0].shape[1] / 3)
        long = bar / step_nm * width / labels[0].shape[1]
        self.y += height + (LINE if any(captions) else 0) + 10
        self.body.append(f'<rect x="{GAP}" y="{self.y:.0f}" width="{long:.1f}" height="3" fill="#000"/>')
        self.text(GAP + long + 6, self.y + 6, f"{bar} nm")
        left = x = GAP + long + 70
        for k, name in enumerate(names):
            if not any((one == k).any() for one in labels):
                continue
            if x + 14 + 6.6 * len(name) > self.width:
                x, self.y = left, self.y + LINE + 2
            self.body.append(f'<rect x="{x:.0f}" y="{self.y - 3:.0f}" width="10" height="10" fill="{STATES[k]}"/>')
            self.text(x + 14, self.y + 6, name)
            x += 30 + 6.6 * len(name)
        self.y += LINE + GAP

    def write(self, path):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.y:.0f}" width="{self.width}" '
                f'height="{self.y:.0f}" font-family="sans-serif" font-size="12">\n'
                f'<rect width="{self.width}" height="{self.y:.0f}" fill="#fff"/>')
        path.write_text("\n".join([head, *self.body, "</svg>"]) + "\n")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def away(pattern):
    """Without the direct beam."""
    y, x = numpy.mgrid[:pattern.shape[0], :pattern.shape[1]]
    return numpy.where(numpy.hypot(y - pattern.shape[0] // 2, x - pattern.shape[1] // 2) > pattern.shape[0] / 12, pattern, 0)


class Scan:
    """A noise-free scan of a specimen with its truth, on a detector that draws well."""

    def __init__(self, unmix, kind, seed=0, **values):
        values = {"ky": 80, "kx": 80, "pixel_per_A": 0.032, "convergence_mrad": 1.6, "diffuse_nm": 0, **values}
        with tempfile.TemporaryDirectory() as folder:
            scan, truth = pathlib.Path(folder) / "s.npy", pathlib.Path(folder) / "t.npz"
            command = [unmix, "simulate", kind, "-o", scan, "--truth", truth, "--no-noise", "--dtype", "f32", "--seed",
                       seed, "--json", *(w for k, v in values.items() for w in ("--set", f"{k}={v}"))]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr.strip())
            self.data = numpy.load(scan)
            with numpy.load(truth) as file:
                self.labels, self.fractions = file["labels"].astype(int), file["fractions"]
                self.states = file["factors"].T.reshape(-1, *self.data.shape[2:])
                told = json.loads(str(file["provenance"]))["simulation"]
        self.names = [one["name"] for one in told["states"]]

    def pattern_of(self, name):
        return self.states[self.names.index(name)]


ON, OFF = 17.45, 0
HOW = ("no precession", "1° precession")


def nanowire(unmix, sheet):
    base = {"step_nm": 4, "film_nm": 5, "tilt_x_mrad": 0, "tilt_y_mrad": 0, "bend_mrad": 0}
    scan = Scan(unmix, "nanowire", 4, **base)
    sheet.heading("State of largest fraction")
    sheet.maps([scan.labels], scan.names, 4, sheet.width - 2 * GAP)
    ways = [(f"{how}\n{where}", Scan(unmix, "nanowire", 4, **{**base, "tilt_x_mrad": tilt, "precession_mrad": mrad}))
            for tilt, where in ((0, "on the zone axis"), (5, "5 mrad off")) for mrad, how in zip((OFF, ON), HOW)]
    for name in scan.names[1:]:
        sheet.heading(f"{name}")
        sheet.patterns([(words, way.pattern_of(name)) for words, way in ways])
    sheet.heading("One twin, straight and bent by 24 mrad over 480 nm: patterns at -160 and +160 nm")
    row = []
    for bend, words in ((0, "straight"), (24, "bent")):
        for mrad, how in zip((OFF, ON), HOW):
            one = Scan(unmix, "nanowire", 4, **{**base, "ny": 3, "segment_nm": 1e5, "wurtzite_nm": 0, "bend_mrad": bend,
                                                "precession_mrad": mrad, "bend_step_mrad": 1})
            row.append((f"{words}, {how}", one.data[1]))
    for at, where in ((20, "-160 nm"), (100, "+160 nm")):
        sheet.patterns([(f"{words}\n{where}", data[at]) for words, data in row])


def strongest(scan, least):
    """The strongest state but the first, where it has that much of the thickness."""
    others = scan.fractions[:, :, 1:]
    return numpy.where(others.max(2) >= least, others.argmax(2) + 1, 0)


def precipitates(unmix, sheet):
    for kinds in ("al-cu-li", "al-mg-si"):
        stages = [Scan(unmix, "precipitates", 2, set=kinds, stage=stage) for stage in (1, 2, 3, 4)]
        sheet.heading(f"{kinds}: strongest precipitate where it has 2 % of the foil")
        sheet.maps([strongest(scan, 0.02) for scan in stages], stages[0].names, 4, CELL, [f"stage {i}" for i in (1, 2, 3, 4)])
        still = Scan(unmix, "precipitates", 2, set=kinds, stage=4, precession_mrad=OFF)
        names = stages[3].names
        chosen = [name for i, name in enumerate(names) if name.split()[0] not in [n.split()[0] for n in names[:i]]]
        for scan, how in ((still, HOW[0]), (stages[3], HOW[1])):
            sheet.patterns([(f"{name}\n{how}", scan.pattern_of(name)) for name in chosen])


def map_and_shares(sheet, labels, names, step_nm, shares):
    """A map of states, and one of shares of the thickness between 0 (white) and 1 (black)."""
    level = numpy.clip((shares * len(GRAY)).astype(int), 0, len(GRAY) - 1)
    sheet.raster(level, GRAY, 2 * GAP + 2 * CELL, sheet.y, 2 * CELL)
    sheet.maps([labels], names, step_nm, 2 * CELL)


def off_and_on(unmix, kind):
    return [Scan(unmix, kind, 3, precession_mrad=mrad) for mrad in (OFF, ON)]


def rows_of(sheet, scans, states):
    for scan, how in zip(scans, HOW):
        sheet.patterns([(f"{scan.names[i]}\n{how}", scan.states[i]) for i in states])


def nanoparticles(unmix, sheet):
    scans = off_and_on(unmix, "nanoparticles")
    cubes = scans[0].fractions[:, :, 1:]
    sheet.heading("Strongest orientation (cubes may share one); share of all others in the cubes' thickness, black: half")
    shares = 1 - cubes.max(2) / numpy.maximum(cubes.sum(2), 1e-9)
    map_and_shares(sheet, scans[0].labels, scans[0].names, 6, 2 * numpy.where(cubes.sum(2) > 0, shares, 0))
    rows_of(sheet, scans, 1 + numpy.argsort(-cubes.sum((0, 1)))[:4])


def polycrystal(unmix, sheet):
    scans = off_and_on(unmix, "polycrystal")
    sheet.heading("Grain of largest fraction; share of all others in the thickness, black: half")
    map_and_shares(sheet, scans[0].labels, [], 5, 2 * (1 - scans[0].fractions.max(2)))
    rows_of(sheet, scans, numpy.argsort(-scans[0].fractions.sum((0, 1)))[:4])


def glass(unmix, sheet):
    scans = off_and_on(unmix, "glass")
    sheet.heading("Crystals where they have a tenth of the thickness; their share of it, black: all")
    map_and_shares(sheet, strongest(scans[0], 0.1), scans[0].names, 3, scans[0].fractions[:, :, 1:].sum(2))
    rows_of(sheet, scans, range(4))


def empty(unmix, sheet):
    film = Scan(unmix, "empty", 0, nx=4, ny=4)
    vacuum = Scan(unmix, "empty", 0, nx=4, ny=4, film_nm=0)
    sheet.heading("All there is")
    sheet.patterns([("15 nm of carbon", film.states[0]), ("vacuum", vacuum.states[0])])


PICTURES = {"nanowire": (4, nanowire), "precipitates": (4, precipitates), "nanoparticles": (4, nanoparticles),
            "polycrystal": (4, polycrystal), "glass": (4, glass), "empty": (2, empty)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unmix", default="build/unmix")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/specimens"))
    parser.add_argument("names", nargs="*", default=list(PICTURES))
    options = parser.parse_args()
    for name in options.names:
        columns, draw = PICTURES[name]
        sheet = Sheet(columns)
        draw(options.unmix, sheet)
        sheet.write(options.out / f"{name}.svg")


if __name__ == "__main__":
    main()
