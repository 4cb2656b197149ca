"""The peers, each with the initial settings of its documentation: rows of numbers in order -> one score per row."""

import numpy as np
import rrcf
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest

SEED = 42


def isolation_forest(rows, train):
    return -IsolationForest(random_state=SEED).fit(rows[:train]).score_samples(rows)


def half_space_trees(rows, train):
    """Needs numbers from 0 to 1: rows are scaled by the range of the training part, and clipped."""
    low, high = rows[:train].min(axis=0), rows[:train].max(axis=0)
    scaled = np.clip((rows - low) / np.where(high > low, high - low, 1), 0, 1)
    trees = HalfSpaceTrees(seed=SEED, window_size=min(250, train))
    scores = []
    for row in scaled:
        point = dict(enumerate(row.tolist()))
        scores.append(trees.score_one(point))
        trees.learn_one(point)
    return np.array(scores)


def random_cut_forest(rows, train, trees=20, size=128):
    """Streams as in rrcf's documentation, with half its trees and points to save time."""
    np.random.seed(SEED)
    # Equal points make trees that cannot be cut: a little noise separates them.
    spread = rows[:train].std(axis=0)
    rows = rows + np.random.normal(0, 1e-6, rows.shape) * np.where(spread > 0, spread, 1)
    forest = [rrcf.RCTree() for _ in range(trees)]
    scores = np.zeros(len(rows))
    for i, row in enumerate(rows):
        total = 0.0
        for tree in forest:
            if len(tree.leaves) >= size:
                tree.forget_point(i - size)
            tree.insert_point(row, index=i)
            total += tree.codisp(i)
        scores[i] = total / trees
    return scores
