#!/usr/bin/env python3
"""make_readme_picture.py RESULT.npz NYxNX KYxKX OUT.svg - draws the components of a result as SVG that git can diff:
each pattern (log scale, binned by two) over its loading map. Run after `make demo`:

    .venv/bin/python tools/make_readme_picture.py demo/result.npz 64x96 96x96 docs/demo.svg
"""
import sys

import numpy

CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"]
GRAY = ["#ffffff", "#dcdcdc", "#bdbdbd", "#9e9e9e", "#7a7a7a", "#565656", "#333333", "#000000"]
MASKED = "#e8b4a0"
CELL, GAP = 144, 12


def runs(selected):
    """Path data of horizontal runs of a boolean image."""
    parts = []
    for y, row in enumerate(selected):
        edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[0], row.astype("i1"), [0]])))
        parts += [f"M{a} {y}h{b - a}v1h{a - b}z" for a, b in edges.reshape(-1, 2)]
    return "".join(parts)


def image(values, colors, x, y, width):
    """Values in 0..1, NaN drawn as masked."""
    scale = width / values.shape[1]
    level = numpy.minimum((numpy.nan_to_num(values) * len(colors)).astype(int), len(colors) - 1)
    level[numpy.isnan(values)] = -1
    height = values.shape[0]
    out = [f'<g transform="translate({x} {y}) scale({scale:.4g})" shape-rendering="crispEdges">',
           f'<path fill="{colors[0]}" d="M0 0h{values.shape[1]}v{height}h-{values.shape[1]}z"/>']
    for i, color in [(-1, MASKED), *list(enumerate(colors))[1:]]:
        if (level == i).any():
            out.append(f'<path fill="{color}" d="{runs(level == i)}"/>')
    return "\n".join(out + ["</g>"])


def main(result, scan, detector, out):
    ny, nx = map(int, scan.split("x"))
    ky, kx = map(int, detector.split("x"))
    with numpy.load(result) as arrays:
        factors, loadings = arrays["factors"].T, arrays["loadings"].T
    k = len(factors)
    patterns = factors.reshape(k, ky, kx)[:, : ky // 2 * 2, : kx // 2 * 2]
    binned = patterns.reshape(k, ky // 2, 2, kx // 2, 2).mean((2, 4))
    logs = numpy.log10(binned + numpy.nanmax(binned) * 3e-4)
    logs = (logs - numpy.nanmin(logs)) / (numpy.nanmax(logs) - numpy.nanmin(logs))
    share = loadings * numpy.nansum(factors, 1)[:, None]
    share /= numpy.nanmax(share)
    map_height = CELL * ny / nx
    width, height = k * (CELL + GAP) + GAP, 2 * GAP + CELL + map_height + 24
    body = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
            f'height="{height:.0f}" font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{height:.0f}" fill="#fff"/>']
    for c in range(k):
        x = GAP + c * (CELL + GAP)
        body.append(image(logs[c], GRAY, x, GAP, CELL))
        body.append(image(share[c].reshape(ny, nx), CIVIDIS, x, 2 * GAP + CELL, CELL))
        body.append(f'<text x="{x + CELL / 2}" y="{height - 8:.0f}" text-anchor="middle">component {c}</text>')
    body.append("</svg>")
    with open(out, "w") as file:
        file.write("\n".join(body) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5])
