"""Same input and seed, same bits: for any number of threads and any memory budget, flat and chunked files."""
import sys
import pathlib

import numpy
import pytest

import reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gen"))
import scan_files  # noqa: E402

RUNS = (("1", "30M"), ("2", "30M"), ("1", "2G"), ("2", "2G"), ("5", "200M"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("determinism")
    x = reference.mixture((40, 50, 32, 32), 4, counts=300)
    numpy.save(folder / "flat.npy", x)
    scan_files.hspy(folder / "chunked.hspy", x, chunks=(16, 16, 16, 16), compression="gzip", shuffle=True)
    return folder


def members(path):
    with numpy.load(path) as arrays:
        return {name: arrays[name].tobytes() for name in ("factors", "loadings")}


@pytest.mark.parametrize("weights", ["poisson", "none"])
@pytest.mark.parametrize("name", ["flat.npy", "chunked.hspy"])
@pytest.mark.parametrize("command", [["svd", "-k", "6"], ["nmf", "-k", "4", "--max-passes", "15", "--no-report"],
                                     ["nmf", "-k", "4", "--stop", "floor", "--max-passes", "6", "--no-report"],
                                     ["nmf", "-k", "4", "--loss", "kl", "--max-passes", "6", "--no-report"]],
                         ids=["svd", "nmf", "few-reads", "kl"])
def test_same_bits(unmix, scans, tmp_path, command, name, weights):
    results = []
    for threads, memory in RUNS:
        out = tmp_path / f"{threads}-{memory}.npz"
        unmix(command[0], scans / name, *command[1:], "-o", out, "--weights", weights, "--threads", threads,
              "--memory", memory, "--seed", "7")
        results.append(members(out))
    for (threads, memory), result in zip(RUNS[1:], results[1:]):
        assert result == results[0], f"--threads {threads} --memory {memory} differs from --threads 1"


def test_same_bits_through_a_recipe(unmix, scans, tmp_path):
    results = []
    for threads, memory in RUNS:
        out = tmp_path / f"{threads}-{memory}.npz"
        unmix("nmf", scans / "chunked.hspy", "-k", 3, "-o", out, "--max-passes", 8, "--crop-scan",
              "3:39,5:50", "--bin-scan", 2, "--bin-signal", 2, "--mask-beam", 3, "--threads", threads,
              "--memory", memory)
        results.append(members(out))
    assert all(result == results[0] for result in results[1:])


def test_another_seed_is_another_run(unmix, scans, tmp_path):
    """So the equality above is not that of a seed that nothing uses."""
    results = []
    for seed in (1, 2):
        unmix("nmf", scans / "flat.npy", "-k", 4, "-o", tmp_path / f"{seed}.npz", "--start", "random",
              "--max-passes", 3, "--seed", seed)
        results.append(members(tmp_path / f"{seed}.npz"))
    assert results[0] != results[1]


def test_same_bits_in_every_form(unmix, tmp_path):
    """Budgets that keep the scan as it is, packed, and not at all; counts few enough for sparse rows, and more."""
    reads = set()
    for counts in (20, 300):
        x = reference.mixture((64, 96, 48, 48), 3, counts=counts).astype("u2")
        numpy.save(tmp_path / "scan.npy", x)
        results = []
        for memory in ("11M", "14M", "24M", "1G"):
            out = tmp_path / f"{memory}.npz"
            done = unmix("nmf", tmp_path / "scan.npy", "-k", 3, "-o", out, "--max-passes", 6, "--no-report",
                              "--tolerance", 1e-12, "--memory", memory, "--force")
            results.append(members(out))
            reads.add(done["reads"])
        assert all(result == results[0] for result in results[1:])
    assert len(reads) > 1, "every budget kept the same" # sparse rows always fit beside the solver's own numbers
