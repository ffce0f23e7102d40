"""Points as sparse combinations of points: elastic nets for many targets at once, solved exactly.

For every target x, over the points a_1 .. a_N that may represent it (You et al. 2016, 2017; FOUND in their code SEO):

    min_r lambda ||r||_1 + (1 - lambda)/2 ||r||^2 + gamma/2 ||x - sum_i r_i a_i||^2,
    gamma = alpha lambda / max_i |a_i^T x|

r = 0 exactly where alpha <= 1. Divided by gamma, and with g_i = a_i^T x, G_ik = a_i^T a_k, it reads

    min_r mu ||r||_1 + rho/2 ||r||^2 + 1/2 r^T G r - g^T r,   mu = max_i |g_i| / alpha,   rho = mu (1 - lambda)/lambda.

Its optimum is r = S_mu(c)/rho, where c = g - G r are the products of the points with the residual and S_mu is soft
thresholding: whether a product exceeds mu tells what is in the support. Two levels use that (the combination is ours):

- outside, as in the oracle guided active sets of You et al. 2016, every target has a few candidates, is solved with
  them, and then gets those that its residual would choose, until there are none; meanwhile mu falls to its value;
- inside, a semismooth Newton method on min_v 1/2 v^T G v + 1/(2 rho) ||S_mu(g - G v)||^2, the dual in terms of
  v (residual x - sum_i v_i a_i): a step solves (G + rho I) v = g - mu sign(c) on the support that c tells. The function
  is convex and quadratic in pieces, and it falls with each step, by an exact line search where the whole step would
  raise it: after finitely many steps the support stays what it was, and v is the solution, but for rounding.

rho > 0 keeps everything unique and regular where points are duplicates of each other or more than their dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

ORTHOGONAL = 1e-6  # products below it are the rounding of float32 features: nothing there to be represented
TOLERANCE = 1e-10  # of mu, by which a product must exceed it to count: far above rounding, far below what matters
CANDIDATES = 16  # new ones of a target in each round; with 32 the systems are larger and no fewer (measured)
PATH = 0.6  # from one round to the next mu falls to this share, until it is what it should be
NEWTON_STEPS = 200  # in a round; 2 to 5 are usual
BLOCK = 256  # targets
VALUES = 2**22  # of float64 in one array, 32 MiB: fewer targets at a time where each of them needs more
SYSTEMS = 64  # targets solved together, all with as many candidates as the one that has most


def self_representation(points: Array, alpha: float, lambda_: float) -> csr_matrix:
    """Every point by the other ones (r_jj = 0).

    Args:
        points: of unit length, or zero, (N, D).
        alpha: how closely a point is represented; r = 0 up to 1.
        lambda_: share of the l1 norm, in (0, 1).

    Returns r of point j in row j, (N, N); a row is empty where nothing represents its point.
    """
    n = len(points)
    blocks = []
    for part in _portions(n, n, BLOCK):
        products = points[part] @ points.T
        blocks.append(_represented(points, products, np.arange(n)[part], alpha, lambda_))
    return vstack(blocks, format="csr")


def representation(points: Array, target: Array, alpha: float, lambda_: float) -> csr_matrix:
    """One new point (D,) by all of the points (N, D). Returns r, (1, N), empty where nothing represents it.

    One at a time: sums over many targets at once are rounded in an order that depends on how many there are.
    """
    return _represented(points, target[None] @ points.T, None, alpha, lambda_)


def _represented(points: Array, products: Array, own: Indices | None, alpha: float, lambda_: float) -> csr_matrix:
    """r (B, N) of a block of targets with these products with all points (B, N); none makes use of its `own` point."""
    if own is not None:
        products[np.arange(len(own)), own] = 0
    largest = np.abs(products).max(1)
    open_ = np.flatnonzero(largest > ORTHOGONAL)
    mu = largest[open_] / alpha
    level = np.maximum(mu, PATH * largest[open_])  # what is mu in this round
    chosen = _with_none(_largest(products[open_], level))
    v: Array = np.zeros(chosen.shape)
    found = [csr_matrix(products.shape)]
    while len(open_):
        left = products[open_]
        v = _solved(points, left, chosen, level, level * (1 - lambda_) / lambda_, v)
        if own is not None:
            left[np.arange(len(open_)), own[open_]] = 0
        ahead = np.maximum(mu, PATH * level)
        new = _largest(left, ahead * (1 + TOLERANCE))
        done = (level == mu) & (new < 0).all(1)
        target, position = np.nonzero((v != 0) & done[:, None])
        entries = v[target, position], (open_[target], chosen[target, position])
        found.append(csr_matrix(entries, shape=products.shape))
        open_, mu, level, chosen, v, new = (values[~done] for values in (open_, mu, ahead, chosen, v, new))
        kept = _first(v != 0)
        v = np.take_along_axis(v, kept, 1)
        chosen = _with_none(np.hstack([np.where(v != 0, np.take_along_axis(chosen, kept, 1), -1), new]))
        v = np.pad(v, ((0, 0), (0, chosen.shape[1] - v.shape[1])))
    return sum(found[1:], found[0])


def _solved(points: Array, left: Array, chosen: Indices, mu: Array, rho: Array, v: Array) -> Array:
    """Coefficients (B, K) of the `chosen` points, -1 where there is none, for products `left` (B, N), from v on.

    Turns `left` into the products with the residual, and sets those of the support to 0: they are no news.
    """
    v, real = v.copy(), chosen >= 0
    sizes = real.sum(1)
    by_size = sizes.argsort(kind="stable")  # arrays are as wide as their widest row
    for part in _portions(len(v), (sizes.max() + 1) * max(sizes.max() + 1, points.shape[1]), SYSTEMS):
        target = by_size[part, None]
        columns = _with_none(_first(real[target[:, 0]]))  # the last of all columns is none
        here = chosen[target, columns]
        atoms = points[here] * (here >= 0)[..., None]  # (b, K, D)
        g = left[target, here] * (here >= 0)
        found = _newton(atoms @ atoms.transpose(0, 2, 1), g, mu[target], rho[target], v[target, columns])
        v[target, columns] = found
        left[target[:, 0]] -= (found[:, None] @ atoms)[:, 0] @ points.T
    target, position = np.nonzero(v)
    left[target, chosen[target, position]] = 0
    return v


def _newton(gram: Array, g: Array, mu: Array, rho: Array, start: Array) -> Array:
    """argmin_v 1/2 v^T G v + 1/(2 rho) ||S_mu(g - G v)||^2 for G (b, K, K), g and v (b, K), mu and rho (b, 1)."""
    solutions, open_ = np.zeros(start.shape), np.arange(len(start))
    v, c = start, g - _times(gram, start)
    for _ in range(NEWTON_STEPS):
        signs = np.sign(c) * (np.abs(c) > mu)
        goal = _on_support(gram, g - mu * signs, rho, signs != 0)
        c_goal = g - _times(gram, goal)
        strays = np.where(signs == 0, np.abs(c_goal) - mu, mu - signs * c_goal).max(1, keepdims=True)
        settled = (strays <= TOLERANCE * mu)[:, 0]
        solutions[open_[settled]] = goal[settled]
        if settled.all():
            return solutions
        t = np.ones(mu.shape)
        rises = (_merit(g, goal, c_goal, mu, rho) >= _merit(g, v, c, mu, rho)) & ~settled
        if rises.any():
            t[rises] = _line_search(*(values[rises] for values in (c, c - c_goal, v, goal - v, mu, rho)))
        v, c = v + t * (goal - v), c - t * (c - c_goal)
        open_, gram, g, mu, rho, v, c = (values[~settled] for values in (open_, gram, g, mu, rho, v, c))
    raise FloatingPointError(
        f"the elastic nets of {len(open_)} points did not converge: set a smaller alpha or lambda_"
    )


def _on_support(gram: Array, right: Array, rho: Array, support: Mask) -> Array:
    """v of (G + rho I) v = right within the support of each target, 0 outside. (b, K). The last of the K is none."""
    order = _first(support)
    inside = np.take_along_axis(support, order, 1)
    target = np.arange(len(gram))[:, None]
    k = gram.shape[1]
    order = np.where(inside, order, k - 1)  # the row and column of none are 0
    matrix = gram.reshape(-1).take(((target * k + order) * k)[:, :, None] + order[:, None, :])
    diagonal = np.arange(order.shape[1])
    matrix[:, diagonal, diagonal] += rho
    v = np.zeros(right.shape)
    v[target, order] = np.linalg.solve(matrix, (right[target, order] * inside)[..., None])[..., 0]
    return v


def _merit(g: Array, v: Array, c: Array, mu: Array, rho: Array) -> Array:
    """Twice what Newton's method minimises, of v (b, K) with c = g - G v. (b,)."""
    excess = np.maximum(np.abs(c) - mu, 0)
    return (v * (g - c) + excess**2 / rho).sum(1)


