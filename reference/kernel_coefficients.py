"""Computes the polynomial and rational coefficients of internal/kernel's activation functions.

Prints each set with the largest relative error of the approximation in exact arithmetic (the rounding of float32
arithmetic adds to it). Needs only mpmath.

    python reference/kernel_coefficients.py
"""

import mpmath as mp

mp.mp.dps = 40


def fit(f, lo, hi, num, den, den0=None, points=320, rounds=60):
    """Returns a minimax fit of f on [lo, hi] by p(t)/q(t), q(0) = 1, in the relative error.

    Linearised least squares (Sanathanan and Koerner) whose weights are pushed
    towards the points with the largest error (Lawson).
    """
    ts = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / points) for i in range(points)]
    fs = [f(t) for t in ts]
    lawson = [mp.mpf(1)] * points
    prev = [mp.mpf(1)] * points
    best = None
    for _ in range(rounds):
        rows = mp.matrix(points, num + den + 1)
        rhs = mp.matrix(points, 1)
        for i, (t, y) in enumerate(zip(ts, fs)):
            w = mp.sqrt(lawson[i]) / (abs(y) * prev[i])
            for k in range(num + 1):
                rows[i, k] = w * t**k
            for k in range(1, den + 1):
                rows[i, num + k] = -w * y * t**k
            rhs[i] = w * y
        c = mp.lu_solve(rows, rhs)
        p = [c[k] for k in range(num + 1)]
        q = [mp.mpf(1)] + [c[num + k] for k in range(1, den + 1)]
        err = []
        for i, (t, y) in enumerate(zip(ts, fs)):
            d = mp.polyval(q[::-1], t)
            prev[i] = abs(d)
            err.append(abs(mp.polyval(p[::-1], t) / d / y - 1))
        worst = max(err)
        if best is None or worst < best[0]:
            best = (worst, p, q)
        total = sum(w * e for w, e in zip(lawson, err))
        lawson = [w * e / total * points for w, e in zip(lawson, err)]
    return best


def show(name, best):
    worst, p, q = best
    print(f"{name}: relative error {mp.nstr(worst, 3)} = 2^{mp.nstr(mp.log(worst, 2), 4)}")
    print("  p", ", ".join(mp.nstr(c, 14) for c in p))
    if len(q) > 1:
        print("  q", ", ".join(mp.nstr(c, 14) for c in q))


def expm1_tail(r):
    """(e^r - 1 - r)/r^2."""
    if abs(r) < mp.mpf("1e-6"):
        return mp.mpf(1) / 2 + r / 6 + r * r / 24
    return (mp.expm1(r) - r) / r**2


def mills(t):
    """exp(t^2/2) * Phi(-t): Mills' ratio over sqrt(2 pi)."""
    return mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2


if __name__ == "__main__":
    half = mp.log(2) / 2
    show("expm1 tail, degree 4", fit(expm1_tail, -half, half, 4, 0, rounds=20))
    show("mills 4/5 on [0, 13.3]", fit(mills, mp.mpf(0), mp.mpf("13.3"), 4, 5))
