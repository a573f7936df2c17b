#!/usr/bin/env python3
"""Chooses the inputs that are kept: small ones that together reach most.

    choose.py <control file of a set-cover merge> <folder> <how many at most>

Copies them into the folder. Each choice is the input that adds the most
features; among equals the shortest.
"""

import hashlib
import sys
from pathlib import Path


def read(control):
    """The files of a libFuzzer control file, each with its features."""
    lines = control.read_text().split("\n")
    names = lines[2 : 2 + int(lines[0])]
    features = {}
    for line in lines[2 + len(names) :]:
        kind, *numbers = line.split()[:1] + line.split()[1:] or [""]
        if kind == "FT":
            features[names[int(numbers[0])]] = frozenset(numbers[1:])
    return features


def choose(features, most):
    sizes = {name: Path(name).stat().st_size for name in features}
    left, reached = dict(features), set()
    while left and most:
        best = max(left, key=lambda name: (len(left[name] - reached), -sizes[name]))
        if not left[best] - reached:
            return
        reached |= left.pop(best)
        most -= 1
        yield best
        left = {name: each for name, each in left.items() if each - reached}


def main():
    control, folder, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for name in choose(read(control), most):
        content = Path(name).read_bytes()
        (folder / hashlib.sha1(content).hexdigest()[:16]).write_bytes(content)


main()
