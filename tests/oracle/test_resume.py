"""A killed run leaves nothing under the final name, and --resume gives the result of a run never disturbed."""
import json
import random
import signal
import subprocess
import time

import numpy
import pytest

import reference

OPTIONS = ["-k", "5", "--checkpoint-seconds", "0", "--tolerance", "1e-12", "--max-passes", "60", "--seed", "3",
           "--threads", "1", "--start", "random", "--no-report"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("resume") / "scan.npy"
    numpy.save(path, reference.mixture((32, 64, 40, 40), 5, counts=200, dtype="u1"))
    return path


@pytest.fixture(scope="module")
def undisturbed(unmix, scan, tmp_path_factory):
    """(lines of progress, factors, loadings) of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "r.npz"
    done = unmix.run("nmf", scan, "-o", out, *OPTIONS, "--progress", "json")
    assert done.returncode == 0, done.stderr
    return len(done.stderr.splitlines()), *members(out)


def members(path):
    with numpy.load(path) as arrays:
        return arrays["factors"].tobytes(), arrays["loadings"].tobytes()


# What a run tells about itself rather than about the scan.
ABOUT_THE_RUN = {"command", "options", "seconds", "peak_bytes", "planned_bytes", "reads", "visits"}


def whole_file(path):
    """Every array of the file, byte by byte, and the provenance but for what differs from run to run."""
    with numpy.load(path) as arrays:
        content = {name: (arrays[name].dtype.str, arrays[name].shape, arrays[name].tobytes()) for name in arrays.files}
        provenance = json.loads(str(arrays["provenance"]))
        model = json.loads(arrays["unmix_model"].tobytes())
    del content["provenance"], content["unmix_model"]
    for told in (provenance, model.get("provenance", {})):
        for name in ABOUT_THE_RUN & told.keys():
            del told[name]
    return content, provenance, model


def interrupt(unmix, scan, out, lines, how, *options, delay=0.0, base=OPTIONS):
    """Starts nmf and sends the signal so many lines of progress later; the exit status."""
    process = subprocess.Popen(
        [unmix.path, "nmf", str(scan), "-o", str(out), *base, *options, "--progress", "json"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(lines):
        process.stderr.readline()
    time.sleep(delay)
    process.send_signal(how)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(unmix, scan, undisturbed, tmp_path, seed):
    total, factors, loadings = undisturbed
    moments = random.Random(seed)
    out = tmp_path / "r.npz"
    for attempt in range(2):
        status = interrupt(unmix, scan, out, moments.randrange(1, total // 4), signal.SIGKILL,
                           *(["--resume"] if attempt else []), delay=moments.uniform(0, 0.01))
        assert status == -signal.SIGKILL
        assert not out.exists()
    done = unmix.run("nmf", scan, "-o", out, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    assert members(out) == (factors, loadings)
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]


# The fit in few reads: a sample, fused reads, low-rank fits, exact passes with corrected fits between them.
FEW_READS = ["-k", "5", "--checkpoint-seconds", "0", "--stop", "floor", "--tolerance", "1e-12", "--max-passes", "8",
             "--seed", "3", "--no-report"]


def kill_few_reads(unmix, scan, folder, seeds, options=FEW_READS):
    """Killed once at a random moment, then resumed: the identical result."""
    whole = folder / "whole.npz"
    done = unmix.run("nmf", scan, "-o", whole, *options, "--progress", "json")
    assert done.returncode == 0, done.stderr
    total = len(done.stderr.splitlines())
    for seed in seeds:
        moments = random.Random(seed)
        out = folder / f"r{seed}.npz"
        assert interrupt(unmix, scan, out, moments.randrange(1, total - 2), signal.SIGKILL, base=options,
                         delay=moments.uniform(0, 0.005)) == -signal.SIGKILL
        assert not out.exists()
        done = unmix.run("nmf", scan, "-o", out, *options, "--resume")
        assert done.returncode == 0, done.stderr
        assert whole_file(out) == whole_file(whole), f"seed {seed}"
        print(f"seed {seed}: the same file")


def test_few_reads_killed_at_any_moment(unmix, scan, tmp_path):
    kill_few_reads(unmix, scan, tmp_path, range(3))


KL = ["-k", "5", "--checkpoint-seconds", "0", "--loss", "kl", "--tolerance", "1e-12", "--max-passes", "12",
      "--start", "random", "--seed", "3", "--no-report"]


def test_a_fit_of_the_likelihood_killed_at_any_moment(unmix, scan, tmp_path):
    kill_few_reads(unmix, scan, tmp_path, range(2), KL)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_few_reads_killed_twenty_times(unmix, scan, tmp_path):
    kill_few_reads(unmix, scan, tmp_path, range(100, 120))


def test_resume_really_goes_on(unmix, scan, undisturbed, tmp_path):
    """Killed half-way, resumed: it must not start over, so fewer stages are worked through."""
    out = tmp_path / "r.npz"
    assert interrupt(unmix, scan, out, undisturbed[0] // 2, signal.SIGKILL) == -signal.SIGKILL
    done = unmix.run("nmf", scan, "-o", out, *OPTIONS, "--resume", "--progress", "json")
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) < 0.8 * undisturbed[0]


def test_cancelled_by_ctrl_c(unmix, scan, undisturbed, tmp_path):
    out = tmp_path / "r.npz"
    assert interrupt(unmix, scan, out, undisturbed[0] // 2, signal.SIGINT) == 130
    assert not out.exists() and not list(tmp_path.glob("*.part"))
    done = unmix.run("nmf", scan, "-o", out, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    assert members(out) == undisturbed[1:]


def test_a_checkpoint_of_another_run_is_refused(unmix, scan, undisturbed, tmp_path):
    out = tmp_path / "r.npz"
    assert interrupt(unmix, scan, out, undisturbed[0] // 2, signal.SIGKILL) == -signal.SIGKILL
    done = unmix.run("nmf", scan, "-o", out, *OPTIONS, "--resume", "-k", 4)
    assert done.returncode == 2 and "checkpoint" in done.stderr
    assert not out.exists()
