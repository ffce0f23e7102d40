"""R-graph: points whose outliers are known, walks by hand, and what scores may not depend on."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from sklearn.linear_model import ElasticNet
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines.rgraph import RGraph, time_spent
from tests.baselines.synthetic import case


def rgraph(alpha: float = 10.0, steps: int = 1000) -> RGraph:
    return RGraph(alpha=alpha, lambda_=0.95, steps=steps)


@pytest.mark.parametrize(
    ("name", "alpha", "seeds", "auroc", "within"),
    [
        ("A", 5, 5, 1, 0.01),
        ("A", 10, 5, 1, 0.01),
        ("A", 50, 3, 1, 0.01),
        ("B", 5, 5, 1, 0.01),
        ("B", 10, 5, 1, 0.01),
        ("B", 50, 2, 1, 0.01),
        ("C", 5, 3, 1, 0.01),
        ("C", 10, 2, 1, 0.01),
        ("C", 50, 1, 1, 0.01),
        ("D", 5, 3, 1, 0.01),
        ("D", 10, 3, 0.931, 0.03),
        ("D", 50, 1, 0.0005, 0.01),  # the order turns round
        ("E", 5, 3, 1, 0.01),
        ("E", 10, 2, 1, 0.01),
        ("E", 50, 1, 1, 0.01),
    ],
)
def test_outliers_are_found_where_they_must_be(
    name: str, alpha: float, seeds: int, auroc: float, within: float
) -> None:
    found = []
    for seed in range(seeds):
        points, labels = case(name, seed)
        found.append(roc_auc_score(labels, rgraph(alpha).fit(points).own_scores))
    assert np.mean(found) == pytest.approx(auroc, abs=within)


def test_the_walk_by_hand() -> None:
    # 0 and 1 go to each other, which has no limit but an average; 2 goes to 0 for a quarter and to 1 for the rest
    r = csr_matrix([[0.0, -2.0, 0.0], [0.1, 0.0, 0.0], [0.2, -0.6, 0.0]])
    first = np.array([1 / 3 + 1 / 12, 1 / 3 + 1 / 4, 0])
    np.testing.assert_allclose(time_spent(r, 1), first)
    np.testing.assert_allclose(time_spent(r, 2), (first + first[[1, 0, 2]]) / 2)
    np.testing.assert_allclose(time_spent(r, 1000), [0.5, 0.5, 0])


def test_the_walk_goes_on_anywhere_from_what_nothing_represents() -> None:
    r = csr_matrix([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(time_spent(r, 1), [4 / 9, 4 / 9, 1 / 9])
    assert time_spent(r, 1000)[2] == pytest.approx((1 / 1000) * (1 / 3) * 0.5, rel=1e-6)
    np.testing.assert_allclose(time_spent(csr_matrix((4, 4)), 10), np.full(4, 0.25))


def test_scores_are_shares_of_time() -> None:
    points, _ = case("A", 0)
    fitted = rgraph().fit(np.concatenate([points, np.zeros((2, 50))]))
    assert fitted.pi_bar.sum() == pytest.approx(1, abs=1e-12)
    assert (fitted.pi_bar >= 0).all()
    assert fitted.own_scores.mean() == pytest.approx(-1)
    np.testing.assert_allclose(fitted.own_scores, -302 * fitted.pi_bar)


def test_neither_rotation_nor_length_nor_unused_dimensions_matter() -> None:
    points, _ = case("A", 1)
    generator = np.random.default_rng(0)
    scores = rgraph().fit(points).own_scores
    rotation = np.linalg.qr(generator.standard_normal((50, 50)))[0]
    lengths = generator.uniform(0.1, 9, (len(points), 1))
    np.testing.assert_allclose(rgraph().fit(lengths * points @ rotation).own_scores, scores, rtol=1e-8)
    wider = np.linalg.qr(generator.standard_normal((700, 50)))[0]  # more dimensions than points, same column space
    np.testing.assert_allclose(rgraph().fit(points @ wider.T).own_scores, scores, rtol=1e-8)


def test_order_of_points_does_not_matter() -> None:
    points, _ = case("A", 2)
    order = np.random.default_rng(0).permutation(len(points))
    np.testing.assert_allclose(
        rgraph().fit(points[order]).own_scores, rgraph().fit(points).own_scores[order], rtol=1e-8
    )


@pytest.mark.parametrize("name", "ABCDE")
@pytest.mark.parametrize("alpha", [5.0, 10.0])
def test_new_points_are_told_apart(name: str, alpha: float) -> None:
    points, labels = case(name, 0)
    fitted = rgraph(alpha).fit(points[::2])
    assert roc_auc_score(labels[1::4], fitted.anomaly_score(points[1::4])) > 0.99


def test_inliers_alone_suffice_to_tell_new_points_apart() -> None:
    points, labels = case("B", 1)
    inliers = points[labels == 0]
    scores = rgraph().fit(inliers[::2]).anomaly_score(np.concatenate([inliers[1::2], points[labels == 1]]))
    n = len(inliers[1::2])
    assert scores[:n].max() < scores[n:].min()


def test_new_images_are_told_apart() -> None:
    """Real points are not orthogonal to each other."""
    digits = load_digits()
    of_kind = digits.target == 3
    fitted = rgraph().fit(digits.data[of_kind][:90])
    new = np.concatenate([digits.data[of_kind][90:130], digits.data[~of_kind][:80]])
    assert roc_auc_score([0] * 40 + [1] * 80, fitted.anomaly_score(new)) > 0.9


def test_a_new_point_scores_by_what_its_representation_costs() -> None:
    points, lambda_ = case("B", 0)[0][::8], 0.95
    new = points[7]
    others = np.delete(points, 7, axis=0)
    gamma = 10 * lambda_ / np.abs(others @ new).max()
    net = ElasticNet(alpha=1 / (gamma * 50), l1_ratio=lambda_, fit_intercept=False, tol=1e-12, max_iter=10**6)
    r = net.fit(others.T, new).coef_
    cost = lambda_ * np.abs(r).sum() + (1 - lambda_) / 2 * r @ r + gamma / 2 * np.sum((new - r @ others) ** 2)
    assert rgraph().fit(others).anomaly_score(new[None])[0] == pytest.approx(cost, rel=1e-8)


def test_a_score_has_the_same_bits_in_any_block() -> None:
    points, _ = case("D", 0)
    fitted = rgraph().fit(points[::3])
    new, generator = points[1::60], np.random.default_rng(0)
    blocks = [generator.standard_normal((16, 50)) for _ in range(2)]
    for block, place in zip(blocks, (0, 5), strict=True):
        block[place : place + len(new)] = new
    scores = [
        fitted.anomaly_score(block)[place : place + len(new)] for block, place in zip(blocks, (0, 5), strict=True)
    ]
    assert scores[0].tolist() == scores[1].tolist()
    assert len(set(scores[0])) == len(new)


def test_what_nothing_represents_scores_highest() -> None:
    points, _ = case("A", 0)
    fitted = rgraph().fit(np.pad(points, ((0, 0), (0, 1))))
    odd = np.zeros((2, 51))
    odd[0, 50] = 1
    scores = fitted.anomaly_score(np.vstack([odd, np.pad(points[::10], ((0, 0), (0, 1)))]))
    assert scores[0] == scores[1] > scores[2:].max()


def test_two_points_and_duplicates() -> None:
    np.testing.assert_allclose(rgraph().fit(np.array([[1.0, 0.2], [0.5, 1.0]])).own_scores, [-1, -1])
    np.testing.assert_allclose(rgraph().fit(np.ones((2, 3))).own_scores, [-1, -1])
    np.testing.assert_allclose(rgraph().fit(np.eye(3)).own_scores, [-1, -1, -1])  # nothing represents anything
    pairs = rgraph().fit(np.repeat(case("A", 0)[0][::10], 2, axis=0)).own_scores.reshape(-1, 2)
    np.testing.assert_allclose(pairs[:, 0], pairs[:, 1], rtol=1e-8)


def test_state_round_trip() -> None:
    points, _ = case("A", 0)
    fitted, other = rgraph().fit(points), rgraph()
    assert other.state() == {}
    other.load_state(fitted.state())
    new = case("A", 5)[0][::50]
    assert other.anomaly_score(new).tolist() == fitted.anomaly_score(new).tolist()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alpha": 1}, "model.baseline.alpha=1 must be a finite number, above 1"),
        ({"lambda_": 1}, r"model.baseline.lambda_=1 must lie in \(0, 1\)"),
        ({"lambda_": 0.0}, r"model.baseline.lambda_=0.0 must lie in \(0, 1\)"),
        ({"steps": 0}, "model.baseline.steps=0 must be a whole number, 1 or more"),
    ],
)
def test_wrong_numbers_are_refused(changed: dict[str, float], words: str) -> None:
    arguments: dict[str, float] = {"alpha": 10, "lambda_": 0.95, "steps": 1000}
    with pytest.raises(ValueError, match=words):
        RGraph(**(arguments | changed))  # type: ignore[arg-type]
