"""Row functions of a softmax over buckets: what `SoftmaxBuckets` compiles.

Those of low rank, with logits ``a_k + sum_r raw_r B[r, k]``, are written out for a rank, in double precision and, for
training, in single: a loop over statistics inside the loop over buckets is not vectorised, and one around it reads every
bucket as often as there are statistics (measured 3.1 against 1.9 ns a row and bucket, 64 buckets, 2 statistics).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import exp, log, log1p
from typing import Any

import numpy as np

from gbreg._discretize import label_tilt, row_sigma, soft_label
from gbreg._kernels import RowSpec, double, exp_single, single
from gbreg.losses.bucketing import row_bucket
from gbreg.losses.censoring import is_censored

# The layout of `parameters`: how the label is softened, the caps of low rank's outputs, the edges. `table` holds, each
# with one number a bucket: log prior, points, representatives, edges in the space of distances, widths, statistics.
_SOFTNESS = 5
WIDTHS = 4
_STATISTICS = 5
# The layout of a soft label: itself, the rate of its tilt, its means of the statistics.
WANTED = 2
# How far, in log-odds between any two buckets, one row may ask its leaf to move.
FAR = 10.0


def _spread(y, parameters, table, n_caps):  # type: ignore[no-untyped-def]
    """The label's bucket, and the label and its width in the space of distances."""
    own = row_bucket(y, parameters[_SOFTNESS + n_caps :])
    x = log1p(y) if parameters[4] > 0.0 else y
    return own, x, row_sigma(x, parameters[1], parameters[2], table[WIDTHS, own])


def _hard(y, parameters, table, n_caps, out):  # type: ignore[no-untyped-def]
    """Fills `out` with the hard label, for labels that are one number."""
    for k in range(out.shape[0]):
        out[k] = 0.0
    out[row_bucket(y, parameters[_SOFTNESS + n_caps :])] = 1.0


def _soft(label, parameters, table, n_caps, out):  # type: ignore[no-untyped-def]
    """Fills `out` with the soft label, for labels that know their tilt."""
    y = label[0]
    own, x, sigma = _spread(y, parameters, table, n_caps)
    unbiased = parameters[3] > 0.0
    soft_label(int(parameters[0]), y, x, own, table[1], table[3], table[2], sigma, unbiased, label[1], out)


def _caps(table):  # type: ignore[no-untyped-def]
    """How many statistics the table holds, each of whose outputs has a cap among the parameters."""
    return table.shape[0] - _STATISTICS


