#!/usr/bin/env python3
"""Writes docs/performance.md and its plots from what `unmix bench --json` printed.

    unmix bench --dir DIR --large --scaling --peers PYTHON --json > all.json
    tools/make_performance_page.py all.json [more.json ...]

Parts that were measured in runs of their own (`--only`) may be given as further files; each part is shown against the
limits of the machine that were measured in the same run, and a part that two files hold is taken from the later one.
"""
import argparse
import json
import pathlib
from xml.sax.saxutils import escape

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PARTS = ("kernels", "stages", "decode", "scans", "scaling", "peers")
COMMANDS = {"kernels": "unmix bench --only kernels --large", "stages": "unmix bench --only stages",
            "decode": "unmix bench --only decode", "scans": "unmix bench --only scans --large",
            "scaling": "unmix bench --only scaling", "peers": "unmix bench --only peers --peers PYTHON"}


def size(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}"
        count /= 1000


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def percent(fraction):
    return f"{100 * fraction:.0f} %"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


# ---- plots ---------------------------------------------------------------------------------------

def svg(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="13">\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
            + "\n".join(body) + "\n</svg>\n")


def text(x, y, words, anchor="start", color="#222222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(words)}</text>'


def bars(rows, limits, units):
    """Horizontal bars (name, value, label) from zero to the greatest limit; limits (value, name) as lines."""
    left, wide, step, top = 210, 470, 26, 22 + 16 * len(limits)
    most = max([limit for limit, _ in limits] + [value for _, value, _ in rows]) * 1.02
    height = top + step * len(rows) + 40
    body = []
    for i, (limit, name) in enumerate(limits):
        x = left + wide * limit / most
        body += [f'<line x1="{x:.1f}" y1="{18 + 16 * i}" x2="{x:.1f}" y2="{height - 36}" stroke="#b03a2e" stroke-dasharray="4 3"/>',
                 text(x - 5, 16 + 16 * i, f"{name} {limit:.3g} {units}", "end", "#b03a2e")]
    for i, (name, value, label) in enumerate(rows):
        y = top + step * i
        end = left + wide * value / most
        inside = end > left + wide - 110
        body += [text(left - 8, y + 14, name, "end"),
                 f'<rect x="{left}" y="{y}" width="{end - left:.1f}" height="{step - 8}" fill="#2a6f97"/>',
                 text(end - 6 if inside else end + 6, y + 14, label, "end" if inside else "start",
                      "#ffffff" if inside else "#222222")]
    body += [f'<line x1="{left}" y1="{height - 36}" x2="{left + wide}" y2="{height - 36}" stroke="#222222"/>',
             text(left, height - 18, "0", "middle"), text(left + wide, height - 18, f"{most:.3g} {units}", "end")]
    return svg(left + wide + 30, height, body)


def curves(sweeps):
    """Log-log panels of seconds over each variable, with lines of slope 1 through the last points."""
    import math
    side, gap = 190, 70
    body = []
    for i, sweep in enumerate(sweeps):
        left, top = gap + i * (side + gap), 30
        x = [math.log10(point[sweep["over"]]) for point in sweep["points"]]
        y = [math.log10(point["seconds"]) for point in sweep["points"]]
        y1 = [math.log10(point["one_thread_seconds"]) for point in sweep["points"]]
        low, high = min(x), max(x)
        bottom, ceiling = min(y + y1) - 0.1, max(y + y1) + 0.1
        bottom, ceiling = min(bottom, ceiling - (high - low)), ceiling

        def at(a, b):
            return left + side * (a - low) / (high - low), top + side * (ceiling - b) / (ceiling - bottom)

        def path(points, color, dash=""):
            places = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(a, b) for a, b in points))
            return f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="2" {dash}/>'

        start = max(low, high - (y[-1] - bottom))
        body += [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="#999999"/>',
                 path([(start, y[-1] - (high - start)), (high, y[-1])], "#b03a2e", 'stroke-dasharray="4 3"'),
                 path(zip(x, y1), "#95b8cc"), path(zip(x, y), "#2a6f97"),
                 text(left, top - 10, f"{sweep['over']}: slope {sweep['slope']:.2f}"),
                 text(left, top + side + 18, number(10 ** low), "middle"),
                 text(left + side, top + side + 18, number(10 ** high), "middle"),
                 text(left - 6, top + 10, number(10 ** ceiling) + " s", "end"),
                 text(left - 6, top + side, number(10 ** bottom) + " s", "end")]
    words = "dark: all threads, light: one thread, dashed: proportional"
    body.append(text(gap, 30 + side + 40, words))
    return svg(gap + len(sweeps) * (side + gap), 30 + side + 56, body)


# ---- parts of the page ---------------------------------------------------------------------------

