"""Options, help, manual pages, completion, exit statuses and standard streams of every command."""
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def table(unmix):
    return {c["name"]: c for c in unmix("help")["commands"]}


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "scan.npy"
    np.save(path, rng.poisson(5, size=(4, 5, 6, 7)).astype("u2"))
    return path


def options(command):
    return [o for group in command["options"].values() for o in group]


def operands(command, tmp_path):
    """As many operands as the command wants at least, none of which exists."""
    return [tmp_path / f"nothing{i}.hspy" for i in range(command["least_operands"])]


def test_help_shows_every_option_of_the_table(unmix, table):
    for name, command in table.items():
        text = unmix.run("help", name).stdout
        assert text.startswith(f"unmix {name} - {command['summary']}\n")
        assert text == unmix.run(name, "--help").stdout == unmix.run(name, "-h").stdout
        for option in options(command):
            assert f"--{option['name']}" in text, (name, option)
        assert max(map(len, text.splitlines())) <= 100


def test_names_that_scripts_rely_on_are_still_there(table):
    """Released options stay: add lines here, never remove one."""
    for line in (GOLDEN / "options.txt").read_text().splitlines():
        name, option, kind = line.split()
        kinds = {o["name"]: o["kind"] for o in options(table[name])}
        assert kinds.get(option) == kind, line


def test_help_of_a_command_is_as_reviewed(unmix):
    assert unmix.run("help", "version").stdout == (GOLDEN / "help-version.txt").read_text()


def test_every_recipe_key_is_an_option_of_every_command_that_reads_a_scan(table):
    readers = [c for c in table.values() if "Preparation options" in c["options"]]
    assert {"info", "convert", "prep", "image", "svd", "nmf"} <= {c["name"] for c in readers}
    first = readers[0]["options"]["Preparation options"]
    assert {"crop-scan", "crop-signal", "bin-scan", "bin-signal", "mask-beam", "signal-mask",
            "navigation-mask", "recipe"} <= {o["name"] for o in first}
    for command in readers:
        assert command["options"]["Preparation options"] == first
        assert {"scan", "allow-short", "raw"} == {
            o["name"] for o in command["options"]["Reading options"]}


def test_no_option_name_or_letter_twice(table):
    for command in table.values():
        names = [o["name"] for o in options(command)]
        letters = [o["letter"] for o in options(command) if o["letter"]]
        assert len(names) == len(set(names)), command["name"]
        assert len(letters) == len(set(letters)), command["name"]


def test_wrong_usage_exits_with_2_and_one_line(unmix, table, tmp_path):
    for name, command in table.items():
        some = operands(command, tmp_path)
        line = unmix.fails(name, *some, "--no-such-thing", status=2)
        assert line == f"unmix {name}: unknown option --no-such-thing: see unmix {name} --help"
        assert "unknown option -%" in unmix.fails(name, *some, "-%", status=2)
        if command["most_operands"] >= 0:
            many = [tmp_path / "x"] * (command["most_operands"] + 1)
            assert "unexpected argument" in unmix.fails(name, *many, status=2)
        if command["least_operands"] > 0:
            assert "too few arguments" in unmix.fails(name, status=2)
        for option in options(command):
            check_values(unmix, name, some, option)


def check_values(unmix, name, some, option):
    flag = f"--{option['name']}"
    if option["kind"] == "switch":
        assert f"{flag} takes no value" in unmix.fails(name, *some, flag + "=1", status=2)
        return
    assert f"{flag} needs a value" in unmix.fails(name, *some, flag, status=2)
    bad = {"integer": ["x", "1.5", "", "99999999999999999999"], "real": ["x", "nan", ""],
           "size": ["x", "0", "-1G", "4Q", "4GG"], "choice": ["nothing-like-it", ""]}
    for value in bad.get(option["kind"], []):
        line = unmix.fails(name, *some, f"{flag}={value}", status=2)
        assert line.startswith(f"unmix {name}: {flag} "), line


@pytest.mark.parametrize("wrong, right", [("--thread=2", "--threads"), ("--memroy=1G", "--memory"),
                                          ("--bin-sigal=2", "--bin-signal"), ("--forc", "--force")])
def test_a_near_option_is_suggested(unmix, wrong, right):
    line = unmix.fails("info", "x", wrong, status=2)
    assert line.endswith(f"did you mean {right}?")


