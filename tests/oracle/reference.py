"""Plain dense numpy versions of what unmix streams: slow, short, and written from the equations alone."""
import numpy


def weights(x, rows, columns):
    """Keenan-Kotula roots over the kept rows and columns: x' = x * r[:, None] * c[None, :], 0/0 = 0."""
    kept = x[numpy.ix_(rows, columns)].astype(float)
    a, b = numpy.zeros(x.shape[0]), numpy.zeros(x.shape[1])
    a[rows], b[columns] = kept.sum(1), kept.sum(0)
    with numpy.errstate(divide="ignore"):
        return (numpy.where(a > 0, 1 / numpy.sqrt(a), 0), numpy.where(b > 0, 1 / numpy.sqrt(b), 0))


def scaled(x, rows, columns, weighted):
    kept = x[numpy.ix_(rows, columns)].astype(float)
    if not weighted:
        return kept
    r, c = weights(x, rows, columns)
    return kept * r[rows][:, None] * c[columns][None, :]


def nnls_rows(x, h):
    """min over w >= 0 of |x - w h|, one row at a time."""
    from scipy.optimize import nnls
    return numpy.array([nnls(h.T, row)[0] for row in x])


def best_nmf(x, k, starts=4, sweeps=400, seed=0):
    """HALS from several random starts; the smallest |x - wh|."""
    best = numpy.inf
    for start in range(starts):
        random = numpy.random.default_rng([seed, start])
        w, h = random.random((x.shape[0], k)), random.random((k, x.shape[1]))
        h *= x.sum() / (w @ h).sum()
        for _ in range(sweeps):
            for left, right, data in ((w, h, x), (h.T, w.T, x.T)):
                product, gram = data @ right.T, right @ right.T
                for c in range(k):
                    if gram[c, c] > 0:
                        step = left[:, c] + (product[:, c] - left @ gram[:, c]) / gram[c, c]
                        left[:, c] = numpy.maximum(step, 0)
        best = min(best, float(numpy.linalg.norm(x - w @ h)))
    return best


def elbow(singular_values, points=20):
    """Number of components at the point farthest from the chord of log variance."""
    y = numpy.log(numpy.asarray(singular_values[:points], float) ** 2)
    x = numpy.arange(len(y), dtype=float)
    direction = numpy.array([x[-1] - x[0], y[-1] - y[0]])
    direction /= numpy.linalg.norm(direction)
    rest = numpy.stack([x - x[0], y - y[0]], 1)
    rest -= numpy.outer(rest @ direction, direction)
    return int(numpy.argmax(numpy.linalg.norm(rest, axis=1))) + 1


def mixture(shape, k, counts=400.0, seed=5, dtype="u2"):
    """A Poisson scan (ny, nx, ky, kx) of k smooth-ish random states with mixed regions."""
    ny, nx, ky, kx = shape
    random = numpy.random.default_rng(seed)
    patterns = random.gamma(0.3, 1.0, (k, ky * kx)) + 1e-3
    patterns /= patterns.sum(1, keepdims=True)
    fractions = random.dirichlet(numpy.full(k, 0.3), ny * nx)
    return random.poisson(counts * fractions @ patterns).reshape(shape).astype(dtype)


def load_result(path):
    """(loadings (N, k), factors (k, M)) of an .npz result, NaN where excluded."""
    with numpy.load(path) as arrays:
        return arrays["loadings"].astype(float), arrays["factors"].astype(float).T
