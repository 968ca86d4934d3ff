#!/usr/bin/env python3
"""Prints tests/fixtures/yaml.json: what PyYAML makes of YAML with anchors, aliases, merge keys, dates and times, as Python's repr
with dates and times as text; null where it refuses the text or makes a key that is no text. Needs: pip install pyyaml==6.0.2"""
import datetime
import json
import random

import yaml

TEXTS = [
    "a: &x 1\nb: *x\nc: [*x, *x]", "a: &x {b: 1, c: [2]}\nd: *x\ne: {f: *x}", "a: &x [1, &y {z: 2}, *y]\nb: *x\nc: *y",
    "base: &b\n  x: 1\n  y: 2\nt:\n  <<: *b\n  y: 3\n  z: 4", "t:\n  y: 3\n  <<: {x: 1, y: 2}\n  z: 4", "<<: {a: 1}\nb: 2\n<<: {a: 3, c: 4}",
    "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], w: 0}\nd: {<<: [*b, *a]}", "a: &a {<<: {x: 1}, y: 2}\nb: {<<: *a, x: 5}",
    "a: {<<: [], b: 1}", "a: {<<: 1}", "a: {<<: [1]}", "a: {<<: null}", "a: {'<<': {b: 1}}", "a: {\"<<\": 2}", "a: {!!str <<: {b: 1}}",
    "a: *x", "a: &x 1\nb: &x 2\nc: *x", "&k a: 1\nb: *k", "&r {a: 1, b: 2}", "a: &x\nb: *x", "a: &x ''\nb: *x", "a: &x !!str 1\nb: *x",
    "a: &x |\n  text\nb: *x", "- 1", "a: [&x 1, &y 2]\nb: [*y, *x]", "a: &x k\n*x : 1\nb: {*x : 2}", "a: &x [1]\n*x : 1", "x: {a: &1 b, c: *1}", "x: &a-b.c 1\ny: *a-b.c",
]
TIMES = (
    "2024-01-01 2024-1-1 2024-01-1 0001-01-01 0000-01-01 2024-02-29 2023-02-29 2024-13-01 2024-00-10 2024-01-32 24-01-01 2024-01-01x 12024-01-01 "
    "2024-01-01T00:00:00 2024-01-01t1:02:03 2024-1-2T01:02:03 2024-01-01T1:2:3 2024-01-01T25:00:00 2024-01-01T23:59:60 2024-01-01T01:02:03Z "
    "2024-01-01T01:02:03.5 2024-01-01T01:02:03. 2024-01-01T01:02:03.123456789 2024-01-01T01:02:03.000001+02:00 2024-01-01T01:02:03-5 "
    "2024-01-01T01:02:03-05:30 2024-01-01T01:02:03+24:00 2024-01-01T01:02:03+0530 2024-01-01T01:02:03+5:3 2024-01-01T01:02:03-00:30 2024-01-01T 2024-01-01T01:02 "
    "2024-01-01T01:02:03-00:00 2024-01-01T01:02:03z 2024-01-01T01:02:03+1:00Z 2024-1-12 2024-11-2 -2024-01-01 2024/01/01 2024-01-01-01"
).split() + ["2024-01-01 01:02:03", "2024-01-01  \t01:02:03 Z", "2024-01-01 1:02:03 -5", "2024-01-01 01:02:03 +02:00", "2024-01-01 x", "2024-01-01 01:02:03 UTC"]


def made_up(rnd):
    names, mappings, lines = [], [], []

    def merged(depth):
        own = [f"*{rnd.choice(mappings)}" if mappings and rnd.random() < 0.8 else "{a: 5, e: 6}" for _ in range(rnd.randrange(1, 4))]
        return own[0] if len(own) == 1 else "[" + ", ".join(own) + "]"

    def value(depth):
        kind = rnd.randrange(9 if depth < 3 else 4)
        if kind == 0 and names:
            return "*" + rnd.choice(names)
        anchor = ""
        if rnd.random() < 0.3:
            anchor = f"n{len(names)}"
        if kind < 4:
            text = rnd.choice(["1", "x", "'y'", "2.5", "true", "~", "2020-02-02", "0x1f"])
        elif kind < 6:
            text = "[" + ", ".join(value(depth + 1) for _ in range(rnd.randrange(3))) + "]"
        else:
            keys = [rnd.choice(["a", "b", "c", "d", "<<"]) for _ in range(rnd.randrange(4))]
            text = "{" + ", ".join(f"{k}: {merged(depth) if k == '<<' else value(depth + 1)}" for k in keys) + "}"
            mappings.append(anchor) if anchor and anchor not in names else None
        if anchor and anchor not in names:
            names.append(anchor)
            return f"&{anchor} {text}"
        return text

    for i in range(rnd.randrange(2, 7)):
        key = rnd.choice(["k" + str(i), "k0", "<<"])
        lines.append(f"{key} : {merged(0) if key == '<<' else value(0)}")
    return "\n".join(lines)


def plain(value):
    if isinstance(value, (datetime.date, datetime.datetime)):
        return str(value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            raise ValueError
        return {k: plain(v) for k, v in value.items()}
    return value


def read(text):
    try:
        value = plain(yaml.load(text, yaml.CSafeLoader))
        return repr(value) if isinstance(value, dict) else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


rnd = random.Random(11)
texts = TEXTS + ["a: " + t for t in TIMES] + [made_up(rnd) for _ in range(300)]
print(json.dumps([[text, read(text)] for text in dict.fromkeys(texts)], indent=0))