def machine_part(report):
    m, l = report["machine"], report["limits"]
    return table(("", ""), [
        ("processor", f"{m['processor']}, {m['cores']} cores, {m['threads']} threads used"), ("memory", m["memory"]),
        ("system", f"Linux {m['system']}, {m['file_system']}"), ("build", f"{m['version']}, {m['build']}"),
        ("memory read", f"{l['memory_read_GBps']:.1f} GB/s (one thread {l['memory_read_one_thread_GBps']:.1f})"),
        ("f32 multiply-add", f"{l['f32_fma_GFLOPS']:.0f} GFLOP/s (one thread {l['f32_fma_one_thread_GFLOPS']:.0f}, "
                             f"{l['fma_width']})")])


def kernels_part(report, folder):
    rows = report["kernels"]
    limit = rows[0]["limit_GFLOPS"]
    plot = [(f"{r['dtype']}, k = {r['k']}, {percent(r['density'])} filled", r["GFLOPS"], percent(r["GFLOPS"] / r["limit_GFLOPS"])) for r in rows
            if r["name"] == "exact pass"]
    (folder / "kernels.svg").write_text(bars(plot, [(limit, "f32 multiply-add peak")], "GFLOP/s"))

    def beside(r):
        if "times_blas" in r:
            return f"{r['times_blas']:.1f} x one-thread BLAS on floats"
        return f"{r['times_dense']:.2f} x the dense pass" if "times_dense" in r else ""

    return ("One visit of every pattern that multiplies by the components, solves for the loadings and adds up the sums for "
            f"the next components, on {rows[0]['patterns']:,} patterns of {rows[0]['pixels']:,} pixels in memory. "
            "Operations are counted as 4 per value and component; variants that multiply integers may exceed the f32 peak.\n\n"
            "![Exact pass against the multiply-add peak](performance/kernels.svg)\n\n" +
            table(("kernel", "type", "k", "density", "GB/s", "of memory read", "GFLOP/s", "of f32 peak", "bound by", ""),
                  [(r["name"], r["dtype"], r["k"], f"{r['density']:.3f}", f"{r['GBps']:.2f}",
                    percent(r["GBps"] / r["limit_GBps"]), f"{r['GFLOPS']:.0f}", percent(r["GFLOPS"] / r["limit_GFLOPS"]),
                    r["bound_by"], beside(r)) for r in rows]))


def shape_words(scan):
    ny, nx, ky, kx = scan["shape"]
    return f"{ny}x{nx} positions of {ky}x{kx} pixels, {scan['dtype']}, {size(scan['bytes'])}"


def stages_part(report, folder):
    scan, rows = report["stage_scan"], report["stages"]
    disk, cached = scan["file_read_GBps"], scan["file_cached_GBps"]
    (folder / "stages.svg").write_text(bars([(r["name"], r["GBps"], f"{r['GBps']:.2f}") for r in rows],
                                            [(disk, "file, cold"), (cached, "file, in the page cache")], "GB/s"))
    slow = [r for r in rows if r["bound_by"] != "disk"]
    named = ", ".join(f"{r['name']} ({percent(r['of_file_read'])})" for r in slow)
    return (f"{shape_words(scan)}, in the page cache; the same file comes from the disk at {disk:.2f} GB/s. A stage that is at "
            "least as fast as that waits for the disk when the file is not cached. " +
            (f"Bound by the processor here: {named}.\n\n" if slow else "All are.\n\n") +
            "![Stages against the rate of the file](performance/stages.svg)\n\n" +
            table(("stage", "s", "reads", "patterns/s", "GB/s", "of cold file", "of cached file", "bound by"),
                  [(r["name"], f"{r['seconds']:.3f}", r["reads"], f"{r['patterns_per_second']:,.0f}", f"{r['GBps']:.2f}",
                    percent(r["of_file_read"]), percent(r["of_cached_read"]), r["bound_by"]) for r in rows]))


def decode_part(report, _folder):
    return ("A scan in chunks of whole patterns. *Decoding* is nothing but reading and decoding every chunk in all threads; "
            "*sums* is one visit of every pattern (the sums over pixels and over positions).\n\n" +
            table(("compression", "file", "decoding s", "GB/s", "sums s", "sums / decoding", "nmf s", "reads",
                   "nmf / decoding as often"),
                  [(r["compression"], size(r["file_bytes"]), f"{r['decode_seconds']:.3f}", f"{r['decode_GBps']:.2f}",
                    f"{r['sums_seconds']:.3f}", f"{r['sums_of_decoding']:.2f}", f"{r['nmf_seconds']:.2f}",
                    f"{r['reads']:.2f}", f"{r['of_decoding_as_often']:.1f}") for r in report["decode"]]))


