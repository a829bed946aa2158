"""The scores of docs/scores.md once more, whole arrays at a time, from their definitions alone."""
import json

import numpy
from scipy import ndimage, stats
from scipy.optimize import linear_sum_assignment


def write_model(path, factors, loadings, shape, arrays=None, provenance=None, step_nm=None, masks=None):
    """An .npz as unmix keeps a model: factors (k, ky*kx), loadings (ny*nx, k), shape (ny, nx, ky, kx)."""
    arrays, masks = arrays or {}, masks or {}
    axes = [{"name": name, "units": "nm" if step_nm and name in "yx" else "", "offset": 0.0,
             "scale": step_nm if step_nm and name in "yx" else 1.0} for name in ("y", "x", "ky", "kx")]
    head = {"k": len(factors), "shape": list(shape), "method": "NMF", "axes": axes, "arrays": list(arrays),
            "signal_mask": "signal_mask" in masks, "navigation_mask": "navigation_mask" in masks,
            "provenance": provenance or {}}
    numpy.savez(path, factors=factors.T.astype("f4"), loadings=loadings.astype("f4"),
                unmix_model=numpy.frombuffer(json.dumps(head).encode(), "u1"),
                **{name: numpy.asarray(values, float) for name, values in arrays.items()},
                **{name: numpy.asarray(values, "u1") for name, values in masks.items()})


def clean(values):
    return numpy.nan_to_num(numpy.asarray(values, "f4").astype(float), nan=0.0)


def correlation(a, b):
    return 0.0 if a.std() < 1e-6 or b.std() < 1e-6 * abs(b.mean()) else numpy.corrcoef(a, b)[0, 1]


class Reference:
    """What follows from both models before anything is scored: matches, fractions."""

    def __init__(self, result, truth, shape, fractions=None, kept=None, seen=None):
        self.ny, self.nx, self.ky, self.kx = shape
        self.kept = numpy.ones(self.ky * self.kx, bool) if kept is None else kept
        self.seen = numpy.ones(self.ny * self.nx, bool) if seen is None else seen
        self.rf, self.rl = clean(result[0])[:, self.kept], clean(result[1])
        self.tf, self.tl = clean(truth[0])[:, self.kept], clean(truth[1])
        unit = [f / numpy.linalg.norm(f, axis=1, keepdims=True) for f in (self.tf, self.rf)]
        self.cosine = unit[0] @ unit[1].T
        there = (self.tl[self.seen] > 0).any(axis=0)
        wanted = numpy.where(there[:, None], self.cosine, -1.0)
        self.nearest = wanted.argmax(axis=0)
        rows, columns = linear_sum_assignment(-wanted)
        rows, columns = rows[there[rows]], columns[there[rows]]
        self.component_of = dict(zip(rows, columns))
        self.result_counts, self.true_counts = self.rl * self.rf.sum(axis=1), self.tl * self.tf.sum(axis=1)
        states = len(self.tf)
        if fractions is None:
            unit, self.share = numpy.ones(states), self.true_counts / self.true_counts.sum(axis=1, keepdims=True)
        else:
            self.share = fractions.reshape(-1, states)
            held = self.share[self.seen].sum(axis=0)
            unit = self.true_counts[self.seen].sum(axis=0) / numpy.where(held > 0, held, 1)
        maps = numpy.stack([[correlation(self.share[self.seen, t], self.result_counts[self.seen, r])
                             for r in range(len(self.rf))] for t in range(states)])
        alike = numpy.where(there[:, None], self.cosine * maps, -1.0)
        self.state_of = numpy.where(alike.max(axis=0) > 0, alike.argmax(axis=0), self.nearest)
        self.pooled = numpy.array([self.result_counts[:, self.state_of == t].sum(axis=1) for t in range(states)]).T
        self.found = numpy.where(unit > 0, self.pooled / numpy.where(unit > 0, unit, 1), 0)
        self.found /= numpy.maximum(self.found.sum(axis=1, keepdims=True), 1e-300)

    def image(self, values):
        return values.reshape(self.ny, self.nx)


def labels(fractions, background, least):
    """The strongest class that is no background where it reaches `least`, else the strongest background."""
    background = numpy.asarray(background)
    if not background.any():
        return fractions.argmax(axis=1)
    front = numpy.where(background, -1.0, fractions)
    behind = numpy.where(background, fractions, -1.0)
    return numpy.where(front.max(axis=1) >= least, front.argmax(axis=1), behind.argmax(axis=1))


def disc(distance):
    y, x = numpy.mgrid[-distance:distance + 1, -distance:distance + 1]
    return y * y + x * x <= distance * distance


def within(image, label, distance):
    return ndimage.binary_dilation(image == label, disc(distance)).ravel()


def ratio(part, whole):
    return part / whole if whole else None


def label_scores(true, called, classes, seen, image):
    """Per class and over all; called -1 where the result says nothing or is not looked at."""
    called = numpy.where(seen, called, -1)
    scores, near = [], numpy.zeros(3)
    for i in range(classes):
        t, c = (true == i) & seen, (called == i) & seen
        hit = (t & c).sum()
        precise = [(c & within(image(true), i, d)).sum() for d in range(3)]
        near += precise
        scores.append({"positions": t.sum(), "called": c.sum(), "precision": ratio(hit, c.sum()),
                       "recall": ratio(hit, t.sum()), "f1": ratio(2 * hit, t.sum() + c.sum()),
                       "iou": ratio(hit, (t | c).sum()), "precision_within": [ratio(n, c.sum()) for n in precise],
                       "recall_within": [ratio((t & within(image(called), i, d)).sum(), t.sum()) for d in range(3)]})
    return scores, near / seen.sum()