def _line_search(c: Array, fall: Array, v: Array, direction: Array, mu: Array, rho: Array) -> Array:
    """The t in [0, 1] at which Newton's function is least on v + t direction, whose c is c - t fall. (b, 1).

    Its derivative rises, in straight pieces: an entry of c adds fall^2/rho to its slope, but not while it is within
    [-mu, mu], which it enters at one t and leaves at another one.
    """
    adds = fall**2 / rho
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(c - mu) / fall, (c + mu) / fall])
    ends = np.where(fall == 0, 0, ends).clip(0, 1)
    times = np.hstack([ends.min(0), ends.max(0)])
    order = times.argsort(1)
    times = np.take_along_axis(times, order, 1)
    nothing = np.zeros((len(c), 1))
    changes = np.take_along_axis(np.hstack([-adds, adds]), order, 1).cumsum(1)
    slopes = (direction * fall).sum(1, keepdims=True) + adds.sum(1, keepdims=True) + np.hstack([nothing, changes])
    shrunk = np.sign(c) * np.maximum(np.abs(c) - mu, 0)
    first = ((v - shrunk / rho) * fall).sum(1, keepdims=True)
    times = np.hstack([nothing, times])
    derivatives = first + np.hstack([nothing, (slopes[:, :-1] * np.diff(times)).cumsum(1)])
    piece = np.maximum((derivatives < 0).sum(1, keepdims=True) - 1, 0)
    time, derivative, slope = (np.take_along_axis(values, piece, 1) for values in (times, derivatives, slopes))
    return (time - derivative / slope).clip(0, 1)


