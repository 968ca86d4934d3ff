"""Draws of CPython's random.Random, for tests/base/test_random.c. Prints the fixture; any CPython from 3.9 on."""
import json
import random
import sys

SEEDS = [0, 1, 42, 1234, 2**32 - 1, 2**32 + 5, 2**63 + 11]


def draws(seed):
    out = {"seed": str(seed)}
    r = random.Random(seed)
    out["u32"] = [r.getrandbits(32) for _ in range(5)]
    r = random.Random(seed)
    for _ in range(620):
        r.getrandbits(32)
    out["u32_after_620"] = [r.getrandbits(32) for _ in range(10)]
    r = random.Random(seed)
    out["random"] = [r.random() for _ in range(5)]
    r = random.Random(seed)
    out["bits"] = [[k, str(r.getrandbits(k))] for k in (1, 5, 31, 32, 33, 53, 64)]
    r = random.Random(seed)
    out["below"] = [[n, r.randrange(n)] for n in (1, 2, 3, 4, 10, 1119, 7473, 2**20, 2**31 + 1) for _ in range(3)]
    out["sample"] = []
    for n, k in [(5, 5), (10, 3), (21, 5), (22, 5), (85, 6), (86, 6), (277, 22), (278, 22), (1119, 25), (40000, 11), (3000, 300)]:
        r = random.Random(seed)
        first = r.sample(range(n), k)
        out["sample"].append({"n": n, "k": k, "drawn": first, "again": r.sample(range(n), k)})
    r = random.Random(seed)
    x = list(range(20))
    r.shuffle(x)
    out["shuffle"] = x
    r = random.Random(seed)
    out["choices"] = {"n": 37, "drawn": r.choices(range(37), k=10)}
    return out


json.dump({"python": sys.version.split()[0], "cases": [draws(s) for s in SEEDS]}, sys.stdout, separators=(",", ":"))
