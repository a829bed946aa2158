#!/usr/bin/env python3
"""Checks that includes point down the layers only (docs/architecture.md), and that banned calls are absent.

usage: check_layers.py ROOT | check_layers.py --self-test

src/MODULE may include public and internal headers of its own and of lower modules; a public header may
include public headers of its own and of lower modules; cli/ includes public headers and its own only.
"""
import pathlib
import re
import sys
import tempfile

LAYERS = ["base", "kernels", "shapes", "io", "model", "prep", "image", "crystal", "specimen", "simulate", "factor",
          "cluster", "segment", "identify", "measure", "verify", "choose", "report", "bench"]
PART_OF = {"ica": "factor", "online": "factor", "evidence": "verify", "instrument": "simulate", "scene": "specimen", "stability": "choose"}  # modules of several public headers
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atof|atol)\s*\(")
GENERATED = {"build_config.h"}
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def rank(module):
    return LAYERS.index(module)


def blank(match):
    """Comments and strings become blanks, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


def module_of(path, root):
    """('src'|'public'|'cli', module or None) of a file of ours."""
    parts = path.relative_to(root).parts
    if parts[0] == "src":
        return "src", parts[1]
    if parts[0] == "include":
        return "public", PART_OF.get(path.stem, path.stem)
    return "cli", None


def included(name, path, root, internal):
    """What an include names: ('public', module), ('internal', module), ('own', None) or None."""
    if name in GENERATED:
        return ("internal", "base")
    if name.startswith("unmix/"):
        stem = pathlib.PurePath(name).stem
        return ("public", PART_OF.get(stem, stem))
    base = pathlib.PurePath(name).name
    if base in internal:
        return ("internal", internal[base])
    if (path.parent / name).is_file():
        return ("own", None)
    return None


def judge(kind, module, target):
    """Why this include is not allowed, or None."""
    if target is None:
        return "no such header in the tree"
    what, lower = target
    if what == "own":
        return None
    if what == "public" and lower == "unmix":
        return None if kind == "cli" else "unmix.h is for users; include what is needed"
    if lower not in LAYERS:
        return f"'{lower}' is not a layer"
    if kind == "cli":
        return None if what == "public" else f"cli uses public headers only, this is internal to {lower}"
    if kind == "public" and what == "internal":
        return f"a public header may not include what is internal to {lower}"
    if rank(lower) > rank(module):
        return f"{module} may not include {lower}, which is above it"
    return None


def check(root):
    root = pathlib.Path(root)
    internal = {}
    problems = []
    for header in sorted((root / "src").glob("*/**/*.h")):
        internal[header.name] = header.relative_to(root).parts[1]
    files = [path for top in ("src", "include", "cli") for path in sorted((root / top).rglob("*.[ch]"))]
    for path in files:
        where = path.relative_to(root)
        kind, module = module_of(path, root)
        text = path.read_text()
        if kind == "src" and module not in LAYERS:
            problems.append(f"{where}: src/{module} is not a layer that tools/check_layers.py knows")
            continue
        if not (kind == "public" and module == "unmix"):
            for match in INCLUDE.finditer(text):
                why = judge(kind, module, included(match.group(1), path, root, internal))
                if why:
                    line = text.count("\n", 0, match.start(1)) + 1
                    problems.append(f"{where}:{line}: #include \"{match.group(1)}\": {why}")
        for match in BANNED.finditer(NOT_CODE.sub(blank, text)):
            line = text.count("\n", 0, match.start()) + 1
            problems.append(f"{where}:{line}: {match.group(1)}() is banned; use the checked form")
    return problems, len(files)


def self_test():
    """Plants one fault of each kind in a small tree and expects exactly these to be found."""
    tree = {
        "include/unmix/base.h": "",
        "include/unmix/io.h": '#include "unmix/base.h"\n',
        "include/unmix/factor.h": '#include "unmix/io.h"\n',
        "include/unmix/prep.h": '#include "unmix/factor.h"\n',  # fault: up
        "src/base/base_internal.h": '#include "unmix/base.h"\n',
        "src/factor/factor_internal.h": '#include "base_internal.h"\n',
        "src/io/a.c": '#include "base_internal.h"\n#include "unmix/factor.h"\n',  # fault: up
        "src/io/b.c": '#include "factor_internal.h"\n',  # fault: up, internal
        "src/io/c.c": '/* strcpy( */\nint f(void)\n{\n    return atoi("1");\n}\n',  # fault: banned
        "src/factor/d.c": '#include "factor_internal.h"\n#include "unmix/io.h"\n',
        "src/other/e.c": "",  # fault: unknown layer
        "cli/main.c": '#include "unmix/factor.h"\n#include "own.h"\n',
        "cli/own.h": '#include "base_internal.h"\n',  # fault: internal
        "cli/lost.c": '#include "nowhere.h"\n',  # fault: missing
    }
    expected = ["cli/lost.c:1", "cli/own.h:1", "include/unmix/prep.h:1", "src/io/a.c:2", "src/io/b.c:1",
                "src/io/c.c:4", "src/other/e.c"]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = sorted(problem.split(": ")[0] for problem in check(root)[0])
    print("TAP version 13\n1..1")
    print(("ok" if found == expected else "not ok") + " 1 - planted faults are found")
    if found != expected:
        print(f"# expected {expected}\n# found    {found}")
    return 0 if found == expected else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    problems, files = check(arguments[0])
    print("TAP version 13\n1..1")
    good = not problems and files > 0
    print(("ok" if good else "not ok") + f" 1 - includes point down, nothing banned, in {files} files")
    for problem in problems:
        print("# " + problem)
        print(problem, file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
