"""The input of the peers: numbers computed from lines, windows, sessions, values and traces."""

import re
import zlib
from math import log, log2

import numpy as np
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig

COLUMNS = 32


class Templates:
    """Drain3 with its default settings, without look-ahead."""

    def __init__(self):
        config = TemplateMinerConfig()
        config.profiling_enabled = False
        self.miner = TemplateMiner(config=config)
        self.counts, self.lines = {}, 0

    def add(self, line):
        """Returns the template id of the line and its rarity in bits, given the lines before."""
        cluster = self.miner.add_log_message(line)["cluster_id"]
        rarity = -log2((self.counts.get(cluster, 0) + 0.5) / (self.lines + 1))
        self.counts[cluster] = self.counts.get(cluster, 0) + 1
        self.lines += 1
        return cluster, rarity


def column(word):
    return zlib.crc32(word.encode()) % COLUMNS


def word_counts(line):
    """Hashes words with digits masked into columns."""
    out = np.zeros(COLUMNS)
    for word in line.split():
        out[column(re.sub(r"\d+", "0", word))] += 1
    return out


def line_numbers(line, rarity):
    digits = sum(c.isdigit() for c in line)
    return np.array([len(line), len(line.split()), digits / max(1, len(line)), rarity])


def counts(ids):
    out = np.zeros(COLUMNS)
    for i in ids:
        out[column(str(i))] += 1
    return out


def sessions(lines):
    return [line.split(",", 1)[-1].split() for line in lines]


def shingles(values, width):
    """Returns each value with the ones before it; the first is repeated in front."""
    padded = np.concatenate([np.full(width - 1, values[0]), values])
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def traces(rows):
    """(trace, name, kind, ms, status, root) -> one row per trace: count and duration per operation, and all errors."""
    names = sorted({name for _, name, *_ in rows})
    out = np.zeros((int(rows[-1][0]) + 1, 2 * len(names) + 1))
    for trace, name, _, ms, status, _ in rows:
        row, at = out[int(trace)], names.index(name)
        row[at] += 1
        row[len(names) + at] = max(row[len(names) + at], log(1 + float(ms)))
        row[-1] += status != ""
    return out


def standard(scores):
    """Returns standard deviations above the mean of the scores before: NAB has one threshold for all files, but forests
    have no common scale."""
    n = np.arange(1, len(scores) + 1)
    mean = np.cumsum(scores) / n
    deviation = np.sqrt(np.maximum(np.cumsum(np.square(scores)) / n - mean**2, 1e-12))
    out = np.zeros(len(scores))
    out[1:] = (scores[1:] - mean[:-1]) / deviation[:-1]
    return out
