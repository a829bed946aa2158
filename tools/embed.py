#!/usr/bin/env python3
"""embed.py FILE NAME: prints a C file that holds the text of FILE as the string NAME."""
import json
import sys

path, name = sys.argv[1:]
print(f"extern const char {name}[];\nconst char {name}[] =")
with open(path, encoding="ascii") as lines:
    for line in lines:
        print("   ", json.dumps(line).replace("??", '?""?'))
print("    ;")