def scans_part(report, _folder):
    words = ["The tool as a process of its own, from start to the written result; *of one read* is the time against one cold "
             "sequential read of the same file in the same run.\n"]
    for scan in report["scans"]:
        read = min(t for t in (scan["read_direct_seconds"], scan["read_buffered_seconds"]) if t is not None)
        words.append(f"\n**{scan['name']}**: {shape_words(scan)}, k = {scan['k']}; one cold read {read:.2f} s.\n\n" +
                     table(("from", "memory", "s", "processor s", "reads", "passes", "peak", "of one read"),
                           [(r["from"], r["memory"], f"{r['seconds']:.2f}", f"{r['cpu_seconds']:.2f}", f"{r['reads']:.2f}",
                             f"{r['passes']:.0f}", size(r["peak_bytes"]), f"{r['of_one_read']:.2f}") for r in scan["runs"]]))
    return "".join(words)


def scaling_part(report, folder):
    (folder / "scaling.svg").write_text(curves(report["scaling"]))
    words = ["Whole runs of `unmix nmf`; a slope is that of the logarithm of the time over that of the variable.\n\n"
             "![Time over positions, components and pixels](performance/scaling.svg)\n"]
    for sweep in report["scaling"]:
        words.append(f"\nOver {sweep['over']}: slope {sweep['slope']:.2f}, per pass {sweep['slope_per_pass']:.2f}.\n\n" +
                     table((sweep["over"], "s", "one thread s", "speed-up", "reads", "passes", "peak"),
                           [(f"{p[sweep['over']]:,.0f}", f"{p['seconds']:.2f}", f"{p['one_thread_seconds']:.2f}",
                             f"{p['speedup']:.2f}", f"{p['reads']:.2f}", f"{p['passes']:.0f}", size(p["peak_bytes"]))
                            for p in sweep["points"]]))
    return "".join(words)


def peers_part(report, _folder):
    return ("Each in a process of its own with as many threads. The time of a peer is that of the call that factorises, with the "
            "data in memory as floats; the time of unmix is that of the whole process, from the file to the written result.\n\n" +
            table(("peer", "problem", "compared", "peer s", "unmix s", "times as fast", "peer peak", "unmix peak",
                   "of its memory", "objective, peer / unmix"),
                  [(f"{r['peer']} {r['version']}", r["problem"], r["compared"], f"{r['peer_seconds']:.1f}",
                    f"{r['unmix_seconds']:.2f}", f"{r['time_ratio']:.1f}", size(r["peer_peak_bytes"]),
                    size(r["unmix_peak_bytes"]), f"1/{r['memory_ratio']:.1f}",
                    f"{r['peer_objective'] / r['unmix_objective']:.6f}") for r in report["peers"]]))


TITLES = {"kernels": "The inner loop", "stages": "Stages", "decode": "Compressed files", "scans": "Whole factorisations",
          "scaling": "How time grows", "peers": "Other programs"}


def command(part, report):
    """As it was given, so far as the report tells."""
    words = COMMANDS[part]
    if part == "kernels" and report["kernels"][0]["patterns"] < 49152:
        words = words.replace(" --large", "")
    if part == "scans" and not any(scan["name"] == "large" for scan in report["scans"]):
        words = words.replace(" --large", "")
    if part == "stages" and report["stage_scan"]["shape"] != [256, 256, 128, 128]:
        words += " --size {}x{} --pattern-size {}x{}".format(*report["stage_scan"]["shape"])
    return words


def page(reports, notes, folder):
    words = ["# Performance\n\nWritten by `tools/make_performance_page.py` from the output of `unmix bench --json`; not to be "
             "edited. Every figure is of one run on one machine, next to the limit that was measured in the same run. Run it on "
             "yours: absolute times differ, fractions should not by much.\n\n```\nunmix bench --dir DIR --large --scaling --peers "
             "PYTHON --json > all.json\ntools/make_performance_page.py all.json\ntools/compare_revisions.py REV1 REV2   # two "
             "revisions in turns on this machine\n```\n"]
    found = {part: report for report in reports for part in PARTS if part in report}
    makers = {"kernels": kernels_part, "stages": stages_part, "decode": decode_part, "scans": scans_part,
              "scaling": scaling_part, "peers": peers_part}
    folder.mkdir(parents=True, exist_ok=True)
    shown = next(report for report in reversed(reports) if "machine" in report)
    words.append("\n## The machine and its limits\n\n" + machine_part(shown))
    if notes:
        words.append("\n## What falls short\n\n" + notes)
    for part in PARTS:
        if part in found:
            words.append(f"\n## {TITLES[part]}\n\n`{command(part, found[part])}`\n\n" + makers[part](found[part], folder))
    return "".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=pathlib.Path, nargs="+", metavar="JSON")
    parser.add_argument("--out", type=pathlib.Path, default=DOCS, help="folder of the page, default docs/")
    parser.add_argument("--notes", type=pathlib.Path, default=None,
                        help="text on what falls short, default OUT/performance/notes.md where it is there")
    options = parser.parse_args()
    reports = [json.loads(path.read_text()) for path in options.reports]
    notes = options.notes or options.out / "performance" / "notes.md"
    said = notes.read_text() if notes.exists() else ""
    (options.out / "performance.md").write_text(page(reports, said, options.out / "performance"))


if __name__ == "__main__":
    main()
