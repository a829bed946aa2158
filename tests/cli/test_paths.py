"""What may be named as input and output: nothing that is read, or is no output of the tool, is ever lost."""
import re

import numpy
import pytest


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.npy"
    numpy.save(path, numpy.random.default_rng(3).poisson(5, (4, 5, 6, 7)).astype("u2"))
    return path


def test_checkpoint_never_replaces_another_file(unmix, scan, tmp_path):
    before = scan.read_bytes()
    result = tmp_path / "r.hspy"
    line = unmix.fails("nmf", scan, "-k", 2, "-o", result, "--checkpoint", scan, status=2)
    assert "input" in line
    array = tmp_path / "array.npy"
    array.write_bytes(before)
    line = unmix.fails("nmf", scan, "-k", 2, "-o", result, "--checkpoint", array, "--force")
    assert "no checkpoint" in line and array.read_bytes() == before
    other = tmp_path / "other.hspy.checkpoint"
    other.write_text("mine")
    unmix.fails("nmf", scan, "-k", 2, "-o", tmp_path / "other.hspy", "--force")
    line = unmix.fails("nmf", scan, "-k", 2, "-o", result, "--checkpoint", result, status=2)
    assert "output" in line
    line = unmix.fails("nmf", scan, "-k", 2, "-o", result, "--checkpoint", tmp_path / "no" / "c")
    assert "folder" in line
    assert scan.read_bytes() == before and other.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "array.npy", "other.hspy.checkpoint", "scan.npy"]


@pytest.mark.parametrize("command", [
    ["prep", "IN", "-o", "IN", "--bin-signal", 2], ["convert", "IN", "IN"],
    ["prep", "IN", "-o", "OUT", "--save-recipe", "IN"], ["prep", "IN", "-o", "OUT", "--report", "IN"],
    ["prep", "IN", "-o", "OUT", "--report", "OUT"],
    ["prep", "IN", "-o", "OUT", "--signal-mask", "MASK", "--report", "MASK"]])
def test_no_output_replaces_what_is_read_or_written_as_well(unmix, scan, tmp_path, command):
    mask = tmp_path / "mask.npy"
    numpy.save(mask, numpy.zeros((6, 7), "u1"))
    before = scan.read_bytes(), mask.read_bytes()
    names = {"IN": scan, "OUT": tmp_path / "out.npy", "MASK": mask}
    unmix.fails(*[names.get(word, word) for word in command], "--force", status=2)
    assert (scan.read_bytes(), mask.read_bytes()) == before
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("command", ["simulate", "run"])
def test_a_plan_is_a_text_file_that_sets_something(unmix, tmp_path, command):
    empty = tmp_path / "empty.ini"
    empty.write_text("")
    output = ["-o", tmp_path / "s.npy"] if command == "simulate" else []
    for path in (tmp_path, "/dev/zero", "/dev/null", empty, tmp_path / "none.ini"):
        line = unmix.fails(command, path, *output, timeout=20)
        assert str(path) in line
    assert [p.name for p in tmp_path.iterdir()] == ["empty.ini"]


@pytest.mark.parametrize("command", ["report", "score"])
def test_what_is_no_result_is_told_with_the_reason(unmix, scan, tmp_path, command):
    again = [scan] if command == "score" else []
    for path, reason in ((scan, "HDF5"), (tmp_path / "none.hspy", "No such file"), (tmp_path, "")):
        line = unmix.fails(command, path, *again, *(["-o", tmp_path / "r.html"] if not again else []))
        assert reason in line and "()" not in line


def test_more_components_than_there_can_be_are_told_as_that(unmix, scan, tmp_path):
    for command in ("nmf", "svd"):
        line = unmix.fails(command, scan, "-k", 10**9, "-o", tmp_path / "r.hspy", status=2)
        assert "20 components" in line


@pytest.mark.heavy
def test_the_beam_mask_that_the_report_asks_for_is_in_pixels_before_binning(unmix, tmp_path):
    scan, radius = tmp_path / "s.npy", []
    unmix("simulate", "-o", scan, "--size", "12x12", "--states", 3, "--pattern-size", "64x64")
    for bins in (1, 2):
        page = tmp_path / f"r{bins}.html"
        unmix("nmf", scan, "-k", 3, "--bin-signal", bins, "-o", tmp_path / f"r{bins}.npz")
        radius.append(int(re.search(r"--mask-beam&nbsp;(\d+)", page.read_text())[1]))
    assert radius[0] < radius[1] <= 2 * radius[0], radius


def test_hidden_states_are_one_line(unmix, tmp_path):
    done = unmix.run("simulate", "-o", tmp_path / "s.npy", "--truth", tmp_path / "t.npz",
                     "--size", "2x2", "--states", 9, "--pattern-size", "8x8")
    assert done.returncode == 0 and len(done.stderr.splitlines()) == 1


def test_damage_that_crashes_libhdf5_is_told_in_a_line(unmix, tmp_path):
    """A variable-length text whose heap is cut short: libhdf5 1.10 follows the reference and crashes."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        data = f.create_dataset("scan", data=numpy.ones((3, 4, 5, 6), "u2"))
        data.attrs["units"] = "a text long enough to live in the global heap of the file"
    whole = bytearray(path.read_bytes())
    heap = whole.find(b"GCOL")
    assert heap > 0
    answers = set()
    for at in range(heap, heap + 64):
        damaged = bytearray(whole)
        damaged[at] ^= 0xff
        path.write_bytes(damaged)
        done = unmix.run("info", path)
        assert done.returncode in (0, 1), (at, done.returncode, done.stderr)
        assert done.returncode == 0 or len(done.stderr.strip().splitlines()) == 1
        answers.add(done.returncode)
    assert 0 in answers
