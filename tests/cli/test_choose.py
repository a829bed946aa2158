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
    entries = [row["entry_error"] for row in found["table"]]
    assert found["held_out_entries"] == found["held_out_entries_best"] == int(numpy.argmin(entries)) + 1 == 3
    assert entries[0] == 1 and entries[1] > entries[2] < entries[5]
    beyond = [row["beyond_noise"] for row in found["table"]]
    assert beyond[0] > 0.9 and beyond[1] > 0.2 and max(beyond[2:]) < 0.02
    assert found["more"] is False
    stored = json.loads(kept.read_text())
    for key in ("recommended", "low", "high", "table", "gain", "singular_values"):
        assert stored[key] == found[key], key
    text = page.read_text()
    assert "3 components" in text and text.count("<svg") == 3 and "http" not in text


def test_says_n_or_more_where_the_comparison_ended_too_early(unmix, scan, tmp_path):
    found = unmix("choose", scan, "--k", "1..2", "-o", tmp_path / "early.html")
    assert found["more"] is True and found["recommended"] == found["high"] == 2 and "compare more" in found["why"]
    assert "2 or more components" in (tmp_path / "early.html").read_text()


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """Three states that share few pixels, 40,000 counts a pattern: 32 x 32 positions, patterns of 20 x 20 pixels."""
    rng = numpy.random.default_rng(0)
    y, x = numpy.mgrid[:20, :20]
    states = numpy.zeros((3, 20, 20))
    for state in states:
        for _ in range(12):
            a, b = rng.uniform(1, 19, 2)
            state += rng.exponential() * numpy.exp(-((y - a) ** 2 + (x - b) ** 2) / 2)
    states *= 40000 / states.sum((1, 2), keepdims=True)
    path = tmp_path_factory.mktemp("choose") / "bright.npy"
    numpy.save(path, rng.poisson(states[numpy.arange(32) * 3 // 32][:, None].repeat(32, 1)).astype("u2"))
    return path


def test_noise_stays_below_the_edge_where_states_share_few_pixels(unmix, bright):
    found = unmix("choose", bright, "--k", "2..6")
    assert found["low"] == found["recommended"] == found["high"] == 3
    assert 0.9 < found["singular_values"][3] < 1


def test_is_the_same_for_any_number_of_threads_and_any_budget(unmix, bright):
    first, *others = (unmix("choose", bright, "--k", "2..4", *words)
                      for words in (["--threads", 1], ["--threads", 2], ["--threads", 2, "--memory", "12M"]))
    for other in others:
        for key in ("table", "singular_values", "gain", "recommended", "low", "high"):
            assert other[key] == first[key], key


def test_values_that_are_no_counts_have_the_elbow_only(unmix, scan):
    found = unmix("choose", scan, "--weights", "none")
    assert found["counts"] is False and found["gain"] is None and found["low"] == 1
    assert found["recommended"] == found["elbow"]


@pytest.mark.parametrize("wrong", ["5..2", "x", "0..4", "2.."])
def test_refuses_what_is_no_range(unmix, scan, wrong):
    assert "--k takes a range" in unmix.fails("choose", scan, "--k", wrong, status=2)


def test_refuses_more_components_than_there_can_be(unmix, scan):
    assert "1 to 71 components" in unmix.fails("choose", scan, "--k", "2..4000", status=2)