def baseline(true, label, seen, image):
    return [(within(image(true), label, d) & seen).sum() / seen.sum() for d in range(3)]


def rectangle_distance(row, y, x, step):
    """Distance in nm to the particle's rectangle; its angle turns from x towards the top of the picture."""
    turn = numpy.exp(-1j * numpy.deg2rad(row[6]))
    local = ((x - row[2]) - 1j * (y - row[1])) * step * turn
    return numpy.hypot(numpy.maximum(0, abs(local.real) - row[3] / 2), numpy.maximum(0, abs(local.imag) - row[4] / 2))


def particles(table, share, found, least, smallest, step, seen, image):
    """share, found: fractions of one class. Rows of the table are the particles of that class."""
    held, called = image((share >= least) & seen), image((found >= least) & seen)
    region, count = ndimage.label(called, numpy.ones((3, 3)))
    sizes = numpy.bincount(region.ravel(), minlength=count + 1)
    regions = [r for r in range(1, count + 1) if sizes[r] >= smallest]
    y, x = numpy.indices(held.shape)
    own = [numpy.zeros(held.shape, bool) for _ in table]
    faint = 0
    kept = []
    if len(table):
        nearest = numpy.array([rectangle_distance(row, y, x, step) for row in table]).argmin(axis=0)
        for i, row in enumerate(table):
            own[i] = held & (nearest == i)
            if not own[i].any():
                cy, cx = int(numpy.floor(row[1] + 0.5)), int(numpy.floor(row[2] + 0.5))
                if not (0 <= cy < held.shape[0] and 0 <= cx < held.shape[1] and image(seen)[cy, cx]):
                    continue
                own[i][cy, cx] = True
                faint += 1
            kept.append(i)
    pairs = sorted((-(own[i] & (region == r)).sum() / (own[i] | (region == r)).sum(), i, r)
                   for i in kept for r in regions)
    hit, taken = set(), set()
    for iou, i, r in pairs:
        if -iou >= 0.25 and i not in hit and r not in taken:
            hit.add(i)
            taken.add(r)
    merged = sum(i not in hit and 2 * (own[i] & called).sum() >= own[i].sum() for i in kept)
    return {"particles": len(kept), "regions": len(regions), "hits": len(hit), "faint": faint, "merged": merged}


def densities(counts, area_um2):
    n, found = counts["particles"], counts["regions"]
    low = stats.chi2.ppf(0.025, 2 * found) / 2 if found else 0.0
    return {"precision": ratio(counts["hits"], found), "recall": ratio(counts["hits"], n),
            "density_true_per_um2": n / area_um2, "density_found_per_um2": found / area_um2,
            "density_found_95_per_um2": [low / area_um2, stats.chi2.ppf(0.975, 2 * found + 2) / 2 / area_um2],
            "density_error": found / n - 1 if n else None}


def dips(reference, t):
    """(dip, shared reflections, those lacking) of the component matched to state t."""
    pattern = numpy.zeros((len(reference.tf), reference.ky * reference.kx))
    pattern[:, reference.kept] = reference.tf
    pattern[reference.tl.sum(axis=0) == 0] = 0
    bright = (pattern > 0) & (pattern >= 0.05 * pattern.max(axis=1, keepdims=True))
    others = numpy.delete(bright, t, axis=0).any(axis=0)
    shared, alone = bright[t] & others, bright[t] & ~others
    region, count = ndimage.label(shared.reshape(reference.ky, reference.kx), numpy.ones((3, 3)))
    if t not in reference.component_of:
        return None, count, 0
    component = numpy.zeros(pattern.shape[1])
    component[reference.kept] = reference.rf[reference.component_of[t]]
    enough = pattern[t][alone].sum() >= 0.05 * pattern[t][bright[t]].sum() and (component[alone] ** 2).sum() > 0
    fit = alone if enough else bright[t]
    component *= (component[fit] * pattern[t][fit]).sum() / (component[fit] ** 2).sum()
    true, found = (ndimage.sum(p.reshape(region.shape), region, numpy.arange(1, count + 1))
                   for p in (pattern[t], component))
    missing = numpy.maximum(0, pattern[t] - component)[shared].sum()
    return ratio(missing, pattern[t][shared].sum()), count, (found < 0.5 * true).sum()


def beyond(image, sigma, seen):
    """The part of a map's power beyond the cut-off of a Gaussian probe: a tenth of the amplitude passes there."""
    image = numpy.where(seen, image - image[seen].mean(), 0.0)
    window = [numpy.sin(numpy.pi * (numpy.arange(n) + 0.5) / n) ** 2 if n > 1 else numpy.ones(1) for n in image.shape]
    power = abs(numpy.fft.fft2(image * numpy.outer(*window))) ** 2
    power[0, 0] = 0
    f = numpy.hypot(numpy.fft.fftfreq(image.shape[0])[:, None], numpy.fft.fftfreq(image.shape[1])[None])
    return power[f > numpy.sqrt(numpy.log(10) / 2) / numpy.pi / sigma].sum() / power.sum()