def _tilt(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    own, x, sigma = _spread(y, parameters, table, _caps(table))
    out = work[: table.shape[1]]
    return label_tilt(int(parameters[0]), y, x, own, table[1], table[3], table[2], sigma, out)


def _wanted(label, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    """Fills `gradient` with the soft label's means of the statistics."""
    target = work[: table.shape[1]]
    _soft(label, parameters, table, _caps(table), target)
    for r in range(gradient.shape[0]):
        mean = 0.0
        for k in range(target.shape[0]):
            mean += target[k] * table[_STATISTICS + r, k]
        gradient[r] = mean


def soft_sums(label, weight, parameters, table, sums, work):  # type: ignore[no-untyped-def]
    """Adds to `sums` a soft label times its weight."""
    target = work[: table.shape[1]]
    _soft(label, parameters, table, _caps(table), target)
    for k in range(target.shape[0]):
        sums[k] += weight * target[k]


# Not a loss: the tilt of every label, and of labels with their tilt the means of the statistics.
TILT = RowSpec(_tilt, _wanted)
STATISTICS = RowSpec(_tilt, _wanted, n_numbers=WANTED)


def _probabilities(out):  # type: ignore[no-untyped-def]
    """Turns log-odds into probabilities in place; returns the log of their sum before it was divided out."""
    n = out.shape[0]
    a = b = c = d = out[0]  # four at a time: a chain of maxima is as slow as all exponentials
    for k in range(0, n - 3, 4):
        a, b, c, d = max(a, out[k]), max(b, out[k + 1]), max(c, out[k + 2]), max(d, out[k + 3])
    for k in range(n - n % 4, n):
        a = max(a, out[k])
    top = max(max(a, b), max(c, d))
    for k in range(n):
        out[k] = exp(out[k] - top)
    total = 0.0
    for k in range(n):
        total += out[k]
    share = 1.0 / total
    for k in range(n):
        out[k] *= share
    return top + log(total)


def _low_rank(raw, table, out):  # type: ignore[no-untyped-def]
    for k in range(out.shape[0]):
        out[k] = table[0, k]
    for r in range(raw.shape[0]):
        for k in range(out.shape[0]):
            out[k] += raw[r] * table[_STATISTICS + r, k]


def _full(raw, table, out):  # type: ignore[no-untyped-def]
    for k in range(out.shape[0]):
        out[k] = raw[k]


@cache
def tail_value(low_rank: bool) -> Callable[..., Any]:
    """`value` of hard labels, and of a censored one ``-ln`` of the probability of its bucket and all beyond."""
    logits, of_bucket = _low_rank if low_rank else _full, value(low_rank, False)

    def log_tail(label, raw, parameters, table, work):  # type: ignore[no-untyped-def]
        if not is_censored(label):
            return of_bucket(label, raw, parameters, table, work)
        n = table.shape[1]
        scores, p = work[:n], work[n : 2 * n]
        logits(raw, table, scores)
        for k in range(n):
            p[k] = scores[k]
        log_total = _probabilities(p)
        own, tail = row_bucket(-label, parameters[_SOFTNESS + _caps(table) :]), 0.0
        for k in range(own, n):
            tail += p[k]
        return -log(min(tail, 1.0)) if tail > 0.0 else log_total - scores[own]

    return log_tail


@cache
def value(low_rank: bool, soft: bool) -> Callable[..., Any]:
    """Relative entropy of the label to the softmax of the logits: 0 where they agree."""
    logits, fill = _low_rank if low_rank else _full, _soft if soft else _hard

    def cross_entropy(label, raw, parameters, table, work):  # type: ignore[no-untyped-def]
        n = table.shape[1]
        scores, target, scratch = work[:n], work[n : 2 * n], work[2 * n : 3 * n]
        logits(raw, table, scores)
        fill(label, parameters, table, _caps(table), target)
        for k in range(n):
            scratch[k] = scores[k]
        log_total = _probabilities(scratch)
        value = 0.0
        for k in range(n):
            if target[k] > 0.0:
                value += target[k] * (log(target[k]) - (scores[k] - log_total))
        return value

    return cross_entropy


def _half_way(p, q):  # type: ignore[no-untyped-def]
    """Half the log-odds from p to q, at most FAR: two buckets share the way, of which one gains what the other loses."""
    odds = p * (1.0 - q) / (q * (1.0 - p)) if 0.0 < q < 1.0 and 0.0 < p < 1.0 else 0.0
    way = 0.5 * abs(log(odds)) if odds > 0.0 else FAR
    return min(way, FAR) if way > 1e-6 else FAR  # nearer, 2 p (1 - p) is the secant


def _tail(own, p, out):  # type: ignore[no-untyped-def]
    """Fills `out` with the probabilities from a bucket on, given that the label is there."""
    tail = 0.0
    for k in range(own, p.shape[0]):
        tail += p[k]
    for k in range(p.shape[0]):
        out[k] = p[k] / tail if k >= own and tail > 0.0 else 0.0
    if tail <= 0.0:
        out[own] = 1.0


@cache
def full_derivatives(soft: bool, censored: bool = False) -> Callable[..., Any]:
    fill = _soft if soft else _hard

    def derivatives(label, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
        n = table.shape[1]
        p, target = work[:n], work[n : 2 * n]
        _full(raw, table, p)
        _probabilities(p)
        if censored and is_censored(label):
            _tail(row_bucket(-label, parameters[_SOFTNESS:]), p, target)
        else:
            fill(label, parameters, table, 0, target)
        for k in range(n):
            gradient[k] = p[k] - target[k]
            hess[k] = max(2.0 * p[k] * (1.0 - p[k]), abs(gradient[k]) / _half_way(p[k], target[k]))

    return derivatives


def _lines(rank: int, head: str, *body: str) -> str:
    """Source of a function: exponentials `p` of a row's logits, the statistics' means under them, and a body."""
    every = range(rank)
    logit = " + ".join(["a[k]", *(f"s{r} * b{r}[k]" for r in every)])
    return "\n".join(
        [
            f"def f({head}):",
            "    n = table.shape[1]",
            "    a, p = table[0], work[:n]",
            *(f"    s{r}, b{r}, m{r} = number(raw[{r}]), table[{_STATISTICS + r}], zero" for r in every),
            "    top, total = least, zero",
            "    for k in range(n):",
            f"        p[k] = {logit}",
            "        top = max(top, p[k])",
            "    for k in range(n):",
            "        e = exp(p[k] - top)",
            "        p[k] = e",
            "        total += e",
            *(f"        m{r} += e * b{r}[k]" for r in every),
            "    share = one / total",
            *(f"    m{r} *= share" for r in every),
            *(f"    {line}" for line in body),
        ]
    )


def _written(source: str, in_single: bool) -> Callable[..., Any]:
    kind = np.float32 if in_single else np.float64
    scope = {
        "exp": exp_single if in_single else exp,
        "number": single if in_single else double,
        "row_bucket": row_bucket,
        "is_censored": is_censored,
        "zero": kind(0.0),
        "one": kind(1.0),
        "least": kind(-np.inf),
        "__name__": __name__,
    }
    exec(source, scope)  # of this module's own text alone
    function: Callable[..., Any] = scope["f"]
    return function


def _of_tail(rank: int) -> list[str]:
    """Lines: of a censored label the sum of the exponentials from its bucket on, and of each times its statistics."""
    every = range(rank)
    return [
        f"own = row_bucket(abs(label), parameters[{_SOFTNESS + rank}:])",
        ", ".join(["tail", *(f"t{r}" for r in every)]) + " = " + ", ".join(["zero"] * (rank + 1)),
        "if is_censored(label):",
        "    for k in range(own, n):",
        "        tail += p[k]",
        *(f"        t{r} += p[k] * b{r}[k]" for r in every),
        "part = one / tail if tail > zero else zero",
    ]


@cache
def low_rank_derivatives(rank: int, soft: bool, in_single: bool, censored: bool = False) -> Callable[..., Any]:
    """Gradient and safe curvature: the means of the statistics under the model less those under the label, and the
    absolute row sums of their covariance, at least what keeps a row's own step within its cap.
    """
    body = _of_tail(rank) if censored else [] if soft else [f"own = row_bucket(label, parameters[{_SOFTNESS + rank}:])"]
    for r in range(rank):
        own = f"number(label[{WANTED + r}])" if soft else f"b{r}[own]"
        body += [
            f"gradient[{r}] = m{r} - ({f't{r} * part if tail > zero else {own}' if censored else own})",
            ", ".join(f"c{s}" for s in range(r + 1)) + " = " + ", ".join("zero" for _ in range(r + 1)),
            "for k in range(n):",
            f"    e = p[k] * (b{r}[k] - m{r})",
            *(f"    c{s} += e * (b{s}[k] - m{s})" for s in range(r + 1)),
        ]
        for s in range(r + 1):
            body += [f"hess[{r}] += share * abs(c{s})", *([f"hess[{s}] += share * abs(c{s})"] if s != r else [])]
    body += [f"hess[{r}] = max(hess[{r}], abs(gradient[{r}]) * parameters[{_SOFTNESS + r}])" for r in range(rank)]
    return _written(_lines(rank, "label, raw, parameters, table, gradient, hess, work", *body), in_single)


@cache
def probability_sums(rank: int, in_single: bool) -> Callable[..., Any]:
    """Adds to `sums` a row's probabilities times its weight."""
    body = ["share *= number(weight)", "for k in range(n):", "    sums[k] += share * p[k]"]
    return _written(_lines(rank, "raw, weight, parameters, table, sums, work", *body), in_single)
