"""unmix run: stages that are kept, done again and taken up; plans of series."""
import signal
import subprocess

import h5py
import numpy as np
import pytest


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two scans of three states."""
    rng = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("scans")
    states = rng.gamma(0.4, size=(3, 12 * 14)) + 0.02
    states *= 600 / states.sum(1, keepdims=True)
    for i, (ny, nx) in enumerate([(10, 16), (8, 18)]):
        weight = rng.dirichlet([0.2] * 3, ny * nx)
        np.save(folder / f"scan_{i}.npy", rng.poisson(weight @ states).reshape(ny, nx, 12, 14).astype("u2"))
    return folder


PLAN = """[input]
file = {scans}/scan_0.npy
[prep]
mask-disc = 6,7,2
[svd]
k = 4
[nmf]
k = 3
[output]
folder = {out}
"""


def write(path, scans, text=PLAN, **more):
    path.write_text(text.format(scans=scans, out=path.with_suffix(""), **more))
    return path


def states(made):
    return {s["stage"]: (s["state"], s["why"]) for s in made["stages"]}


def test_finished_stages_are_kept(unmix, scans, tmp_path):
    plan = write(tmp_path / "plan.ini", scans)
    first = unmix("run", plan)
    assert states(first) == {"svd scan_0": ("done", "not done yet"), "nmf scan_0": ("done", "not done yet")}
    result = tmp_path / "plan" / "scan_0" / "result.hspy"
    before = result.stat().st_mtime_ns
    second = unmix("run", plan)
    assert states(second) == {"svd scan_0": ("kept", None), "nmf scan_0": ("kept", None)}
    assert result.stat().st_mtime_ns == before
    assert second["scans"] == first["scans"]  # what is kept tells the same


@pytest.mark.parametrize("change, redone", [
    (lambda plan, out: plan.write_text(plan.read_text().replace("k = 3", "k = 2")), {"nmf scan_0": "its options changed"}),
    (lambda plan, out: plan.write_text(plan.read_text().replace("7,2", "7,3")),
     {"svd scan_0": "its options changed", "nmf scan_0": "its options changed"}),
    (lambda plan, out: (out / "scan_0" / "svd.hspy").unlink(), {"svd scan_0": "{out}/scan_0/svd.hspy is gone"}),
    (lambda plan, out: (out / "scan_0" / "result.hspy").write_text("x"), {"nmf scan_0": "{out}/scan_0/result.hspy was changed"}),
    (lambda plan, out: plan.write_text(plan.read_text().replace("[output]", "; a remark\n[output]")), {}),
])
def test_what_changed_is_done_again(unmix, scans, tmp_path, change, redone):
    plan = write(tmp_path / "plan.ini", scans)
    unmix("run", plan)
    change(plan, tmp_path / "plan")
    wanted = {stage: ("done", why.format(out=tmp_path / "plan")) for stage, why in redone.items()}
    told = states(unmix("run", plan, "--plan"))
    made = states(unmix("run", plan))
    for stage in ("svd scan_0", "nmf scan_0"):
        assert made[stage] == wanted.get(stage, ("kept", None))
        assert told[stage] == (("to do", made[stage][1]) if stage in wanted else ("kept", None))
    assert all(state == "kept" for state, _ in states(unmix("run", plan)).values())


def test_another_scan_or_seed_is_done_again(unmix, scans, tmp_path):
    scan = tmp_path / "scan_0.npy"
    scan.write_bytes((scans / "scan_0.npy").read_bytes())
    plan = write(tmp_path / "plan.ini", tmp_path)
    unmix("run", plan)
    assert {state for state, _ in states(unmix("run", plan, "--seed", 5, "--plan")).values()} == {"to do"}
    values = np.load(scan)
    values[0, 0, 0, 0] += 1
    np.save(scan, values)
    assert {why for _, why in states(unmix("run", plan)).values()} == {"its input changed"}
    assert {why for _, why in states(unmix("run", plan, "--force")).values()} == {"--force"}


def test_a_plan_is_told_without_writing(unmix, scans, tmp_path):
    plan = write(tmp_path / "plan.ini", scans)
    done = unmix.run("run", plan, "--plan")
    assert done.returncode == 0 and "to do  nmf scan_0" in done.stdout and "not done yet" in done.stdout
    assert list(tmp_path.iterdir()) == [plan]


def test_folders_that_are_not_ours(unmix, scans, tmp_path):
    plan = write(tmp_path / "plan.ini", scans)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "precious").write_text("")
    assert "is not empty" in unmix.fails("run", plan)
    (tmp_path / "plan" / "stages.json").write_text("[]")
    assert "no list of finished stages" in unmix.fails("run", plan)
    (tmp_path / "plan" / "stages.json").write_text("{}")
    assert "no list of finished stages" in unmix.fails("run", plan)


def test_ctrl_c_loses_nothing(unmix, tmp_path):
    rng = np.random.default_rng(5)
    signal_states = rng.gamma(0.3, size=(6, 32 * 32)) * 3
    scan = rng.poisson(rng.dirichlet(np.ones(6) * 0.4, size=1200) @ signal_states).astype("u1").reshape(30, 40, 32, 32)
    np.save(tmp_path / "scan_0.npy", scan)
    text = PLAN.replace("k = 3", "k = 6\ntolerance = 1e-12\nmax-passes = {passes}\ncheckpoint-seconds = 0")
    whole = write(tmp_path / "whole.ini", tmp_path, text, passes=400)
    unmix("run", whole)
    plan = write(tmp_path / "plan.ini", tmp_path, text, passes=400)
    process = subprocess.Popen([unmix.path, "run", str(plan), "--progress", "json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "plan" / "scan_0" / "result.hspy.checkpoint"
    for line in process.stderr:  # until it has come some way into the fit
        if checkpoint.exists():
            break
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=100)[1]
    assert process.returncode == 130 and "goes on from there" in rest
    assert checkpoint.exists() and not (tmp_path / "plan" / "scan_0" / "result.hspy").exists()
    assert states(unmix("run", plan, "--plan")) == {"svd scan_0": ("kept", None), "nmf scan_0": ("to do", "was interrupted")}
    unmix("run", plan)
    assert not checkpoint.exists()
    factors = []
    for name in ("whole", "plan"):
        with h5py.File(tmp_path / name / "scan_0" / "result.hspy") as file:
            found = []
            file.visititems(lambda path, item: found.append(item[()].tobytes()) if path.endswith("factors") else None)
            factors.append(found)
    assert factors[0] and factors[0] == factors[1]


SERIES = """[condition as quenched]
file = {scans}/scan_0.npy
[condition 12 h]
file = {scans}/scan_1.npy
thickness = 60
[choose]
k = 2..4
[segment]
run = no
[output]
folder = {out}
title = Two conditions
"""


def test_a_series_is_fitted_together(unmix, scans, tmp_path):
    made = unmix("run", write(tmp_path / "plan.ini", scans, SERIES))
    out = tmp_path / "plan"
    assert [s["condition"] for s in made["scans"]] == ["as quenched", "12 h"]
    assert made["study"]["choose"]["recommended"] == made["study"]["nmf"]["k"] == 3
    assert len(made["study"]["nmf"]["each"]) == 2 and len(made["study"]["verify"]["components"]) == 3
    for name in ("joint.hspy", "joint.html", "joint-verify.html", "choose.html", "choose.json", "each/scan_0.hspy", "index.html"):
        assert (out / name).is_file(), name
    assert {state for state, _ in states(unmix("run", tmp_path / "plan.ini")).values()} == {"kept"}


@pytest.mark.parametrize("old, new, said", [
    ("[condition 12 h]", "[condition]", "needs a name"), ("thickness = 60", "thick = 60", "is unknown"),
    ("[condition 12 h]", "[condition a=b]", "needs a name"), ("k = 2..4", "kk = 2..4", "no option"),
    ("title = Two", "titel = Two", "is unknown")])
def test_a_wrong_series_is_told_before_any_work(unmix, scans, tmp_path, old, new, said):
    plan = write(tmp_path / "plan.ini", scans, SERIES.replace(old, new))
    assert said in unmix.fails("run", plan, status=2)
    assert list(tmp_path.iterdir()) == [plan]


def test_plan_or_example(unmix, tmp_path):
    assert "PLAN.ini" in unmix.fails("run", status=2)
    assert "PLAN.ini" in unmix.fails("run", tmp_path / "x.ini", "--example", tmp_path / "y", status=2)


def test_a_series_ends_with_numbers_and_a_page(unmix, scans, tmp_path):
    """Two crystals of spots in a few places each: classes, particles, tables, one report."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:24, :24]
    patterns = np.full((3, 24, 24), 0.4)
    patterns[0] += 60 * np.exp(-((y - 12) ** 2 + (x - 12) ** 2) / 2)
    for state, spots in ((1, [(5, 8), (19, 16), (8, 19), (16, 5)]), (2, [(4, 14), (20, 10), (10, 4), (14, 20)])):
        for cy, cx in spots:
            patterns[state] += 25 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2)
    for i in range(2):
        state = np.zeros((20, 22), int)
        state[3:8, 4:9], state[11:16, 3:8], state[6:12, 14:19] = 1, 2, 1 + i
        np.save(tmp_path / f"scan_{i}.npy", rng.poisson(patterns[state]).astype("u2"))
    text = SERIES.replace("[segment]\nrun = no\n", "[nmf]\nk = 3\n[segment]\nleast-size = 4\n[identify]\nrun = no\n")
    made = unmix("run", write(tmp_path / "plan.ini", tmp_path, text.replace("[choose]\nk = 2..4\n", "")))
    out = tmp_path / "plan"
    assert {"classes", "segment scan_0", "segment scan_1", "measure", "report"} <= set(states(made))
    for name in ("report.html", "measured/particles.csv", "measured/conditions.csv", "measured/scans.csv", "measured/measure.json",
                 "scan_0/segmented.hspy"):
        assert (out / name).is_file(), name
    assert [c["condition"] for c in made["study"]["measure"]["conditions"]] == ["as quenched", "12 h"]
    assert len(made["study"]["measure"]["phases"]) >= 2
    page = (out / "report.html").read_text()
    assert "Methods, for a paper" in page and "least-size = 4" in page and "Two conditions" in page
    assert any("step in nm" in line for line in made["study"]["report"]["limits"])
    assert {state for state, _ in states(unmix("run", tmp_path / "plan.ini")).values()} == {"kept"}


def test_nothing_to_segment_is_an_answer(unmix, tmp_path):
    np.save(tmp_path / "scan_0.npy", np.random.default_rng(1).poisson(5, (8, 9, 12, 12)).astype("u2"))
    plan = write(tmp_path / "plan.ini", tmp_path, PLAN.replace("[svd]\nk = 4", "[measure]\nrun = yes").replace("k = 3", "k = 1"))
    made = unmix("run", plan, "--quiet")
    assert any("has no particles" in line for line in made["study"]["report"]["limits"])
    assert "What limits this result" in (tmp_path / "plan" / "report.html").read_text()