def test_a_near_command_is_suggested(unmix):
    assert unmix.fails("nfm", status=2) == "unmix: unknown command 'nfm': did you mean 'nmf'?"
    assert unmix.fails("xyzzy", status=2) == "unmix: unknown command 'xyzzy': see unmix help"
    assert unmix.run().returncode == 2


def test_gnu_style_words(unmix, scan, tmp_path):
    out = tmp_path / "out.npy"
    done = unmix.run("prep", f"-o{out}", "--bin-signal", "2", "-qf", "--threads=1", "--", scan)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert np.load(out).shape == (4, 5, 3, 3)
    assert "exclude each other" in unmix.fails("info", scan, "-qv", status=2)


def test_sizes(unmix, scan):
    for text in ("500M", "4G", "1GiB", "2.5GB", "800000000", "700MiB"):
        assert unmix.run("info", scan, "--memory", text).returncode == 0, text


def test_a_bad_value_of_a_preparation_step_is_wrong_usage(unmix, scan):
    assert "bin-signal" in unmix.fails("info", scan, "--bin-signal", "x", status=2)
    assert "--scan takes" in unmix.fails("info", scan, "--scan", "4by5", status=2)


def test_version(unmix):
    made = unmix("version")
    assert made["build"] and made["threads"] >= 1
    assert unmix.run("--version").stdout.startswith(f"unmix {made['version']}\n")


# ---- manual pages and completion --------------------------------------------------------------

def test_manual_pages_are_clean_roff(unmix, table):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    for name in [None, *table]:
        page = unmix.run("help", "--man", *([name] if name else [])).stdout
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou"], input=page, text=True,
                              capture_output=True)
        assert done.returncode == 0 and done.stderr == "", (name, done.stderr)
        for option in options(table[name]) if name else []:
            assert f"--{option['name']}" in done.stdout, (name, option["name"])


def complete(script, *words):
    """What bash offers for the last word."""
    run = f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _unmix; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-eu", "-c", run, "bash", *words], capture_output=True, text=True)
    assert done.stderr == "", done.stderr
    return done.stdout.split()


def test_bash_completion(unmix, table, tmp_path):
    script = tmp_path / "unmix.bash"
    script.write_text(unmix.run("help", "--completion", "bash").stdout)
    assert set(complete(script, "unmix", "")) == set(table)
    assert complete(script, "unmix", "nm") == ["nmf"]
    assert complete(script, "unmix", "nmf", "--max-p") == ["--max-passes"]
    assert complete(script, "unmix", "nmf", "--weights", "p") == ["poisson"]
    for name, command in table.items():
        assert set(complete(script, "unmix", name, "--")) == {
            f"--{o['name']}" for o in options(command)}


