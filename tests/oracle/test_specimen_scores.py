"""prep, nmf and score on a small scan of every built-in specimen; `make check` prints the table of scores.

Floors are below what seed 1 gives, far enough for another start of the fit, and above what guessing gives. Nothing here
is quoted: docs/specimens/accuracy.md is made by tools/specimen_table.py on other seeds."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import specimen_table  # noqa: E402

# Right by state and by phase, error of fractions, the worst cosine of a component to the state nearest to it.
FLOORS = {"nanowire": (0.95, 0.95, 0.20, 0.93), "precipitates": (0.80, 0.95, 0.10, 0.97),
          "precipitates al-mg-si": (0.90, 0.93, 0.05, 0.93), "nanoparticles": (0.70, 0.67, 0.25, 0.93),
          "polycrystal": (0.90, 0.99, 0.08, 0.98), "glass": (0.95, 0.65, 0.15, 0.98), "empty": (1.0, 1.0, 1e-6, 0.98)}


@pytest.mark.parametrize("name", specimen_table.SMALL)
def test_a_full_pass_finds_what_is_there(unmix, tmp_path, record_property, name):
    row = specimen_table.measure(unmix, name, "small", 1, tmp_path)
    record_property("table", specimen_table.COLUMNS)
    record_property("table", specimen_table.line([row]))
    by_state, by_phase, fractions, cosine = FLOORS[name]
    assert row["accuracy"][0] >= by_state and row["phase_accuracy"][0] >= by_phase
    assert row["accuracy"] == sorted(row["accuracy"])
    assert row["fraction_rms"] <= fractions and min(row["nearest"]) >= cosine
    if name != "empty":
        assert row["accuracy"][0] > row["baseline"][0] + 0.05
