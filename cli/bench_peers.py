"""scikit-learn and HyperSpy on the same problems as unmix, for `unmix bench --peers PYTHON`. Prints a JSON list.

Every run is a process of its own, forked from this one before anything large is imported. Time of a peer is that of
the call that factorises, data already in memory as the float array that it wants; time of unmix is that of the whole
process, from a file in the page cache to the written result. Peak memory of a peer is its peak resident set less that
after its imports (its data count, as they must be in memory); of unmix it is the whole peak resident set.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

CLOSE = 1e-4  # relative excess of the objective at which two solutions count as equally good


def note(*words):
    print("peers:", *words, file=sys.stderr, flush=True)


def status_bytes(name):
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(name)


def alone(work, *arguments):
    """What work(*arguments) gives as JSON, from a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            warnings.simplefilter("ignore")
            with os.fdopen(writing, "w") as out:
                json.dump(work(*arguments), out)
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as text:
        answer = text.read()
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(f"peers: {work.__name__} failed: see above")
    return json.loads(answer)


class Tool:
    def __init__(self, path, threads):
        self.path, self.threads = path, threads

    def __call__(self, *words):
        start = time.perf_counter()
        done = subprocess.run([self.path, *map(str, words), "--json", "--threads", str(self.threads)],
                              stdout=subprocess.PIPE, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"peers: unmix {words[0]} failed: see above")
        return {**json.loads(done.stdout), "wall_seconds": seconds}

    def nmf(self, scan, k, out, *words):
        """The best of three."""
        runs = [self("nmf", scan, "-k", k, "-o", out, "--force", "--no-report", "--no-checkpoint", *words)
                for _ in range(3)]
        return min(runs, key=lambda run: run["wall_seconds"])


# ---- in children ---------------------------------------------------------------------------------

def load(path, mask=None, dtype="f4"):
    import numpy
    stored = numpy.load(path, mmap_mode="r")
    stored = stored.reshape(stored.shape[0] * stored.shape[1], -1)
    keep = numpy.ones(stored.shape[1], bool) if mask is None else numpy.load(mask).ravel() == 0
    x = numpy.empty((len(stored), int(keep.sum())), dtype)
    for start in range(0, len(x), 4096):
        x[start:start + 4096] = stored[start:start + 4096][:, keep]
    return x


def objective(x, w, h, weighted=False):
    """Sum of squared residuals in double precision; weighted: of (x - w h) / sqrt(row sum * column sum)."""
    import numpy
    w, h = w.astype("f8"), h.astype("f8")
    a, b = numpy.ones(len(x)), numpy.ones(x.shape[1])
    if weighted:
        a, b = x.sum(1, dtype="f8"), x.sum(0, dtype="f8")
    u, v = ((t > 0) / numpy.sqrt(numpy.where(t > 0, t, 1)) for t in (a, b))
    total = 0.0
    for start in range(0, len(x), 2048):
        rows = slice(start, start + 2048)
        d = x[rows] - w[rows] @ h
        d *= u[rows, None] * v
        total += float(numpy.vdot(d, d))
    return total


def unmix_factors(path, keep=None):
    import numpy
    with numpy.load(path) as result:
        w, h = result["loadings"], result["factors"].T
    return w, h if keep is None else h[:, numpy.load(keep).ravel() == 0]


def objective_of_unmix(scan, result, mask, weighted):
    return objective(load(scan, mask), *unmix_factors(result, mask), weighted)


def fit(x, k, init, iterations, w=None, h=None):
    from sklearn.decomposition import NMF
    model = NMF(k, init="custom" if w is not None else init, solver="cd", tol=0, max_iter=iterations, random_state=0)
    start = time.perf_counter()
    w = model.fit_transform(x, W=w, H=h)
    return w, model.components_, time.perf_counter() - start


def iterations_to(scan, mask, k, init, target, seconds, step):
    """Iterations, a multiple of `step`, after which scikit-learn is at the target, or those that fit into `seconds`.

    cd goes on from given factors as if it had not stopped, so steps in a row are one run.
    """
    x = load(scan, mask)
    w = h = None
    spent, history = 0.0, []
    while spent < seconds:
        w, h, more = fit(x, k, init, step, w, h)
        spent += more
        history.append([step * (len(history) + 1), spent, objective(x, w, h)])
        if history[-1][2] <= target * (1 + CLOSE):
            return {"iterations": history[-1][0], "reached": True, "history": history}
    return {"iterations": history[-1][0], "reached": False, "history": history}


def sklearn_run(scan, mask, k, init, iterations):
    import sklearn.decomposition
    base = status_bytes("VmRSS")
    x = load(scan, mask)
    w, h, seconds = fit(x, k, init, iterations)
    peak = status_bytes("VmHWM")
    return {"seconds": seconds, "peak": peak - base, "baseline": base, "objective": objective(x, w, h),
            "version": sklearn.__version__}


def sklearn_from(scan, mask, k, result, iterations):
    """By how much scikit-learn lowers the objective of our result."""
    import numpy
    x = load(scan, mask)
    w, h = (numpy.ascontiguousarray(part, "f4") for part in unmix_factors(result, mask))
    before = objective(x, w, h)
    w, h, _ = fit(x, k, None, iterations, w, h)
    return 1 - objective(x, w, h) / before