def test_zsh_completion(unmix, tmp_path):
    script = tmp_path / "_unmix"
    script.write_text(unmix.run("help", "--completion", "zsh").stdout)
    assert script.read_text().startswith("#compdef unmix\n")
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    done = subprocess.run(["zsh", "-f", "-c", f"autoload -U compinit; compinit -u; source {script}"],
                          capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0 and done.stderr == ""


# ---- standard streams ---------------------------------------------------------------------------

@pytest.mark.parametrize("words", [["help"], ["version"], ["help", "nmf"], ["info", "SCAN"],
                                   ["info", "SCAN", "--json"]])
def test_output_that_does_not_arrive_is_a_failure(unmix, scan, words):
    words = [str(scan) if w == "SCAN" else w for w in words]
    with open("/dev/full", "w") as full:
        done = subprocess.run([unmix.path, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "standard output: cannot be written" in done.stderr
    closed = subprocess.run(["bash", "-c", '"$@" >&-', "bash", unmix.path, *words],
                            stderr=subprocess.PIPE, text=True)
    assert closed.returncode == 1
    assert "standard output: cannot be written" in closed.stderr


def test_a_closed_stdout_is_not_taken_for_the_result(unmix, scan, tmp_path):
    out = tmp_path / "out.npy"
    done = subprocess.run(["bash", "-c", '"$@" >&-', "bash", unmix.path, "convert", str(scan), str(out)],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert np.array_equal(np.load(out), np.load(scan))


def test_json_is_one_object_and_nothing_else(unmix, scan, tmp_path):
    done = unmix.run("convert", scan, tmp_path / "a.npy", "--json", "--verbose")
    assert json.loads(done.stdout)["shape"] == [4, 5, 6, 7]


def test_progress_as_json_lines(unmix, scan, tmp_path):
    done = unmix.run("convert", scan, tmp_path / "a.npy", "--progress", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[0]["done"] == 0 and lines[-1]["finished"] is True
    assert lines[-1]["done"] == lines[-1]["total"] == 20
    assert {"stage", "unit", "done", "total", "seconds", "rate", "eta_seconds", "finished"} == set(lines[0])


def test_no_bar_where_there_is_no_terminal(unmix, scan, tmp_path):
    assert unmix.run("convert", scan, tmp_path / "a.npy").stderr == ""


def test_a_bar_on_a_terminal(unmix, scan, tmp_path):
    import pty
    master, slave = pty.openpty()
    done = subprocess.run([unmix.path, "convert", str(scan), str(tmp_path / "a.npy")], stderr=slave,
                          stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    shown = b""
    try:
        while True:
            shown += os.read(master, 65536)
    except OSError:
        pass
    os.close(master)
    assert done.returncode == 0
    assert b"ETA" in shown and b"patterns" in shown
    assert shown.rstrip().endswith(b"\x1b[K")  # nothing is left standing


# ---- files that cannot be used -------------------------------------------------------------------

def needed(name, tmp_path):
    """The outputs that a command wants before it looks at its input."""
    return {"convert": [tmp_path / "new.npy"], "prep": ["-o", tmp_path / "new.npy"],
            "image": ["-o", tmp_path / "pictures"], "svd": ["-o", tmp_path / "new.hspy"],
            "ica": ["-o", tmp_path / "new.hspy"],
            "nmf": ["-o", tmp_path / "new.hspy"], "report": ["-o", tmp_path / "new.html"],
            "score": [tmp_path / "truth.hspy"]}.get(name, [])


@pytest.mark.parametrize("name", ["info", "convert", "prep", "image", "svd", "ica", "nmf", "report", "score",
                                  "run"])
@pytest.mark.parametrize("kind", ["absent", "empty", "garbage", "folder"])
def test_files_that_cannot_be_used(unmix, table, tmp_path, name, kind):
    if name not in table:
        pytest.skip(f"there is no command {name}")
    path = tmp_path / "input"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(np.random.default_rng(7).integers(0, 256, 5000, dtype="u1").tobytes())
    elif kind == "folder":
        path.mkdir()
    before = set(tmp_path.rglob("*"))
    line = unmix.fails(name, path, *needed(name, tmp_path), status=1)
    assert line.startswith(f"unmix {name}: ") and "input" in line
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name, words", [
    ("convert", ["OUT.npy"]), ("prep", ["-o", "OUT.npy"]), ("svd", ["-o", "OUT.npz"]),
    ("nmf", ["-o", "OUT.npz"])])
def test_outputs_are_refused_before_work(unmix, scan, tmp_path, name, words):
    def go(out, *more):
        return [w.replace("OUT", str(out)) if isinstance(w, str) else w for w in words] + list(more)
    out = tmp_path / "out"
    target = tmp_path / ("out" + words[-1][3:])
    target.write_bytes(b"precious")
    line = unmix.fails(name, scan, *go(out))
    assert "exists: pass --force" in line and target.read_bytes() == b"precious"
    assert "cannot be written: folder" in unmix.fails(name, scan, *go(tmp_path / "no" / "folder"))
    line = unmix.fails(name, scan, *[str(w).replace("OUT", str(out)) + "x" if "OUT" in w else w
                                     for w in words], status=2)
    assert "must end in one of" in line


def test_names_that_are_no_utf8(unmix, scan, tmp_path):
    """Old file systems have them: the work goes on, and JSON stays JSON."""
    name = os.fsencode(tmp_path) + b"/caf\xe9.npy"
    os.rename(scan, name)
    for words in (["info"], ["nmf", "-k", "2", "--no-report", "-o", str(tmp_path / "r.hspy")],
                  ["image", "-o", str(tmp_path / "pictures")]):
        done = subprocess.run([unmix.path, *words, "--json", name], capture_output=True)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    done = subprocess.run([unmix.path, "info", name + b"x"], capture_output=True)
    assert done.returncode == 1 and "caf?.npyx" in done.stderr.decode()
