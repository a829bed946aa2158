"""What the engine is judged against on the scans of tests/gen/engine_scans.py: the exact weighted objective of any factors,
the best solution that long runs know, and cosines; from the equations alone, in NumPy."""
import functools
import pathlib
import sys

import numpy
import scipy.optimize
import scipy.sparse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gen"))
import engine_scans  # noqa: E402

K = engine_scans.STATES
BLOCK = 2000  # rows at a time


class Problem:
    """min over W, H >= 0 of sum (x_pq - (W H)_pq)^2 / (a_p b_q), a and b the sums of rows and columns."""

    def __init__(self, counts, answer):
        self.answer = answer
        x = counts.reshape(len(answer.W), -1)
        a, b = x.sum(1, dtype="f8"), x.sum(0, dtype="f8")
        self.u = numpy.divide(1, numpy.sqrt(a), where=a > 0, out=numpy.zeros_like(a))
        self.v = numpy.divide(1, numpy.sqrt(b), where=b > 0, out=numpy.zeros_like(b))
        self.n, self.m = x.shape
        self.counts = x
        self.norm2 = 0.0
        for start in range(0, self.n, BLOCK):
            scaled = x[start:start + BLOCK] * self.u[start:start + BLOCK, None] * self.v
            self.norm2 += float(numpy.vdot(scaled, scaled))

    @functools.cached_property
    def scaled(self):
        """(X', X'^T) in single precision, as sparse rows where few entries are not zero: for descents only."""
        sparse = numpy.count_nonzero(self.counts) <= 0.08 * self.counts.size
        blocks = []
        for start in range(0, self.n, BLOCK):
            block = (self.counts[start:start + BLOCK] * self.u[start:start + BLOCK, None] * self.v).astype("f4")
            blocks.append(scipy.sparse.csr_matrix(block) if sparse else block)
        x = scipy.sparse.vstack(blocks, "csr") if sparse else numpy.concatenate(blocks)
        return x, (x.T.tocsr() if sparse else x.T)

    @property
    def floor(self):
        """A relative excess over the best objective below which only noise is fitted: 0.2 k (1/N + 1/M)."""
        return 0.2 * K * (1 / self.n + 1 / self.m)

    def objective(self, w, h):
        """In double precision from the stored counts."""
        w, h = w * self.u[:, None], h * self.v
        cross = 0.0
        for start in range(0, self.n, BLOCK):
            x = self.counts[start:start + BLOCK] * self.u[start:start + BLOCK, None]
            cross += float(numpy.vdot(w[start:start + BLOCK], x @ (h * self.v).T))
        return self.norm2 - 2 * cross + float(numpy.vdot(w.T @ w, h @ h.T))

    def descend(self, w, h, passes, sweeps=6):
        """Hierarchical alternating least squares from given factors, W last; H is taken ahead along its last move, and no
        longer once the objective rises (Ang and Gillis 2019). Ends when ten passes gain less than a five-hundredth of the floor."""
        x, xt = self.scaled
        w = numpy.asfortranarray(w * self.u[:, None], dtype="f8")
        h = h * self.v
        ahead, ahead_by, objectives = h, 0, []
        for _ in range(passes):
            sweep_columns(w, numpy.asarray(x @ ahead.T.astype("f4"), dtype="f8"), ahead @ ahead.T, sweeps)
            product, gram = numpy.asarray(xt @ numpy.ascontiguousarray(w, dtype="f4"), dtype="f8"), w.T @ w
            side = ahead.T.copy(order="F")
            sweep_columns(side, product, gram, sweeps)
            last, h = h, numpy.ascontiguousarray(side.T)
            objectives.append(self.norm2 - 2 * numpy.vdot(product.T, h) + numpy.vdot(gram, h @ h.T))
            if len(objectives) > 10 and objectives[-11] - min(objectives[-10:]) < 2e-3 * self.floor * objectives[-1]:
                break
            norms = numpy.linalg.norm(h, axis=1, keepdims=True)
            norms[norms == 0] = 1
            h /= norms
            w *= norms.T
            rose = len(objectives) > 1 and objectives[-1] > objectives[-2]
            ahead_by = 0 if rose else ahead_by + 1
            ahead = numpy.maximum(h + ahead_by / (ahead_by + 3) * (h - last), 0) if len(objectives) > 1 else h
        sweep_columns(w, numpy.asarray(x @ h.T.astype("f4"), dtype="f8"), h @ h.T, 10 * sweeps)
        return unscale(w, self.u), unscale(h.T, self.v).T


