"""unmix bench: its numbers agree with each other, and it leaves nothing behind."""


def test_bench_measures_this_machine(unmix, tmp_path):
    done = unmix("bench", "--dir", tmp_path, "--size", "16x16", "--pattern-size", "32x32", "-k", 3)
    assert set(done) >= {"machine", "limits", "stages", "peers"}
    assert all(value > 0 for value in done["limits"].values() if not isinstance(value, str))
    assert [stage["name"] for stage in done["stages"]] == ["simulate", "sums", "svd", "nmf"]
    for stage in done["stages"]:
        rate = stage["reads"] * 256 / stage["seconds"]
        assert abs(stage["patterns_per_second"] - rate) < 1e-6 * rate
        assert abs(stage["GBps"] - rate * 32 * 32 * 2 / 1e9) < 1e-6 * stage["GBps"]
    assert done["peers"] == []
    assert list(tmp_path.iterdir()) == []
