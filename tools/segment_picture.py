#!/usr/bin/env python3
"""The picture of docs/segment.md: true crystals beside those that `unmix segment` found, as SVG.

usage: segment_picture.py TRUTH.npz SEGMENTS.npz ... OUT.svg
"""
import sys

import numpy

COLORS = numpy.array([[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167],
                      [90, 90, 90], [126, 87, 0], [47, 99, 128]])
SIDE = 4


def mixed(weights, labels):
    """Colours of classes (class, y, x) mixed by their weights; dark where a label begins."""
    total = weights.sum(0)
    colors = COLORS[numpy.arange(len(weights)) % len(COLORS)]
    image = numpy.full((*total.shape, 3), 255.0)
    there = total > 0
    image[there] = numpy.einsum("cp,ck->pk", weights[:, there], colors) / total[there][:, None]
    edge = numpy.zeros(total.shape, bool)
    edge[1:] |= (numpy.diff(labels, axis=1) != 0).any(0)
    edge[:, 1:] |= (numpy.diff(labels, axis=2) != 0).any(0)
    image[edge] *= 0.55
    return (image // 24 * 24).astype(int)


def panel(image, title, left):
    lines = [f'<g transform="translate({left},18)"><text y="-5" font-family="sans-serif" font-size="12">{title}</text>']
    for y, row in enumerate(image):
        ends = [0, *(numpy.flatnonzero((numpy.diff(row, axis=0) != 0).any(1)) + 1), len(row)]
        for a, b in zip(ends, ends[1:]):
            if row[a].min() < 240:
                lines.append(f'<rect x="{a * SIDE}" y="{y * SIDE}" width="{(b - a) * SIDE}" height="{SIDE}" '
                             f'fill="#{row[a][0]:02x}{row[a][1]:02x}{row[a][2]:02x}"/>')
    return lines + ["</g>"]


def main(paths):
    truth = numpy.load(paths[0])
    fractions = numpy.moveaxis(truth["fractions"], 2, 0)[1:]  # the first state is the film
    fractions = numpy.where(fractions >= 0.1, fractions, 0)
    images = [mixed(fractions, fractions > 0)]
    for path in paths[1:-1]:
        found = numpy.load(path)
        images.append(mixed(found["fractions"], found["segments"]))
    wide = images[0].shape[1] * SIDE + 16
    titles = ["true", *(["route nmf", "route vdf"][:len(images) - 1])]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide * len(images)}" height="{images[0].shape[0] * SIDE + 20}" '
             'shape-rendering="crispEdges">', '<rect width="100%" height="100%" fill="#fff"/>']
    for i, (image, title) in enumerate(zip(images, titles)):
        lines += panel(image, title, i * wide)
    with open(paths[-1], "w") as file:
        file.write("\n".join([*lines, "</svg>\n"]))


if __name__ == "__main__":
    main(sys.argv[1:])
