"""A disk that fills up: status 1 and a line that says so, no crash when the process ends, no partial output."""
import os
import shutil
import subprocess

import numpy
import pytest

ON_SMALL_DISK = """mount -t tmpfs -o size=$1 none "$2" || exit 77
shift; cd "$1"; shift; "$@"; status=$?; ls -A "$OUT"; exit $status"""


@pytest.mark.heavy
@pytest.mark.parametrize("command", [
    ["nmf", "IN", "-k", 2, "--no-report", "--no-checkpoint"], ["svd", "IN"], ["prep", "IN", "--bin-scan", 2],
    ["simulate"]])
@pytest.mark.parametrize("room", ["4k", "40k", "100k"])
def test_a_full_disk_is_told(unmix, tmp_path, command, room):
    scan, folder = tmp_path / "s.npy", tmp_path / "out"
    numpy.save(scan, numpy.random.default_rng(5).poisson(5, (40, 50, 48, 48)).astype("u2"))
    folder.mkdir()
    names = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is absent: no small disk can be made")
    words = [str(scan if word == "IN" else word) for word in command] + ["-q", "-o", str(folder / "o.hspy")]
    done = subprocess.run(
        ["unshare", "--mount", *names, "sh", "-c", ON_SMALL_DISK, "sh", room, str(folder), unmix.path, *words],
        capture_output=True, text=True, timeout=120, env={**os.environ, "OUT": str(folder), "LC_ALL": "C"})
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "o.hspy: HDF5 cannot write" in done.stderr and "No space left on device" in done.stderr
    assert done.stdout == "", "partial output"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.heavy
@pytest.mark.parametrize("room", ["4k", "500k", "1036k", "1060k"])
def test_no_truth_without_its_scan(unmix, tmp_path, room):
    truth, folder = tmp_path / "truth.npz", tmp_path / "out"
    folder.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("unshare is absent: no small disk can be made")
    names = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["simulate", "empty", "--size", "8x8", "--set", "ky=64", "--set", "kx=64", "--dtype", "f32", "-q", "-o",
             str(folder / "o.hspy"), "--compression", "none", "--truth", str(truth)]
    done = subprocess.run(
        ["unshare", "--mount", *names, "sh", "-c", ON_SMALL_DISK, "sh", room, str(folder), unmix.path, *words],
        capture_output=True, text=True, timeout=120, env={**os.environ, "OUT": str(folder), "LC_ALL": "C"})
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 1 and "No space left on device" in done.stderr, (done.returncode, done.stderr)
    assert done.stdout == "" and not list(tmp_path.glob("truth*")), "a truth without its scan"
