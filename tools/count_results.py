#!/usr/bin/env python3
"""Adds up the tests of every runner and prints `N passed, N failed, N skipped`.

usage: count_results.py NAME=FOLDER ...

Each folder is one runner's: meson's log folder (testlog.json and testlog.junit.xml), or one with JUnit
XML of pytest, or *.tap files of plain checks. Exit status 1 when anything failed, or when a runner left
no result or ran nothing.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def case(self, name, outcome):
        if outcome == "failed":
            self.failed += 1
            self.failures.append(name)
        elif outcome == "skipped":
            self.skipped += 1
        else:
            self.passed += 1

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def junit_cases(path):
    for suite in ElementTree.parse(path).iter("testsuite"):
        for case in suite.findall("testcase"):
            kinds = {child.tag for child in case}
            outcome = "passed"
            if kinds & {"failure", "error"}:
                outcome = "failed"
            elif "skipped" in kinds:
                outcome = "skipped"
            yield suite.get("name", ""), case.get("name", ""), outcome


def count_meson(folder):
    """Subtests from the JUnit file; a program that died between two subtests counts as one failure."""
    count = Count()
    failed_suites = set()
    for junit in folder.glob("testlog*.junit.xml"):
        for suite, name, outcome in junit_cases(junit):
            count.case(f"{suite}: {name}", outcome)
            if outcome == "failed":
                failed_suites.add(suite)
    for log in folder.glob("testlog*.json"):
        for line in log.read_text(errors="replace").splitlines():
            entry = json.loads(line)
            if entry.get("result") in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"):
                name = entry["name"].split(" / ")[-1]
                if not any(suite == name or suite.endswith("." + name) for suite in failed_suites):
                    if name not in " ".join(count.failures):
                        count.case(f"{name}: {entry['result']}", "failed")
    return count


def count_tap(path, count):
    for line in path.read_text(errors="replace").splitlines():
        match = re.match(r"(not )?ok\b\s*\d*\s*-?\s*(.*)", line)
        if match:
            skipped = re.search(r"#\s*skip", match.group(2), re.IGNORECASE)
            outcome = "skipped" if skipped else "failed" if match.group(1) else "passed"
            count.case(match.group(2), outcome)


def count_folder(folder):
    if list(folder.glob("testlog*.json")):
        return count_meson(folder)
    count = Count()
    for junit in folder.glob("*.xml"):
        for suite, name, outcome in junit_cases(junit):
            count.case(name, outcome)
    for tap in folder.glob("*.tap"):
        count_tap(tap, count)
    return count


def main(arguments):
    total = Count()
    good = True
    for argument in arguments:
        name, _, folder = argument.partition("=")
        count = count_folder(pathlib.Path(folder))
        print(f"{name:<34} {count}")
        for failure in count.failures:
            print(f"    failed: {failure}")
        if count.passed + count.failed == 0:
            print(f"    failed: '{name}' ran no test")
            count.failed += 1
        good = good and count.failed == 0
        total.add(count)
    print(total)
    return 0 if good and arguments else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
