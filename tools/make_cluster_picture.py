#!/usr/bin/env python3
"""make_cluster_picture.py CLUSTERS.npz TRUTH.npz OUT.svg - draws the true grains of a simulated scan, the clusters that were found,
and the mean patterns of the largest ones, as SVG that git can diff. docs/cluster.md has the commands before it:

    .venv/bin/python tools/make_cluster_picture.py classes.npz truth.npz docs/cluster.svg
"""
import sys

import numpy

from make_readme_picture import GRAY, image, runs

COLORS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#5a5a5a"]  # Okabe and Ito
MAP, PATTERN, GAP, SHOWN = 300, 108, 14, 5


def color(label):
    """As um_label_color()."""
    rgb = [int(COLORS[label % 8][i:i + 2], 16) for i in (1, 3, 5)]
    turn = label // 8 % 3
    rgb = [value * 11 // 20 if turn == 1 else (value + 255) // 2 if turn == 2 else value for value in rgb]
    return "#" + "".join(f"{value:02x}" for value in rgb)


def labels(values, x, y, title):
    scale = MAP / values.shape[1]
    out = [f'<text x="{x}" y="{y - 6}">{title}</text>',
           f'<g transform="translate({x} {y}) scale({scale:.4g})" shape-rendering="crispEdges">']
    out += [f'<path fill="{color(label)}" d="{runs(values == label)}"/>' for label in numpy.unique(values[values >= 0])]
    return "\n".join(out + ["</g>"])


def like(true, found):
    """Each true grain takes the number of the cluster that covers most of it."""
    out = numpy.empty_like(true)
    for grain in numpy.unique(true):
        out[true == grain] = numpy.bincount(found[true == grain]).argmax()
    return out


def main(result, truth, out):
    with numpy.load(result) as file:
        found = file["cluster_map"].astype(int)
        patterns = file["cluster_centroid_signals"]
        sizes = file["cluster_sizes"].astype(int)
    with numpy.load(truth) as file:
        true = file["labels"].astype(int).reshape(found.shape)
    side = int(round(patterns.shape[1] ** 0.5))
    binned = patterns.reshape(-1, side // 2, 2, side // 2, 2).mean((2, 4))
    logs = numpy.log10(binned + binned.max() * 3e-4)
    logs = (logs - logs.min()) / (logs.max() - logs.min())
    width, top = 2 * MAP + 3 * GAP, 26
    height = top + MAP + 2 * GAP + PATTERN + 20
    body = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="#fff"/>',
            labels(like(true, found), GAP, top, f"strongest true grain of each position ({len(numpy.unique(true))})"),
            labels(found, 2 * GAP + MAP, top, f"clusters found ({len(sizes)})")]
    for c in range(min(SHOWN, len(sizes))):
        x, y = GAP + c * (PATTERN + GAP), top + MAP + GAP
        body += [image(logs[c], GRAY, x, y, PATTERN),
                 f'<rect x="{x}" y="{y + PATTERN + 7}" width="10" height="10" fill="{color(c)}"/>',
                 f'<text x="{x + 15}" y="{y + PATTERN + 16}">{sizes[c]} positions</text>']
    with open(out, "w") as file:
        file.write("\n".join(body + ["</svg>"]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
