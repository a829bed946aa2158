#!/usr/bin/env python3
"""Takes figures out of reports of `unmix run`, for the tutorials: they are drawings with text already.

    tools/make_tutorial_pictures.py REPORT.html OUT.svg NUMBER [NUMBER ...]     figures side by side, two in a row
"""
import pathlib
import re
import sys


def figures(page):
    """{number: (svg, width, height)} of the figures that are one drawing."""
    found = {}
    for one in re.findall(r"<figure>.*?</figure>", page, re.DOTALL):
        number, drawing = re.search(r"<b>Figure (\d+)\.", one), re.search(r"<svg width=\"(\d+)\" height=\"(\d+)\".*?</svg>", one, re.DOTALL)
        if number and drawing:
            found[int(number[1])] = drawing[0], int(drawing[1]), int(drawing[2])
    return found


def main():
    report, out, *numbers = sys.argv[1:]
    every = figures(pathlib.Path(report).read_text())
    parts, y, row = [], 10, []
    for number in map(int, numbers):
        row.append(every[number])
        if len(row) == 2 or number == int(numbers[-1]):
            x = 10
            for drawing, width, height in row:
                parts.append(drawing.replace("<svg ", f'<svg x="{x}" y="{y}" ', 1))
                x += width + 24
            y, row = y + max(height for _, _, height in row) + 16, []
    width = 20 + 24 + 2 * max(w for n in map(int, numbers) for w in every[n][1:2])
    pathlib.Path(out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" font-family="Helvetica, Arial, '
        f'sans-serif" fill="#1c1c1e"><rect width="{width}" height="{y}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
