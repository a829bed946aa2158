"""The budget is a ceiling: peak resident set, as /usr/bin/time measures it, of a scan larger than the budget."""
import re
import subprocess

import numpy
import pytest

BUDGET, LIMIT = "500M", 600_000_000
COMMANDS = {
    "svd": ["-k", "5", "--power-iterations", "1", "-o", "r.npz"],
    "nmf": ["-k", "5", "--max-passes", "2", "--no-report", "-o", "r.npz"],
    "image": ["-o", "pictures"],
    "prep": ["--bin-signal", "2", "-o", "prepared.npy"],
}


def write_scan(path, gib):
    """u16 scan of 256 x 256 pixels in GIB GiB: three states, stochastic rounding as noise; written in blocks."""
    random = numpy.random.default_rng(11)
    rows = int(gib * 64)
    shape = (rows, 128, 256, 256)
    patterns = (random.gamma(0.5, 12.0, (3, 65536))).astype("f4")
    out = numpy.lib.format.open_memmap(path, "w+", "<u2", shape)
    for y in range(rows):
        fractions = random.dirichlet([0.4] * 3, 128).astype("f4")
        block = fractions @ patterns
        block += random.random(block.shape, dtype="f4")
        out[y] = block.astype("u2").reshape(128, 256, 256)
    out.flush()
    del out


def measure(unmix, scan, command, folder):
    done = subprocess.run(
        ["/usr/bin/time", "-v", unmix.path, command, scan, *COMMANDS[command], "--memory", BUDGET, "--quiet",
         "--force"], cwd=folder, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    peak = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr).group(1)) * 1024
    print(f"{command}: peak resident set {peak / 1e6:.0f} MB under --memory {BUDGET}")
    assert peak <= LIMIT
    return peak


@pytest.fixture(scope="module")
def gibibyte(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "scan.npy"
    write_scan(path, 1)
    yield path
    path.unlink()


@pytest.mark.parametrize("command", COMMANDS)
def test_one_gibibyte(unmix, gibibyte, tmp_path, command):
    measure(unmix, gibibyte, command, tmp_path)


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """9,216 patterns of 64 x 64 pixels: dense u16 (76 MB), and few counts in u8 (38 MB)."""
    folder = tmp_path_factory.mktemp("planned")
    random = numpy.random.default_rng(5)
    rate = random.dirichlet([0.4] * 3, 96 * 96) @ random.gamma(0.5, 1.0, (3, 4096))
    numpy.save(folder / "dense.npy", random.poisson(40 * rate).astype("u2").reshape(96, 96, 64, 64))
    numpy.save(folder / "sparse.npy", random.poisson(0.03 * rate).astype("u1").reshape(96, 96, 64, 64))
    return folder


@pytest.mark.parametrize("command", [
    ("svd", "dense.npy", "-k", 5),
    ("svd", "sparse.npy", "-k", 30, "--threads", 1), ("svd", "sparse.npy", "-k", 60, "--threads", 2),
    ("nmf", "dense.npy", "-k", 4), ("nmf", "dense.npy", "-k", 12, "--memory", "90M", "--threads", 2),
    ("nmf", "sparse.npy", "-k", 4, "--threads", 2)], ids=lambda c: "-".join(map(str, c)).replace("--", ""))
def test_the_peak_is_known_before(unmix, counts, tmp_path, command):
    name, scan, *options = command
    extra = ["--max-passes", 1, "--no-report", "--no-checkpoint"] if name == "nmf" else []
    made = unmix(name, counts / scan, *options, *extra, "-o", tmp_path / "r.npz")
    print(f"planned {made['planned_bytes'] / 1e6:.0f} MB, peak {made['peak_bytes'] / 1e6:.0f} MB")
    assert abs(made["planned_bytes"] - made["peak_bytes"]) < 0.1 * made["peak_bytes"]
    plan = unmix(name, counts / scan, *options, "--plan")
    assert abs(plan["planned_bytes"] - made["planned_bytes"]) < 0.05 * made["planned_bytes"]
    too_little = plan["least_bytes"] // 2
    refused = unmix.run(name, counts / scan, *options, "--memory", f"{too_little}", "--plan")
    assert refused.returncode == 1 and "--memory" in refused.stderr


@pytest.fixture(scope="module")
def four_gibibytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "scan.npy"
    write_scan(path, 4)
    yield path
    path.unlink()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_four_gibibytes(unmix, four_gibibytes, tmp_path, command):
    measure(unmix, four_gibibytes, command, tmp_path)


def test_a_budget_that_cannot_do_is_refused_with_the_number(unmix, tmp_path):
    numpy.save(tmp_path / "scan.npy", numpy.ones((8, 8, 512, 512), "u2"))
    line = unmix.fails("nmf", tmp_path / "scan.npy", "-k", 40, "-o", tmp_path / "r.npz", "--memory", "1M")
    assert re.search(r"\d+(\.\d+)? ?[kMG]", line), line
    assert not list(tmp_path.glob("r.npz*"))
