"""unmix choose: the answer, its keys, its page, and what it refuses."""
import json

import numpy
import pytest


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Three states in stripes of a scan of 20 x 18 positions, patterns of 8 x 9 pixels, Poisson counts."""
    rng = numpy.random.default_rng(17)
    states = 0.5 + 8 * (rng.random((3, 8, 9)) < 0.3)
    path = tmp_path_factory.mktemp("choose") / "scan.npy"
    numpy.save(path, rng.poisson(states[(numpy.arange(20) // 2) % 3][:, None].repeat(18, 1)).astype("u1"))
    return path


def test_tells_the_states_and_keeps_the_evidence(unmix, scan, tmp_path):
    kept = tmp_path / "choice.json"
    page = tmp_path / "choice.html"
    found = unmix("choose", scan, "--k", "1..6", "-o", kept, "-o", page)
    assert found["structure"] is True and found["counts"] is True and found["split"] is True
    assert found["low"] <= found["recommended"] == 3 <= found["high"] <= 4
    assert abs(found["gain"] - 1) < 0.05
    assert [row["k"] for row in found["table"]] == [1, 2, 3, 4, 5, 6]
    deviance = [row["deviance"] for row in found["table"]]
    assert numpy.argmin(deviance) + 1 == 3 and deviance[0] > 1.2 * deviance[2]
    assert found["table"][2]["singular_value"] > 1 > found["table"][3]["singular_value"]
    stored = json.loads(kept.read_text())
    for key in ("recommended", "low", "high", "table", "gain", "singular_values"):
        assert stored[key] == found[key], key
    text = page.read_text()
    assert "3 components" in text and text.count("<svg") == 3 and "http" not in text


def test_is_the_same_for_any_number_of_threads(unmix, scan):
    one, three = (unmix("choose", scan, "--k", "2..5", "--threads", n) for n in (1, 3))
    for key in ("table", "singular_values", "gain"):
        assert one[key] == three[key], key


def test_values_that_are_no_counts_have_the_elbow_only(unmix, scan):
    found = unmix("choose", scan, "--weights", "none")
    assert found["counts"] is False and found["gain"] is None and found["low"] == 1
    assert found["recommended"] == found["elbow"]


@pytest.mark.parametrize("wrong", ["5..2", "x", "0..4", "2.."])
def test_refuses_what_is_no_range(unmix, scan, wrong):
    assert "--k takes a range" in unmix.fails("choose", scan, "--k", wrong, status=2)


def test_refuses_more_components_than_there_can_be(unmix, scan):
    assert "1 to 71 components" in unmix.fails("choose", scan, "--k", "2..4000", status=2)