def hyperspy_run(scan, k):
    import hyperspy
    import hyperspy.api
    import numpy
    base = status_bytes("VmRSS")
    signal = hyperspy.api.signals.Signal2D(numpy.load(scan).astype("f4"))
    start = time.perf_counter()
    signal.decomposition(True, algorithm="NMF", output_dimension=k, print_info=False)
    seconds = time.perf_counter() - start
    peak = status_bytes("VmHWM")
    result = signal.learning_results
    return {"seconds": seconds, "peak": peak - base, "baseline": base, "version": hyperspy.__version__,
            "objective": objective(load(scan), result.loadings, result.factors.T, True)}


# ---- the comparisons -------------------------------------------------------------------------------

def row(peer, version, problem, compared, theirs, ours, their_objective, our_objective, **more):
    return {"peer": peer, "version": version, "problem": problem, "compared": compared,
            "peer_seconds": theirs["seconds"], "unmix_seconds": ours["wall_seconds"],
            "time_ratio": theirs["seconds"] / ours["wall_seconds"],
            "peer_peak_bytes": theirs["peak"], "peer_baseline_bytes": theirs["baseline"],
            "unmix_peak_bytes": ours["peak_bytes"], "memory_ratio": theirs["peak"] / ours["peak_bytes"],
            "peer_objective": their_objective, "unmix_objective": our_objective,
            "unmix_reads": ours["reads"], "unmix_passes": ours["passes"], **more}


def against_sklearn(tool, folder, quick, seconds):
    scan, result, k = folder + "/scan.npy", folder + "/result.npz", 8
    size, side = ("20x20", 32) if quick else ("100x200", 64)
    tool("simulate", "-o", scan, "--size", size, "--pattern-size", f"{side}x{side}", "--states", k, "--counts", 1000,
         "--dtype", "u8", "--force")
    ours = tool.nmf(scan, k, result, "--weights", "none")
    reached = alone(objective_of_unmix, scan, result, None, False)
    for init in ("nndsvda", "random"):
        note(f"scikit-learn cd, {init}")
        found = alone(iterations_to, scan, None, k, init, reached, seconds, 10)
        theirs = alone(sklearn_run, scan, None, k, init, found["iterations"])
        at = f"{found['iterations']} iterations to within {CLOSE:g} of the objective of unmix" if found["reached"] else \
            f"{found['iterations']} iterations did not come within {CLOSE:g} of the objective of unmix: at least"
        yield row(f"scikit-learn NMF (cd, {init})", theirs["version"],
                  f"{size} patterns of {side}x{side}, k = {k}, least squares", at, theirs, ours, theirs["objective"],
                  reached, reached=found["reached"], iterations=found["iterations"], history=found["history"])


def against_hyperspy(tool, folder, quick):
    scan, result, k = folder + "/scan.npy", folder + "/result.npz", 8
    size, side = ("16x16", 32) if quick else ("128x128", 128)
    note("HyperSpy decomposition")
    tool("simulate", "-o", scan, "--size", size, "--pattern-size", f"{side}x{side}", "--states", k, "--counts", 2000,
         "--dtype", "u8", "--force")
    ours = tool.nmf(scan, k, result)
    reached = alone(objective_of_unmix, scan, result, None, True)
    theirs = alone(hyperspy_run, scan, k)
    excess = reached / theirs["objective"] - 1
    yield row("HyperSpy decomposition(True, algorithm='NMF')", theirs["version"],
              f"{size} patterns of {side}x{side}, k = {k}, Poisson weights",
              f"its defaults; objective of unmix is {abs(excess):.1e} {'higher' if excess > 0 else 'lower'}", theirs, ours,
              theirs["objective"], reached, reached=excess <= CLOSE)


def against_published(tool, folder, quick):
    """262,144 positions x 2,930 pixels, k = 5: published as 7,182 s and 8,387 iterations."""
    scan, mask, result, k = folder + "/scan.npy", folder + "/mask.npy", folder + "/result.npz", 5
    size, pixels, published = ("32x32" if quick else "512x512"), 2930, 8387
    iterations = 10 if quick else 40
    note("scikit-learn on 262,144 x 2,930")
    tool("simulate", "-o", scan, "--size", size, "--pattern-size", "64x64", "--states", k, "--counts", 2000, "--dtype",
         "u8", "--force")
    alone(write_mask, mask, pixels)
    ours = tool.nmf(scan, k, result, "--weights", "none", "--signal-mask", mask)
    reached = alone(objective_of_unmix, scan, result, mask, False)
    theirs = alone(sklearn_run, scan, mask, k, "random", iterations)
    lower = alone(sklearn_from, scan, mask, k, result, iterations)
    theirs["seconds"] *= published / iterations
    yield row("scikit-learn NMF (cd, random)", theirs["version"], f"{size} positions x {pixels} pixels, k = {k}, least squares",
              f"time of {iterations} iterations x {published / iterations:.0f} for the published {published}; {iterations} "
              f"iterations from the result of unmix lower its objective by {lower:.1e}", theirs, ours,
              theirs["objective"], reached, reached=lower <= CLOSE, iterations=iterations)


def write_mask(path, pixels):
    import numpy
    y, x = numpy.mgrid[:64, :64] - 31.5
    off = numpy.ones(64 * 64, "u1")
    off[numpy.argsort(numpy.hypot(y, x).ravel(), kind="stable")[:pixels]] = 0
    numpy.save(path, off.reshape(64, 64))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unmix", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=600, help="most that a search for iterations may take")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    tool = Tool(options.unmix, options.threads)
    rows = []
    with tempfile.TemporaryDirectory(prefix="unmix-peers-", dir=options.dir) as folder:
        rows += against_sklearn(tool, folder, options.quick, 20 if options.quick else options.seconds)
        rows += against_hyperspy(tool, folder, options.quick)
        rows += against_published(tool, folder, options.quick)
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
