"""Results and scans of unmix as HyperSpy 1.7 (Debian's) and the newest HyperSpy see them."""
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SHAPES = [(3, 4, 5, 6), (5, 3, 4, 9)]  # never square


def debian_hyperspy():
    python = os.environ.get("UNMIX_PYTHON_HYPERSPY17", "/usr/bin/python3")
    done = subprocess.run([python, "-c", "import hyperspy; print(hyperspy.__version__)"],
                          capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.startswith("1.7"):
        pytest.skip(f"{python} has no HyperSpy 1.7 (apt install python3-hyperspy)")
    return python


@pytest.fixture(params=["1.7", "newest"])
def python(request):
    return debian_hyperspy() if request.param == "1.7" else sys.executable


@pytest.fixture(scope="session")
def make_result(unmix):
    tool = pathlib.Path(unmix.path).parent / "tests" / "make_result"
    assert tool.is_file(), f"{tool} is not built"

    def make(folder, shape, k, compression="gzip"):
        subprocess.run([tool, folder, *map(str, shape), str(k), compression], check=True)
    return make


def check(python, folder, shape, k):
    done = subprocess.run([python, HERE / "hyperspy_reads.py", folder, *map(str, shape), str(k)],
                          capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("k", [1, 3])
def test_hyperspy_opens_results(unmix, make_result, tmp_path, python, k):
    shape = SHAPES[k % 2]
    make_result(tmp_path, shape, k)
    check(python, tmp_path, shape, k)
    # What HyperSpy saved again is still a scan for unmix.
    info = unmix("info", tmp_path / "linked_again.hspy")
    assert info["shape"] == list(shape)
    assert [axis["scale"] for axis in info["axes"]] == [2.5, 2.5, 0.1, 0.1]


SPECIMENS = ["nanowire", "precipitates", "nanoparticles", "polycrystal", "glass", "empty"]


def test_hyperspy_opens_specimens_and_their_truth(unmix, tmp_path, python):
    for kind in SPECIMENS:
        options = ["--size", "3x4", "--pattern-size", "20x24", "--set", "pixel_per_A=0.1", "--counts", 500]
        unmix("simulate", kind, "-o", tmp_path / f"{kind}.hspy", "--truth", tmp_path / f"{kind}_truth.hspy", *options)
        unmix("simulate", kind, "-o", tmp_path / f"{kind}.npy", "--truth", tmp_path / f"{kind}_truth.npz", *options)
    done = subprocess.run([python, HERE / "hyperspy_opens_specimens.py", tmp_path, *SPECIMENS], capture_output=True,
                          text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr
