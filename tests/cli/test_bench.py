"""unmix bench: its numbers agree with each other, and it leaves nothing behind. Times are never judged."""
import json
import pathlib
import subprocess
import sys
from xml.etree import ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def report(unmix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    done = unmix("bench", "--dir", folder, "--quick", "-k", 3)
    assert list(folder.iterdir()) == []
    return done


def test_machine_and_its_limits(report):
    assert report["machine"]["threads"] >= 1
    assert all(value > 0 for value in report["limits"].values() if not isinstance(value, str))


def test_kernels_against_both_limits(report):
    rows = report["kernels"]
    assert {(row["dtype"], row["k"]) for row in rows} >= {("uint8", 3), ("uint8", 32), ("uint16", 10)}
    for row in rows:
        values = row["patterns"] * row["pixels"]
        assert row["GFLOPS"] == pytest.approx(4e-9 * values * row["k"] / row["seconds"])
        if row["name"] == "exact pass":
            assert row["of_memory_read"] == pytest.approx(row["GBps"] / row["limit_GBps"])
    dense, sparse = rows[-2:]
    assert sparse["name"] == "sparse rows" and 0.03 < sparse["density"] < 0.05
    assert sparse["times_dense"] == pytest.approx(dense["seconds"] / sparse["seconds"])


def test_rates_of_stages_follow_from_bytes_reads_and_seconds(report):
    scan = report["stage_scan"]
    positions = scan["shape"][0] * scan["shape"][1]
    assert scan["bytes"] == positions * scan["shape"][2] * scan["shape"][3]
    assert {"sums", "virtual images", "svd"} <= {stage["name"] for stage in report["stages"]}
    for stage in report["stages"]:
        assert stage["reads"] >= 1
        assert stage["patterns_per_second"] == pytest.approx(stage["reads"] * positions / stage["seconds"])
        assert stage["GBps"] == pytest.approx(stage["reads"] * scan["bytes"] / stage["seconds"] / 1e9)
        assert stage["of_file_read"] == pytest.approx(stage["GBps"] / scan["file_read_GBps"])
        assert stage["bound_by"] == ("disk" if stage["of_file_read"] >= 1 else "processor")


def test_decoding_is_told_for_every_compression(report):
    assert [row["compression"] for row in report["decode"]] == ["gzip", "lz4", "blosc", "bitshuffle"]
    for row in report["decode"]:
        assert 0 < row["file_bytes"] < report["stage_scan"]["bytes"]
        assert row["sums_of_decoding"] == pytest.approx(row["sums_seconds"] / row["decode_seconds"])
        assert row["of_decoding_as_often"] == pytest.approx(row["nmf_seconds"] / row["reads"] / row["decode_seconds"])


def test_whole_factorisations_against_one_read(report):
    (scan,) = report["scans"]
    assert [run["from"] for run in scan["runs"]] == ["disk", "page cache"]
    assert scan["runs"][0]["weighted_error"] == scan["runs"][1]["weighted_error"]
    cold = min(scan["read_direct_seconds"] or 1e9, scan["read_buffered_seconds"])
    for run in scan["runs"]:
        assert run["peak_bytes"] > 1e6 and run["reads"] > 0
        assert run["of_one_read"] == pytest.approx(run["seconds"] / cold)


def test_one_part_and_the_table_for_people(unmix, tmp_path):
    done = unmix("bench", "--dir", tmp_path, "--quick", "--only", "stages")
    assert set(done) == {"machine", "limits", "stages", "stage_scan"}
    text = unmix.run("bench", "--dir", tmp_path, "--quick", "--only", "stages")
    assert text.returncode == 0 and "virtual images" in text.stdout


def test_refusals(unmix, tmp_path):
    absent = unmix.run("bench", "--dir", tmp_path / "absent" / "deeper", "--quick")
    assert absent.returncode != 0 and str(tmp_path / "absent") in absent.stderr
    assert "64x128" in unmix.fails("bench", "--dir", tmp_path, "--size", "64", status=2)
    done = unmix.run("bench", "--dir", tmp_path, "--quick", "--only", "peers", "--peers", "/bin/false")
    assert done.returncode == 1 and "/bin/false" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_page_is_made_from_the_report(report, tmp_path):
    (tmp_path / "all.json").write_text(json.dumps(report))
    later = {"machine": report["machine"], "limits": report["limits"], "stage_scan": report["stage_scan"],
             "stages": [{**row, "GBps": 123.45} for row in report["stages"]]}
    (tmp_path / "later.json").write_text(json.dumps(later))
    subprocess.run([sys.executable, ROOT / "tools" / "make_performance_page.py", tmp_path / "all.json", tmp_path / "later.json",
                    "--out", tmp_path], check=True)
    page = (tmp_path / "performance.md").read_text()
    assert report["machine"]["processor"] in page and "123.45" in page
    assert f"| {report['kernels'][0]['GBps']:.2f} |" in page and f"{report['scans'][0]['runs'][0]['seconds']:.2f}" in page
    for picture in ("kernels", "stages"):
        drawn = ElementTree.parse(tmp_path / "performance" / f"{picture}.svg")
        bars = drawn.findall("{http://www.w3.org/2000/svg}rect")
        assert len(bars) == 1 + len([row for row in report[picture] if row["name"] != "sparse rows"])
        assert f"performance/{picture}.svg" in page
