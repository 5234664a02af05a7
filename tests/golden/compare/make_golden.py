"""Golden statistics for masklet's comparisons and tail bounds, by scipy.

    python make_golden.py

writes statistics.json beside itself. Needs numpy and scipy (1.17.1 made the committed file).
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.stats import binom, bootstrap, gmean

RESAMPLES = 400_000


def tail(percent: float, n: int) -> dict:
    """t of n samples above the percentile, as LoadGen's early stopping counts them."""
    t = 0
    while binom.cdf(t, n, 1 - percent / 100) < 0.01:
        t += 1
    return {"percent": percent, "n": n, "largest_t": t - 1}


def fewest(percent: float) -> dict:
    n = 1
    while tail(percent, n)["largest_t"] < 1:
        n += 1
    return {"percent": percent, "samples": n}


def interval(values: np.ndarray, statistic) -> dict:
    found = bootstrap((values,), statistic, confidence_level=0.95, n_resamples=RESAMPLES, method="percentile",
                      vectorized=True, batch=20_000, rng=np.random.default_rng(1))
    return {"low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high),
            "standard_error": float(found.standard_error)}


def speed(name: str, before: np.ndarray, after: np.ndarray) -> dict:
    ratios = after / before
    found = interval(np.log(ratios), np.mean)
    return {"name": name, "a": before.tolist(), "b": after.tolist(), "ratio": float(gmean(ratios)),
            "gmean_a": float(gmean(before)), "gmean_b": float(gmean(after)),
            "log_interval": found}


def score(name: str, before: np.ndarray, after: np.ndarray) -> dict:
    difference = after - before
    return {"name": name, "a": before.tolist(), "b": after.tolist(), "difference": float(np.mean(difference)),
            "interval": interval(difference, np.mean)}


def main() -> None:
    rng = np.random.default_rng(20)
    fps = np.round(rng.lognormal(3.0, 0.3, 24), 3)
    jf = np.round(rng.beta(6, 2, 30) * 100, 4)
    skewed = np.round(rng.exponential(4.0, 15) + 1.0, 3)
    golden = {
        "scipy": scipy.__version__,
        "resamples": RESAMPLES,
        "tail": [tail(p, n) for p in (90.0, 95.0, 99.0)
                 for n in (1, 43, 44, 63, 64, 100, 129, 130, 299, 661, 662, 1000, 2048, 7469)],
        "tail_fewest": [fewest(p) for p in (50.0, 90.0, 95.0, 99.0)],
        "speed": [speed("twice as fast, noisy", fps, np.round(fps * 2.0 * rng.lognormal(0, 0.1, 24), 3)),
                  speed("skewed", skewed, np.round(skewed * rng.lognormal(0.05, 0.6, 15), 3))],
        "score": [score("a little worse", jf, np.round(np.clip(jf - 0.4 + rng.normal(0, 1.5, 30), 0, 100), 4)),
                  score("the same", jf, jf)],
    }
    path = Path(__file__).with_name("statistics.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
