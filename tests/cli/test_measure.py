"""unmix measure: what is refused, and what has no meaning."""
import sys

import numpy as np
import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "oracle"))
from score_reference import write_model  # noqa: E402


def make(path, segments, step_nm=2.0, arrays=None):
    k, ny, nx = segments.shape
    write_model(path, np.ones((k, 6)), np.ones((ny * nx, k)), (ny, nx, 2, 3), arrays or {"segments": segments}, {}, step_nm)
    return path


def rods(ny=12, nx=14):
    segments = np.zeros((1, ny, nx))
    segments[0, 3, 2:7] = 1
    segments[0, 8, :] = 2
    return segments


@pytest.mark.parametrize("words, said", [
    (["none.npz"], "no particles"), (["half.npz"], "numbers of particles"), (["twice.npz"], "belong to one particle"),
    (["rods.npz", "--thickness", "0"], "above 0"), (["rods.npz", "--thickness", "small.npy"], "no map of 12 x 14"),
    (["rods.npz", "--log-ratio", "small.npy,small.npy"], "--mean-free-path"),
    (["rods.npz", "--height", "T1=length"], "no particle is of a phase"),
    (["rods.npz", "--height", "tall"], "--height takes"),
    (["rods.npz", "-o", "there.json"], "exists"),
])
def test_refused_in_one_line(unmix, tmp_path, words, said):
    make(tmp_path / "rods.npz", rods())
    make(tmp_path / "none.npz", rods(), arrays={"other": np.ones(3)})
    make(tmp_path / "half.npz", rods() * 0.5)
    make(tmp_path / "twice.npz", np.concatenate([rods(), rods()]))
    np.save(tmp_path / "small.npy", np.ones((3, 4)))
    (tmp_path / "there.json").write_text("")
    done = unmix.run("measure", *words, cwd=tmp_path)
    assert done.returncode in (1, 2) and said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_what_has_no_meaning_is_null(unmix, tmp_path):
    got = unmix("measure", make(tmp_path / "rods.npz", rods(), step_nm=None))
    row = got["conditions"][0]["phases"][0]
    assert got["particles"][0]["length_nm"] is None and row["density_per_um2"]["value"] is None
    assert got["particles"][1]["weight"] == 0  # from border to border
    assert row["area_fraction"]["value"] == pytest.approx(19 / 168) and row["area_fraction"]["low"] is None
    assert unmix("measure", tmp_path / "rods.npz", "--step", 5)["particles"][0]["area_nm2"] == 125


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (2, 9, 1)])
def test_small_scans(unmix, tmp_path, shape):
    segments = np.zeros(shape)
    segments[0].flat[0] = 1
    got = unmix("measure", make(tmp_path / "s.npz", segments), "--thickness", 10, "-o", tmp_path / "out")
    assert got["particles"][0]["area_px"] == 1
    assert got["conditions"][0]["phases"][0]["density_per_um2"]["value"] is None
    empty = unmix("measure", make(tmp_path / "e.npz", np.zeros(shape)), "-o", tmp_path / "empty")
    assert empty["particles"] == [] and empty["conditions"][0]["phases"][0]["area_fraction"]["value"] == 0


def test_same_bits_for_any_threads(unmix, tmp_path):
    make(tmp_path / "rods.npz", rods())
    for threads in (1, 2):
        unmix("measure", tmp_path / "rods.npz", "--threads", threads, "-o", tmp_path / f"{threads}.json")
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


def field(path, count=40, classes=2):
    """Single positions, of which three quarters are of the first class."""
    segments = np.zeros((classes, 20, 20))
    for i in range(count):
        segments[int(i % 4 == 3), 1 + 2 * (i // 9), 1 + 2 * (i % 9)] = i + 1
    return make(path, segments)


def test_a_spot_check_comes_back_as_a_proportion(unmix, tmp_path):
    field(tmp_path / "s.npz")
    made = unmix("verify", tmp_path / "s.npz", "--spotcheck", 20, "--seed", 3)
    path = tmp_path / "s-spotcheck.csv"
    assert made == {"drawn": 20, "particles": 40, "seed": 3, "file": str(path)}
    lines = path.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    assert [row[3] for row in rows].count("class 0") == 15 and len({row[1] for row in rows}) == 20
    again = unmix("verify", tmp_path / "s.npz", "--spotcheck", 20, "--seed", 3, "--spots", tmp_path / "again.csv")
    assert path.read_text() == open(again["file"]).read()
    unmix("verify", tmp_path / "s.npz", "--spotcheck", 20, "--seed", 4, "--spots", tmp_path / "other.csv")
    assert path.read_text() != (tmp_path / "other.csv").read_text()
    answers = ["yes"] * 14 + ["No", "0", " ", "?"] + ["y", "1"]
    path.write_text("\n".join([lines[0], *(line + a for line, a in zip(lines[1:], answers))]) + "\n")
    got = unmix("verify", tmp_path / "s.npz", "--verdicts", path)
    assert (got["checked"], got["right"], got["unchecked"]) == (18, 16, 2)
    parts = [(p["particles"], p["checked"], p["right"]) for p in got["phases"]]
    n = 40 ** 2 / sum(a * a / b for a, b, _ in parts)
    p, z = sum(a * c / b for a, b, c in parts) / 40, 1.959963984540054
    half = z / (n + z * z) * np.sqrt(p * (1 - p) * n + z * z / 4)
    assert got["proportion"]["value"] == pytest.approx(p)
    assert got["proportion"]["low"] == pytest.approx((p * n + z * z / 2) / (n + z * z) - half)
    assert got["proportion"]["high"] == pytest.approx((p * n + z * z / 2) / (n + z * z) + half)


@pytest.mark.parametrize("old, new, said", [
    ("class 0,", "class 1,", "no such particle"), ("number,", "nummer,", "is no list"), (",\n", ",perhaps\n", "write yes, no"),
    ("\n2,", "\n2,2,", "columns"), ("class 0,", '"class 0"",', "columns"), ("\n1,", "\n1,9", "no such particle")])
def test_a_damaged_list_is_refused(unmix, tmp_path, old, new, said):
    field(tmp_path / "s.npz")
    unmix("verify", tmp_path / "s.npz", "--spotcheck", 20)
    path = tmp_path / "s-spotcheck.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    assert said in unmix.fails("verify", tmp_path / "s.npz", "--verdicts", path)


def test_spot_checks_that_are_refused(unmix, tmp_path):
    field(tmp_path / "s.npz")
    assert "at least one of each" in unmix.fails("verify", tmp_path / "s.npz", "--spotcheck", 1, status=2)
    assert "exclude" in unmix.fails("verify", tmp_path / "s.npz", "--spotcheck", 5, "--verdicts", "x.csv", status=2)
    assert "cannot be opened" in unmix.fails("verify", tmp_path / "s.npz", "--verdicts", tmp_path / "x.csv")
    (tmp_path / "s-spotcheck.csv").write_text("")
    assert "exists" in unmix.fails("verify", tmp_path / "s.npz", "--spotcheck", 5)
