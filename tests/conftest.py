"""What the Python tests share: how to run unmix, and where the real instrument files are.

UNMIX names the tool (default build/unmix); UNMIX_SHARED the folder with data/ in it (default ../shared
beside the tree). Tests of real files are skipped where that folder is absent.
"""
import json
import os
import pathlib
import signal
import subprocess

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, which unmix would inherit and respect.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Unmix:
    """Runs the tool: unmix("svd", path, "-k", 3) -> the JSON object; run() for exit status and text."""

    def __init__(self, path):
        self.path = str(path)

    def run(self, *arguments, timeout=300, environment=None, cwd=None):
        return subprocess.run(
            [self.path, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, env={**os.environ, **(environment or {})}, cwd=cwd)

    def __call__(self, *arguments, **options):
        done = self.run(*arguments, "--json", **options)
        assert done.returncode == 0, f"unmix {' '.join(map(str, arguments))}: {done.stderr}"
        return json.loads(done.stdout)

    def fails(self, *arguments, status=1, **options):
        """Runs what must fail; gives the one line that says why."""
        done = self.run(*arguments, **options)
        assert done.returncode == status, (done.returncode, done.stderr)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, f"one clear line expected: {done.stderr}"
        return lines[0]


@pytest.fixture(scope="session")
def unmix():
    path = pathlib.Path(os.environ.get("UNMIX", ROOT / "build" / "unmix"))
    if not path.is_file():
        pytest.fail(f"{path}: no such tool; run `make build` or set UNMIX")
    return Unmix(path.resolve())


@pytest.fixture(scope="session")
def shared():
    """The folder of real files, ../shared/data."""
    folder = pathlib.Path(os.environ.get("UNMIX_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: tests of real files are skipped")
    return folder


def pytest_terminal_summary(terminalreporter):
    """Prints the rows that tests have recorded as "table", the first cell of each to the left."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    rows = [value for report in reports for name, value in report.user_properties if name == "table"]
    for first, *others in dict.fromkeys(map(tuple, rows)):
        terminalreporter.write_line(f"scores: {first:<22}" + "".join(f"{cell:>13}" for cell in others))