def _times(matrices: Array, vectors: Array) -> Array:
    """(b, K, K) and (b, K) -> (b, K)."""
    return (matrices @ vectors[..., None])[..., 0]


def _largest(values: Array, limit: Array) -> Indices:
    """Where the rows of values (B, N) are largest, up to a number of them and only above the limit (B,); else -1."""
    sizes = np.abs(values)
    count = min(CANDIDATES, sizes.shape[1])
    found = np.argpartition(sizes, sizes.shape[1] - count, axis=1)[:, -count:]
    return np.where(np.take_along_axis(sizes, found, 1) > limit[:, None], found, -1)


def _with_none(chosen: Indices) -> Indices:
    """Candidates, and at their end one that is none."""
    return np.pad(chosen, ((0, 0), (0, 1)), constant_values=-1)


def _first(mask: Mask) -> Indices:
    """Columns of each row, those in the mask before others: as many as the fullest row has in it, or one."""
    return np.argsort(~mask, axis=1, kind="stable")[:, : mask.sum(1).max(initial=1)]


def _portions(count: int, values: int, most: int) -> Iterator[slice]:
    """Slices of at most so many targets, fewer where arrays with so many values for each of them would be large."""
    size = max(1, min(most, VALUES // values))
    return (slice(start, start + size) for start in range(0, count, size))
