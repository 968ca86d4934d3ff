#!/usr/bin/env python3
"""Known answers for reports/paired.c: McNemar, effect sizes, the paired bootstrap, Holm.

    python3 -m venv venv && venv/bin/pip install numpy scipy statsmodels
    venv/bin/python tests/oracle/compare_stats.py > tests/fixtures/compare_stats.json

McNemar and Holm come from statsmodels (checked here against scipy's binomial test), means and percentiles from numpy;
the draws are those of Python's random.Random, which base/random.h promises to be.
"""
import json
import random

import numpy
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def mcnemar_cases():
    pairs = [(0, 0), (0, 1), (1, 0), (3, 3), (2, 7), (7, 2), (0, 20), (10, 25), (120, 155), (1000, 1100), (4980, 5020),
             (50000, 51000), (300, 900)]
    for a, b in pairs:
        p = mcnemar([[0, a], [b, 0]], exact=True).pvalue if a + b else 1.0
        if a + b:
            other = scipy.stats.binomtest(min(a, b), a + b, 0.5).pvalue
            assert abs(p - other) <= 1e-11 * max(p, 1e-300) + 1e-15, (a, b, p, other)
        yield {"only_a": a, "only_b": b, "p": float(p)}


def bootstrap_case(differences, resamples, seed):
    draw = random.Random(seed)
    values = numpy.array(differences)
    n = len(values)
    means = numpy.array([values[draw.choices(range(n), k=n)].mean() for _ in range(resamples)])
    observed = values.mean()
    count = int(numpy.sum(numpy.abs(means - observed) >= abs(observed) - 1e-12 * (1 + abs(observed))))
    deviation = values.std(ddof=1)
    return {"differences": differences, "resamples": resamples, "seed": seed, "mean": float(observed),
            "stderr": float(scipy.stats.sem(values)), "effect": float(observed / deviation),
            "t": float(scipy.stats.ttest_1samp(values, 0).statistic),
            "low": float(numpy.percentile(means, 2.5)), "high": float(numpy.percentile(means, 97.5)),
            "p": (count + 1) / (resamples + 1)}


def main():
    rng = numpy.random.default_rng(8)
    normal = [round(float(x), 6) for x in rng.normal(0.1, 1.0, 60)]
    skewed = [round(float(x), 6) for x in rng.exponential(0.5, 33) - 0.4]
    ties = [0.25 * int(x) for x in rng.integers(-2, 3, 40)]
    families = [[0.01, 0.04, 0.03, 0.005], [0.5], [0.9, 0.8, 0.7], [0.001, 0.001, 0.2, 0.02, 0.04, 0.6]]
    print(json.dumps({
        "mcnemar": list(mcnemar_cases()),
        "bootstrap": [bootstrap_case(normal, 999, 1234), bootstrap_case(skewed, 2000, 7),
                      bootstrap_case(ties, 500, 42)],
        "holm": [{"p": p, "adjusted": [float(x) for x in multipletests(p, method="holm")[1]]} for p in families],
    }, indent=1))


if __name__ == "__main__":
    main()
