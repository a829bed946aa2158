#!/usr/bin/env python3
"""Scans with a known answer on which the factorisation engine is judged: kinds D0-D3, any number of seeds.

    tests/gen/engine_scans.py D1 3 OUT.npy TRUTH.npz

100 x 200 positions, patterns of 64 x 64 pixels, 8 states: the first amorphous, the others lattices of soft discs;
smooth maps; the last state only in a patch of 10 x 10 positions, 0.5 % of the scan, alone in its middle, and so weak
that in D0 and D3 its Poisson-weighted singular value is just above those of noise. Poisson counts:

    D0  100 counts a pattern      D2  20,000 counts a pattern
    D1  1,000 counts a pattern    D3  2,000 counts a pattern, 95 % of them the amorphous state everywhere

The truth holds W (positions x states, counts), H (states x pixels, rows of sum one), and maps (states, ny, nx), so
that the expected scan is W H. The same kind and seed give the same bytes.
"""
import argparse
import dataclasses

import numpy
import scipy.ndimage

# Counts a pattern, share of the common background.
KINDS = {"D0": (100, 0.0), "D1": (1000, 0.0), "D2": (20000, 0.0), "D3": (2000, 0.95)}
SCAN, SIDE, STATES, PATCH = (100, 200), 64, 8, 10
RARE = STATES - 1


@dataclasses.dataclass
class Truth:
    W: numpy.ndarray
    H: numpy.ndarray
    patch: tuple  # first row and column of the patch of the rare state

    @property
    def maps(self):
        return self.W.T.reshape(len(self.H), *SCAN)


def disc_lattice(rng):
    """Soft discs on a random lattice; random strengths under a fall-off with the angle, sum one."""
    y, x = numpy.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    turn = rng.uniform(0, numpy.pi)
    opening = rng.uniform(numpy.radians(60), numpy.radians(115))
    a, b = rng.uniform(7.5, 13.0, 2)
    first = a * numpy.array([numpy.sin(turn), numpy.cos(turn)])
    second = b * numpy.array([numpy.sin(turn + opening), numpy.cos(turn + opening)])
    pattern = numpy.zeros((SIDE, SIDE))
    for i in range(-8, 9):
        for j in range(-8, 9):
            cy, cx = i * first + j * second
            if max(abs(cy), abs(cx)) > SIDE / 2 + 3:
                continue
            strength = 0.5 if i == j == 0 else rng.gamma(1.5) * numpy.exp(-(cy**2 + cx**2) / (2 * 16.0**2))
            pattern += strength / (1 + numpy.exp((numpy.hypot(y - cy, x - cx) - 2.2) / 0.4))
    pattern[pattern < 1e-6] = 0
    return (pattern / pattern.sum()).ravel()


def amorphous(rng):
    """A diffuse centre and two broad rings, sum one."""
    y, x = numpy.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    r = numpy.hypot(y, x)
    ring = rng.uniform(10, 14)
    pattern = (numpy.exp(-((r / 7.0) ** 2)) + 0.25 * numpy.exp(-(((r - ring) / 2.5) ** 2))
               + 0.04 * numpy.exp(-(((r - 1.8 * ring) / 4.0) ** 2)))
    return (pattern / pattern.sum()).ravel()


def smooth_shares(rng, count):
    """Shares of `count` states at every position: smooth, mostly one state at a time, sum one."""
    fields = numpy.array([scipy.ndimage.gaussian_filter(rng.standard_normal(SCAN), 8.0, mode="wrap")
                          for _ in range(count)])
    fields /= fields.std(axis=(1, 2), keepdims=True)
    shares = numpy.exp(3.0 * fields)
    return shares / shares.sum(0)


def thickness(rng):
    """A smooth map of mean one, some 15 % up and down."""
    field = scipy.ndimage.gaussian_filter(rng.standard_normal(SCAN), 20.0, mode="wrap")
    field = 1 + 0.15 * field / field.std()
    return field / field.mean()


def truth(kind, seed):
    counts, background = KINDS[kind]
    rng = numpy.random.default_rng([seed, 7041])
    H = numpy.array([amorphous(rng)] + [disc_lattice(rng) for _ in range(STATES - 1)])
    if background:
        shares = numpy.zeros((STATES, *SCAN))
        shares[1:RARE] = smooth_shares(rng, STATES - 2)
    else:
        shares = numpy.concatenate([smooth_shares(rng, STATES - 1), numpy.zeros((1, *SCAN))])
    row, column = (int(rng.integers(0, size - PATCH + 1)) for size in SCAN)
    patch = (slice(None), slice(row, row + PATCH), slice(column, column + PATCH))
    edge = numpy.ones(PATCH) if background else numpy.sin(numpy.pi * (numpy.arange(PATCH) + 0.5) / PATCH) ** 2
    strength = numpy.outer(edge, edge)
    shares[patch] *= 1 - strength
    shares[(RARE, *patch[1:])] = strength
    maps = counts * shares * thickness(rng)
    if background:
        maps *= 1 - background
        maps[0] = counts * background * thickness(rng)
    return Truth(maps.reshape(STATES, -1).T.copy(), H, (row, column))


def scan(kind, seed, answer=None):
    """(scan of shape ny, nx, ky, kx; Truth). u8 where the largest count allows it, else u16."""
    answer = truth(kind, seed) if answer is None else answer
    rng = numpy.random.default_rng([seed, 7042])
    counts = numpy.empty((len(answer.W), answer.H.shape[1]), "u2")
    for start in range(0, len(counts), 1000):
        counts[start:start + 1000] = rng.poisson(answer.W[start:start + 1000] @ answer.H)
    dtype = "u1" if counts.max() < 256 else "u2"
    return counts.astype(dtype).reshape(*SCAN, SIDE, SIDE), answer


def write(kind, seed, path, truth_path=None):
    counts, answer = scan(kind, seed)
    numpy.save(path, counts)
    if truth_path is not None:
        numpy.savez_compressed(truth_path, W=answer.W, H=answer.H, maps=answer.maps, patch=answer.patch)
    return counts, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seed", type=int)
    parser.add_argument("scan", metavar="OUT.npy")
    parser.add_argument("truth", metavar="TRUTH.npz", nargs="?")
    options = parser.parse_args()
    counts, _ = write(options.kind, options.seed, options.scan, options.truth)
    print(f"{options.scan}: {counts.shape} {counts.dtype}, {counts.sum() / (SCAN[0] * SCAN[1]):.1f} counts a "
          f"pattern, {100 * numpy.count_nonzero(counts) / counts.size:.1f} % non-zero, largest {counts.max()}")


if __name__ == "__main__":
    main()
