"""unmix identify: names of simulated phases, and of real silver, whose crystals are known."""
import json

import pytest


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


def test_real_silver_is_silver(shared, unmix):
    cif = shared / "cif"
    told = unmix("identify", shared / "sped-ag" / "SPED_Ag_labels_sum_signal.hspy", "--cif", cif / "Ag-Silver.cif",
                 "--cif", "al", "--cif", "mgo", "--cif", cif / "GaAs_felix.cif", "--mask-beam", 10, "--no-cache")
    assert [c["phase"] for c in told["components"]] == ["Ag-Silver"] * 5
    scales = [c["best"]["scale"] for c in told["components"]]
    assert max(scales) / min(scales) < 1.02
    assert any("size of a pixel" in c["reason"] for c in told["components"])  # Al differs by 1 % in size only
