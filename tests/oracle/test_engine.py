"""The engine on the scans D0-D3 (tests/gen/engine_scans.py): as good as the best solution known, in few reads, and the
state in 0.5 % of the positions is found. tools/engine_table.py prints the same figures as a table."""
import numpy
import pytest

import engine_reference
from engine_reference import engine_scans

SEEDS = range(1, 11)


def measure(unmix, kind, seed, folder, thorough):
    counts, answer = engine_scans.scan(kind, seed)
    numpy.save(folder / "scan.npy", counts)

    def run(path, *options):
        return unmix("nmf", folder / "scan.npy", "-k", engine_reference.K, "-o", path, "--no-report",
                     "--no-checkpoint", *options)

    report = run(folder / "result.npz")
    problem = engine_reference.Problem(counts, answer)
    known = engine_reference.best_known(problem, run, folder, 100 if thorough else 30, thorough)
    return problem, engine_reference.judge(problem, known, folder / "result.npz", report)


# The references of D3 alone take two minutes.
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.long if kind == "D3" else ())
                                  for kind in engine_scans.KINDS])
def test_one_scan_of_each_kind(unmix, kind, tmp_path):
    problem, row = measure(unmix, kind, 1, tmp_path, thorough=False)
    assert abs(row["reported"] / row["objective"] - 1) < 1e-5
    assert row["excess_of_floor"] <= 1
    if kind in ("D0", "D1", "D2"):
        assert row["rare_to_truth"] > 0.8
        assert row["worst_to_best"] >= 0.99


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", engine_scans.KINDS)
def test_ten_scans_of_each_kind(unmix, kind, tmp_path):
    rows = [measure(unmix, kind, seed, tmp_path, thorough=True)[1] for seed in SEEDS]
    assert sum(row["reads"] <= 3.1 for row in rows) >= 9
    assert sum(row["excess_of_floor"] <= 1 for row in rows) >= 9
    if kind != "D3":
        assert sum(row["worst_to_best"] >= 0.99 for row in rows) >= 9
    found = sum(row["rare_to_truth"] > 0.6 for row in rows)
    assert found >= {"D0": 8, "D1": 10, "D2": 10, "D3": 0}[kind]
