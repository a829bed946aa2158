"""unmix identify: names of simulated phases, and of real silver, whose crystals are known."""
import json

import pytest

RIVALS = ("al", "mgo", "gaas")


@pytest.fixture(scope="module")
def wire(tmp_path_factory, unmix):
    folder = tmp_path_factory.mktemp("identify")
    unmix("simulate", "nanowire", "-o", "wire.hspy", "--seed", 21, "--force", cwd=folder)
    unmix("nmf", "wire.hspy", "-k", 5, "-o", "w.hspy", "--no-report", cwd=folder)
    return folder


def test_twins_are_one_phase_and_wurtzite_another(wire, unmix):
    told = unmix("identify", "w.hspy", "--no-cache", cwd=wire)
    names = [c["phase"] for c in told["components"] if c["verdict"] == "phase"]
    assert set(names) == {"GaAs zinc blende", "GaAs wurtzite"}  # nothing that is not there
    turns = [c["best"]["rotation_deg"] for c in told["components"]
             if c["phase"] == "GaAs zinc blende" and sorted(map(abs, c["zone"])) == [0, 1, 1]]
    # [111] twins seen along <110>: 70.53 or 109.47 degrees about the beam, to the half turn of a pattern
    apart = [abs(a - b) % 180 for i, a in enumerate(turns) for b in turns[:i]]
    assert any(abs(a - 70.53) < 1.5 or abs(a - 109.47) < 1.5 for a in apart)


def test_a_candidate_that_is_not_there_is_not_named(wire, unmix):
    told = unmix("identify", "w.hspy", "--cif", "mgo", "--no-cache", cwd=wire)
    assert {c["verdict"] for c in told["components"]} <= {"unknown", "background", "amorphous"}


def test_threads_do_not_matter(wire, unmix):
    one, two = (unmix("identify", "w.hspy", "--no-cache", "--threads", n, cwd=wire) for n in (1, 2))
    assert json.dumps(one["components"]) == json.dumps(two["components"])


@pytest.fixture(scope="module")
def silver(unmix, shared):
    scan, cif = shared / "sped-ag" / "SPED_Ag_labels_sum_signal.hspy", shared / "cif" / "Ag-Silver.cif"
    for path in (scan, cif):
        if not path.is_file():
            pytest.skip(f"{path} is absent")
    return unmix("identify", scan, "--cif", cif, *(w for r in RIVALS for w in ("--cif", r)), "--mask-beam", 10, "--no-cache")


def test_each_pattern_is_silver(silver):
    for c in silver["components"]:
        assert c["verdict"] == "phase" and c["phase"] == "Ag-Silver", c["reason"]
        assert c["score"] > 0.85 and c["chance"] < 0.01
        assert c["score"] > max(score for name, score in c["scores"].items() if name != "Ag-Silver")


def test_patterns_agree_on_the_scale(silver):
    scales = [c["best"]["scale"] for c in silver["components"]]
    assert max(scales) / min(scales) - 1 < 0.02
    assert abs(silver["calibration"]["scale_found"] - 1) < 0.02


def test_zone_axes_are_low_ones(silver):
    """Four of the patterns have the two mirrors and the rows of <110>."""
    zones = [tuple(sorted(map(abs, c["zone"]))) for c in silver["components"]]
    assert zones.count((0, 1, 1)) == 4, zones
    assert all(c["best"]["off_zone_mrad"] < 35 for c in silver["components"])


def test_without_silver_only_the_scale_speaks_against_aluminium(unmix, shared, silver):
    """Both are face-centred, 1 % apart: with a free scale aluminium fits as well, and has to say so of itself."""
    scan = shared / "sped-ag" / "SPED_Ag_labels_sum_signal.hspy"
    found = unmix("identify", scan, "--cif", "al", "--cif", "mgo", "--cif", "gaas", "--mask-beam", 10, "--no-cache", "--null", 10)
    assert [c["phase"] for c in found["components"]].count("Al") >= 4
    assert abs(found["calibration"]["scale_found"] / silver["calibration"]["scale_found"] - 4.0862 / 4.0495) < 0.004
