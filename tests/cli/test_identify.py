"""unmix identify: candidates, settings, refusals, what is written."""
import json
import pathlib

import numpy as np
import pytest

CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{element} 0 0 0
"""


@pytest.fixture(scope="module")
def wire(unmix, tmp_path_factory):
    """A small nanowire: the truth holds the patterns of film, two twins and wurtzite."""
    folder = tmp_path_factory.mktemp("wire")
    truth = folder / "truth.hspy"
    unmix("simulate", "nanowire", "-o", folder / "scan.npy", "--truth", truth, "--seed", 7, "--set", "ny=8", "--set", "nx=40",
          "--set", "step_nm=12")
    return truth


def name(unmix, *words, **more):
    return unmix("identify", *words, "--no-cache", **more)


def test_states_of_a_wire_are_named(unmix, wire, tmp_path):
    found = name(unmix, wire, "-o", tmp_path / "named.npz", "--null", 20)
    phases = [c["phase"] for c in found["components"]]
    assert phases == [None, "GaAs zinc blende", "GaAs zinc blende", "GaAs wurtzite"]
    assert found["components"][0]["verdict"] == "amorphous"
    twins = [r for r in found["orientations"] if r["components"] == [1, 2]]
    assert len(twins) == 1 and abs(twins[0]["angle_deg"] - 60) < 1.5
    assert np.abs(np.abs(twins[0]["axis"]) - 3 ** -0.5).max() < 0.02
    assert [c["orientation"] for c in found["components"]] == [None, 0, 1, 0]
    assert abs(found["calibration"]["scale_found"] - 1) < 0.003
    page = (tmp_path / "named.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    with np.load(tmp_path / "named.npz") as file:
        names = set(file.files)
    assert {"phase_index", "phase_map", "identified_spots", "identified_reflections"} <= names


def test_score_is_the_stated_formula(unmix, wire, tmp_path):
    """The cosine once more with NumPy, from the tables of spots and reflections in the result."""
    found = name(unmix, wire, "-o", tmp_path / "named.npz", "--null", 0, "--no-report")
    with np.load(tmp_path / "named.npz") as file:
        spots, reflections = file["identified_spots"], file["identified_reflections"]
    for c in (1, 2, 3):
        a, b = spots[spots[:, 0] == c], reflections[reflections[:, 0] == c]
        free, total = np.ones(len(a), bool), 0.0
        for _, row, column, amplitude, paired, *_ in b:
            d2 = (a[:, 1] - row) ** 2 + (a[:, 2] - column) ** 2
            d2[~free] = np.inf
            i = d2.argmin()
            assert paired == (d2[i] < 9)
            if d2[i] < 9:
                free[i] = False
                total += amplitude * a[i, 3] * np.exp(-d2[i] / 2)
        score = total / np.sqrt((a[:, 3] ** 2).sum() * (b[:, 3] ** 2).sum())
        assert abs(score - found["components"][c]["score"]) < 1e-6


def test_the_angles_that_are_told_draw_the_pattern(unmix, wire, tmp_path):
    """`unmix pattern --euler` puts its strongest reflections where spots were found."""
    found = name(unmix, wire, "-o", tmp_path / "n.npz", "--null", 0, "--no-report")
    with np.load(tmp_path / "n.npz") as file:
        spots = file["identified_spots"]
    best = found["components"][1]["best"]
    drawn = unmix("pattern", "gaas", "--euler=" + ",".join(map(str, best["euler_deg"])), "--scale", found["calibration"]["scale_per_A"],
                  "--size", "96x96", "--precession", 17.5, "--thickness", 50)
    places = spots[spots[:, 0] == 1][:, 1:3]
    strong = [r for r in drawn["reflections"] if 0.2 < r["g_per_A"] < 1.2][:12]
    assert len(strong) == 12
    for r in strong:
        assert np.hypot(places[:, 0] - r["row_px"], places[:, 1] - r["column_px"]).min() < 1.5


def test_candidates_come_from_files_folders_and_names(unmix, wire, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "copper.cif").write_text(CIF.format(name="Cu", a=3.615, element="Cu"))
    (folder / "gold.cif").write_text(CIF.format(name="Au", a=4.078, element="Au"))
    (folder / "notes.cif").write_text("nothing\n")
    done = unmix.run("identify", wire, "--cif", folder, "--cif", "gaas", "--no-cache", "--null", 0, "--json")
    assert done.returncode == 0 and "left out" in done.stderr and "notes.cif" in done.stderr
    assert [p["name"] for p in json.loads(done.stdout)["phases"]] == ["copper", "gold", "GaAs zinc blende"]
    assert "none of its files" in unmix.fails("identify", wire, "--cif", make(tmp_path / "bad", "x.cif"), "--quiet")
    assert "no .cif files" in unmix.fails("identify", wire, "--cif", tmp_path, status=2)
    assert "two candidates" in unmix.fails("identify", wire, "--cif", "al", "--cif", "al", status=2)


def make(folder, file):
    folder.mkdir()
    (folder / file).write_text("nothing\n")
    return folder


def test_libraries_are_kept_and_change_nothing(unmix, wire, tmp_path):
    words = ("identify", wire, "--cif", "gaas", "--cif", "mgo", "--null", 4)
    where = {"XDG_CACHE_HOME": str(tmp_path)}
    first = unmix(*words, environment=where)
    kept = sorted((tmp_path / "unmix" / "libraries").glob("*.library"))
    assert len(kept) == 2
    second = unmix(*words, environment=where)
    kept[0].write_bytes(b"\xff" * 1000)
    third = unmix(*words, environment=where)
    assert first["components"] == second["components"] == third["components"]
    assert len(kept[0].read_bytes()) > 1000  # made again
    (tmp_path / "file").write_text("")
    unmix(*words, "--cache", tmp_path / "file" / "x")  # a cache that cannot be is no error


def test_zones_narrow_the_search(unmix, wire):
    near = name(unmix, wire, "--cif", "gaas", "--zone", "1,1,0", "--null", 0)
    far = name(unmix, wire, "--cif", "gaas", "--zone", "0,0,1", "--null", 0)
    everywhere = name(unmix, wire, "--cif", "gaas", "--null", 0)
    assert near["phases"][0]["directions"] < 30 < everywhere["phases"][0]["directions"]
    assert near["components"][1]["score"] > 0.9 > far["components"][1]["score"]


def test_few_patterns_are_named_one_by_one(unmix, tmp_path, wire):
    with np.load(named(unmix, wire, tmp_path)) as file:
        patterns = file["factors"].T.reshape(-1, 96, 96)
    np.save(tmp_path / "stack.npy", np.rint(1e5 * patterns / patterns.sum(axis=(1, 2), keepdims=True)).astype("u4"))
    found = name(unmix, tmp_path / "stack.npy", "--pixel", 0.0325, "--null", 10, "--mask-beam", 4)
    assert [c["phase"] for c in found["components"]] == [None, "GaAs zinc blende", "GaAs zinc blende", "GaAs wurtzite"]
    line = unmix.fails("identify", tmp_path / "stack.npy", "--no-cache", status=2)
    assert "--pixel" in line
    np.save(tmp_path / "many.npy", np.zeros((20, 20, 16, 16), "u2"))
    assert "run unmix nmf first" in unmix.fails("identify", tmp_path / "many.npy", status=2)


def named(unmix, wire, folder):
    name(unmix, wire, "-o", folder / "n.npz", "--null", 0, "--no-report", "--cif", "gaas")
    return pathlib.Path(folder / "n.npz")


@pytest.mark.parametrize("words,says", [(("--zone", "0,0,0"), "--zone"), (("--beam", "5"), "--beam"), (("--beam", "500,2"), "not on the detector"),
                                        (("--pixel", "0.5"), "size of a pixel"), (("--least-g", "1.9"), "least |g|"),
                                        (("--cif", "nothing.cif"), "nothing.cif")])
def test_what_cannot_be_is_refused(unmix, wire, words, says):
    assert says in unmix.fails("identify", wire, "--no-cache", *words, status=1 if "nothing.cif" in words else 2)
