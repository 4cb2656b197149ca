#!/usr/bin/env python3
"""Scores the inputs of `make bench-quality` by other detectors that users would try; writes results.json beside this file.

usage: run.py [--only REGEX] [drain3] [isolation-forest] [half-space-trees] [random-cut-forest]
--only   score these inputs again ("nab" and "traces-latency" are names, too), and keep the other results
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import features
from detectors import half_space_trees, isolation_forest, random_cut_forest

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent.parent / "build" / "quality"
DATA = Path(os.environ.get("QUALITY_DATA", HERE.parent.parent.parent / "shared" / "data"))
SCORERS = HERE.parent / "quality" / "scorers"
RESULTS = HERE / "results.json"
FAULTS = {"latency": "latency", "status": "status", "missing child": "missing-child", "wrong parent": "wrong-parent"}
DENSE_TRAIN = 1000
WINDOW_STEP = 5


def windows(ids, train, size, step):
    """Returns rows of template counts: of the training part's windows, a step apart, then of the judged ones."""
    learned = [features.counts(ids[i : i + size]) for i in range(0, train - size + 1, step)]
    judged = [features.counts(ids[i : i + size]) for i in range(train, len(ids) - size + 1, size)]
    return np.array(learned + judged), len(learned)


class Numbers:
    """A peer that judges rows of numbers."""

    def __init__(self, name, score, words, shingle):
        self.name, self.score, self.words, self.shingle = name, score, words, shingle

    def ranked(self, task, lines):
        train = task["train"]
        if task["format"] == "sequences":
            return self.score(np.array([features.counts(s) for s in features.sessions(lines)]), train)
        templates = features.Templates()
        seen = [templates.add(line) for line in lines]
        if task["window"]:
            rows, learned = windows([i for i, _ in seen], train, task["window"], WINDOW_STEP)
            return self.score(rows, learned)[learned:]
        if self.words:
            return self.score(np.array([features.word_counts(line) for line in lines]), train)
        return self.score(np.array([features.line_numbers(*x) for x in zip(lines, (r for _, r in seen))]), train)

    def nab(self, values):
        probation = min(int(0.15 * len(values)), 750)
        return self.score(features.shingles(values, self.shingle), probation)

    def traces(self, rows):
        return self.score(features.traces(rows), DENSE_TRAIN)


class Drain:
    """Template rarity, for text only."""

    name = "Drain3"

    def ranked(self, task, lines):
        if task["format"] == "sequences":
            counts, total, scores = {}, 0, []
            for events in features.sessions(lines):
                rarity = [-np.log2((counts.get(e, 0) + 0.5) / (total + 1)) for e in events]
                scores.append(max(rarity, default=0))
                for e in events:
                    counts[e] = counts.get(e, 0) + 1
                    total += 1
            return np.array(scores)
        templates = features.Templates()
        rarity = np.array([templates.add(line)[1] for line in lines])
        if not task["window"]:
            return rarity
        size = task["window"]
        return np.array([rarity[i : i + size].max() for i in range(task["train"], len(rarity) - size + 1, size)])

    nab = traces = None


PEERS = {
    "drain3": Drain(),
    "isolation-forest": Numbers("isolation forest", isolation_forest, True, 10),
    "half-space-trees": Numbers("half-space trees", half_space_trees, False, 10),
    "random-cut-forest": Numbers("random cut forest", random_cut_forest, False, 4),
}


def scorer(name, *args):
    out = subprocess.run([sys.executable, SCORERS / name, *map(str, args)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def write(path, scores):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"score": float(s), "flagged": False}) + "\n" for s in scores))


def rank(labels, path, scores, skip):
    write(path, scores)
    result = scorer("rank_score.py", labels, path, "--skip", skip)
    # The peers have no alarms of their own.
    del result["own_alarms"]
    return result


def run(key, peer, only, before):
    out = {"name": peer.name, "ranked": {}, "traces": {}, **before}
    present = [folder.name for folder in sorted((BUILT / "tasks").iterdir())]
    out["ranked"] = {name: result for name, result in out["ranked"].items() if name in present}
    for folder in (BUILT / "tasks" / name for name in present if only.search(name)):
        task = json.loads((folder / "task.json").read_text())
        lines = (folder / "text").read_text().split("\n")[:-1]
        scores = peer.ranked(task, lines)
        skip = 0 if task["window"] else task["train"]
        out["ranked"][task["name"]] = rank(folder / "labels", folder / f"{key}.jsonl", scores, skip)
    if peer.traces:
        for fault, name in FAULTS.items():
            if not only.search(f"traces-{name}"):
                continue
            folder = BUILT / "spans" / name
            with open(folder / "spans.tsv", newline="") as file:
                rows = list(csv.reader(file, delimiter="\t"))
            out["traces"][fault] = rank(folder / "labels", folder / f"{key}.jsonl", peer.traces(rows), DENSE_TRAIN)
    if peer.nab and only.search("nab"):
        nab = DATA / "nab"
        for name in json.loads((nab / "windows.json").read_text()):
            with open(nab / "data" / name, newline="") as file:
                values = np.array([float(row["value"]) for row in csv.DictReader(file)])
            write(BUILT / "nab" / key / f"{name[:-4]}.jsonl", features.standard(peer.nab(values)))
        out["nab"] = scorer("nab_score.py", nab / "windows.json", nab / "data", BUILT / "nab" / key)["nab_standard"]
    return out


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--only", type=re.compile)
    parser.add_argument("peers", nargs="*")
    args = parser.parse_args()
    unknown = [name for name in args.peers if name not in PEERS]
    if unknown:
        parser.error(f"no peer is called {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if not (BUILT / "tasks").is_dir():
        sys.exit(f"there is no {BUILT / 'tasks'}: run make bench-quality first")
    results = {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    for key, peer in PEERS.items():
        if args.peers and key not in args.peers:
            continue
        print(peer.name, file=sys.stderr, flush=True)
        before = results.get(peer.name, {}) if args.only else {}
        results[peer.name] = run(key, peer, args.only or re.compile(""), before)
        ordered = [results[p.name] for p in PEERS.values() if p.name in results]
        RESULTS.write_text(json.dumps(ordered, indent=2) + "\n")


if __name__ == "__main__":
    main()
