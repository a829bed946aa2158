"""unmix demo: the whole tool on a small scan, and what it leaves."""
import re


def test_demo_leaves_a_report_and_says_where(unmix, tmp_path):
    done = unmix.run("demo", "--dir", tmp_path / "demo", timeout=600)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last == f"The report is {tmp_path / 'demo' / 'report.html'}"
    page = (tmp_path / "demo" / "report.html").read_text()
    # Self-contained: nothing is fetched.
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "data:image/png;base64," in page
    for name in ("scan.hspy", "truth.hspy", "result.hspy", "result.npz", "images/images.npz"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
    assert list(tmp_path.rglob("*.part")) == []
    # Every command it shows can be typed.
    commands = [line[2:] for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert [line.split()[1] for line in commands] == ["simulate", "info", "image", "nmf", "score"]
    line = unmix.fails("demo", "--dir", tmp_path / "demo")
    assert "--force" in line


def test_demo_finds_the_answer(unmix, tmp_path):
    done = unmix("demo", "--dir", tmp_path / "demo", timeout=600)
    assert done["worst_cosine"] > 0.99 and done["label_accuracy"] > 0.99
    score = unmix("score", tmp_path / "demo" / "result.npz", tmp_path / "demo" / "truth.hspy")
    assert abs(score["label_accuracy"] - done["label_accuracy"]) < 1e-12
    assert abs(min(score["cosine"]) - done["worst_cosine"]) < 1e-6