def unscale(columns, weights):
    return columns * numpy.divide(1, weights, where=weights > 0, out=numpy.zeros_like(weights))[:, None]


def sweep_columns(left, product, gram, sweeps):
    for _ in range(sweeps):
        for c in range(left.shape[1]):
            if gram[c, c] > 0:
                left[:, c] = numpy.maximum(left[:, c] + (product[:, c] - left @ gram[:, c]) / gram[c, c], 0)


def factors(path):
    """(W, H) of a result .npz."""
    with numpy.load(path, allow_pickle=False) as result:
        return result["loadings"].astype("f8"), result["factors"].T.astype("f8")


def cosines(h, other):
    """Cosine of every row of `other` to the row of h that an optimal assignment gives it."""
    def unit(rows):
        norms = numpy.linalg.norm(rows, axis=1, keepdims=True)
        return numpy.divide(rows, norms, where=norms > 0, out=numpy.zeros_like(rows))
    table = unit(other) @ unit(h).T
    rows, columns = scipy.optimize.linear_sum_assignment(-table)
    return table[rows, columns]


def detectability(answer):
    """Smallest singular value of the expected scaled scan, relative to (N M)^(1/4), below which no method sees it in noise."""
    w, h = answer.W, answer.H
    a, b = w.sum(1), w.sum(0) @ h
    left = numpy.linalg.qr(w * numpy.sqrt(a.sum() / a)[:, None])[1]
    right = numpy.linalg.qr((h / numpy.sqrt(numpy.where(b > 0, b, 1))).T)[1]
    return float(numpy.linalg.svd(left @ right.T)[1][-1] / (len(w) * h.shape[1]) ** 0.25)


def subspace_cosine(problem, h, other):
    """Smallest cosine of the principal angles between the scaled row spaces: 1 where two solutions describe the same
    signal, however they share it out among their components."""
    one, two = (numpy.linalg.qr((rows * problem.v).T)[0] for rows in (h, other))
    return float(numpy.linalg.svd(one.T @ two)[1][-1])


def best_known(problem, run, folder, passes, thorough):
    """Solutions (objective, W, H), the lowest first: of our own descent from the truth, and when thorough also of unmix from
    twelve starts under each of three other seeds, of a long run from NNDSVD, and of our descent from the best of them.

    run(PATH, *options) runs unmix nmf on the scan and leaves the result in PATH.
    """
    def add(w, h):
        found.append((problem.objective(w, h), w, h))

    found = []
    add(*problem.descend(problem.answer.W, problem.answer.H, passes))
    if thorough:
        for name, options in (("one", ("--seed", 1)), ("two", ("--seed", 2)), ("three", ("--seed", 3)),
                              ("nndsvda", ("--start", "nndsvda", "--max-passes", passes))):
            run(folder / f"{name}.npz", *options)
            add(*factors(folder / f"{name}.npz"))
        add(*problem.descend(*min(found[1:], key=lambda one: one[0])[1:], passes))
    return sorted(found, key=lambda one: one[0])


def judge(problem, known, path, report):
    """The row of the table for one result of unmix.

    Solutions that differ by less than a hundredth of the statistical floor are equally good; where NMF is not unique (a
    common background may go to any component) `nearest` is the worst component's cosine to the one most like the result.
    """
    w, h = factors(path)
    objective = problem.objective(w, h)
    known = sorted([*known, (objective, w, h)], key=lambda one: one[0])
    least, _, best_h = known[0]
    equal = [one[2] for one in known if one[0] - least <= 0.01 * problem.floor * least and one[1] is not w]
    to_truth, to_best = cosines(h, problem.answer.H), cosines(h, best_h)
    return {
        "reads": report["reads"], "visits": report["visits"], "passes": report["passes"], "seconds": report["seconds"],
        "converged": report["converged"], "objective": objective, "best": least,
        "reported": report["weighted_error"] ** 2,
        "excess": objective / least - 1, "excess_of_floor": (objective / least - 1) / problem.floor,
        "worst_to_best": float(to_best.min()),
        "nearest": max((float(cosines(h, one).min()) for one in equal), default=None),
        "subspace": subspace_cosine(problem, h, best_h),
        "worst_to_truth": float(to_truth.min()), "rare_to_truth": float(to_truth[engine_scans.RARE]),
        "best_rare_to_truth": float(cosines(best_h, problem.answer.H)[engine_scans.RARE]),
        "detectable": detectability(problem.answer)}
