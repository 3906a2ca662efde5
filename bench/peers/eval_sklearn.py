#!/usr/bin/python3
"""The evaluators alone against scikit-learn and scipy: same vectors (drawn from the same RandomState),
same work, one run in turns, medians. Prints one row a case: seconds of both, the ratio, both scores.

    apt-get install python3-numpy python3-scipy python3-sklearn libopenblas0-openmp
    bench/peers/eval_sklearn.py BUILD/bench/eval_bench [--threads 2] [--runs 5] [--vectors FOLDER] \\
        [classify cluster metrics rank retrieve]

A folder of vectors, NAME.npy with a number of a class in each line of NAME.txt, gives cases "cluster NAME".

scikit-learn here is Debian's (1.2.1), whose logistic regression is the sum form. The mean form of later
releases is the same fit with scikit-learn's own loss, scaled, in scipy's L-BFGS-B with their options.
OpenBLAS chooses its own kernels: OPENBLAS_CORETYPE is emptied. On a busy machine read cpu_ratio with
--threads 1.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import time

ARGS = argparse.ArgumentParser()
ARGS.add_argument("bench")
ARGS.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
ARGS.add_argument("--runs", type=int, default=5)
ARGS.add_argument("--vectors")
ARGS.add_argument("cases", nargs="*", default=[])

if __name__ == "__main__":
    OPTIONS = ARGS.parse_intermixed_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(OPTIONS.threads)  # before numpy loads OpenBLAS
    os.environ["OPENBLAS_CORETYPE"] = ""

import warnings  # noqa: E402

import numpy as np  # noqa: E402
import scipy.optimize  # noqa: E402
import scipy.stats  # noqa: E402
import sklearn  # noqa: E402
from sklearn import metrics  # noqa: E402
from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss  # noqa: E402
from sklearn.cluster import MiniBatchKMeans  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.linear_model._linear_loss import LinearModelLoss  # noqa: E402

warnings.filterwarnings("ignore")


def make(seed, rows, dims, classes, shift):
    x = np.random.RandomState(seed).random_sample((rows, dims)) - 0.5
    labels = np.arange(rows) % classes
    x[np.arange(dims)[None, :] % classes == labels[:, None]] += shift
    return (x * np.sqrt(12.0 / dims)).astype(np.float32), labels


class MeanForm:
    """LogisticRegression as of 1.4: mean loss, penalty / n, tighter ftol, 50 line-search steps."""

    def fit(self, x, y):
        x = x.astype(np.float64)
        self.classes_, y = np.unique(y, return_inverse=True)
        n, k = len(y), len(self.classes_)
        self.binary = k == 2
        base = HalfBinomialLoss() if self.binary else HalfMultinomialLoss(n_classes=k)
        loss = LinearModelLoss(base_loss=base, fit_intercept=True)
        target = y.astype(np.float64)

        def objective(w):
            value, gradient = loss.loss_gradient(w, x, target, None, 1.0, 1)
            return value / n, gradient / n

        size = x.shape[1] + 1
        found = scipy.optimize.minimize(
            objective, np.zeros(size * (1 if self.binary else k)), method="L-BFGS-B", jac=True,
            options={"maxiter": 100, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps})
        w = found.x.reshape((1 if self.binary else k, size), order="F")
        self.coef, self.intercept = w[:, :-1], w[:, -1]
        return self

    def predict(self, x):
        z = x @ self.coef.T + self.intercept
        return self.classes_[(z[:, 0] > 0).astype(int) if self.binary else z.argmax(axis=1)]


def undersample(labels, per_label, order):
    """mteb's walk: a list shuffled by a fresh RandomState(42), labels counted in a dict."""
    np.random.RandomState(42).shuffle(order)
    counts, kept = {}, []
    for i in order:
        if counts.get(labels[i], 0) < per_label:
            counts[labels[i]] = counts.get(labels[i], 0) + 1
            kept.append(i)
    return kept


def classify(train, test, per_label, model):
    order, labels, scores = list(range(len(train[1]))), train[1].tolist(), []
    for _ in range(10):
        rows = undersample(labels, per_label, order)
        predicted = model().fit(train[0][rows], train[1][rows]).predict(test[0])
        t = test[1]
        scores.append(metrics.accuracy_score(t, predicted))
        for f in (metrics.f1_score, metrics.precision_score, metrics.recall_score):
            f(t, predicted, average="macro")
            f(t, predicted, average="weighted")
        if len(np.unique(t)) == 2:
            metrics.average_precision_score(t, predicted, average="macro")
            metrics.average_precision_score(t, predicted, average="weighted")
    return np.mean(scores)


def plain_ranking(runs, qrels, cutoffs=(1, 3, 5, 10, 20, 100, 1000)):
    """What pytrec_eval and mteb compute, in numpy where that helps; mean ndcg@10."""
    out = {k: [] for k in cutoffs}
    discounts = 1 / np.log2(np.arange(2, 1002))
    for run, judged in zip(runs, qrels):
        ids = [i for _, i in sorted(((s, i) for i, s in run.items()), reverse=True)[:1000]]
        gains = np.fromiter((judged.get(i, 0) for i in ids), np.float64, len(ids))
        hits = np.cumsum(gains > 0)
        precision = hits / np.arange(1, len(ids) + 1)
        ideal = np.sort(np.fromiter(judged.values(), np.float64))[::-1]
        first = np.argmax(gains > 0)
        for k in cutoffs:
            best = (ideal[:k] * discounts[: min(k, len(ideal))]).sum()
            out[k].append((
                (gains[:k] * discounts[: len(gains[:k])]).sum() / best,
                (precision[:k] * (gains[:k] > 0)).sum() / len(ideal), hits[:k][-1] / len(ideal),
                hits[:k][-1] / k, float(hits[:k][-1] > 0), 1 / (first + 1) if hits[-1] and first < k else 0))
    return np.mean([row[0] for row in out[10]])


def retrieve(documents, queries, relevant, depth=1000, cutoffs=(1, 3, 5, 10, 20, 100, 1000), block=500):
    """Products in blocks, the best of each row, and the measures of a whole block at once; mean ndcg@10."""
    n, judged, out = len(documents), relevant.shape[1], {k: [] for k in cutoffs}
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    for begin in range(0, len(queries), block):
        scores = queries[begin: begin + block] @ documents.T
        top = np.argpartition(scores, n - depth, axis=1)[:, n - depth:]
        found = np.take_along_axis(scores, top, axis=1)
        top = np.take_along_axis(top, np.argsort(-found, axis=1), axis=1)
        hit = np.zeros(top.shape, bool)
        for j in range(judged):
            hit |= top == relevant[begin: begin + block, j: j + 1]
        hits = np.cumsum(hit, axis=1)
        precision = hits / np.arange(1, depth + 1)
        first = np.where(hits[:, -1] > 0, np.argmax(hit, axis=1), depth)
        for k in cutoffs:
            out[k].append(np.stack([
                hit[:, :k] @ discounts[:k] / discounts[: min(k, judged)].sum(),
                (precision[:, :k] * hit[:, :k]).sum(axis=1) / judged, hits[:, k - 1] / judged,
                hits[:, k - 1] / k, hits[:, k - 1] > 0, np.where(first < k, 1 / (first + 1), 0)]))
    return np.mean(np.concatenate(out[10], axis=1)[0])


def cluster(x, labels, clusters, batch):
    return metrics.v_measure_score(labels, MiniBatchKMeans(
        n_clusters=clusters, batch_size=batch, n_init=1, random_state=42).fit(x).labels_)


def cases(wanted):
    """Yields (name, work); the same names as in eval_bench.cc."""
    want = lambda group: not wanted or any(word.split()[0].rstrip(":") == group for word in wanted)
    for name, train, test, dims, classes, per_label, shift in (
            ("classify 77 labels x 8, 384 dims, 3080 test rows", 10003, 3080, 384, 77, 8, 0.8),
            ("classify 15 labels x 32, 512 dims, 10000 test rows", 53360, 10000, 512, 15, 32, 0.15),
            ("classify 2 labels x 32, 512 dims, 1000 test rows", 8000, 1000, 512, 2, 32, 0.03),
            ("classify 2 labels x 8, 384 dims, 25000 test rows", 25000, 25000, 384, 2, 8, 0.03)):
        if want("classify"):
            a, b = make(1, train, dims, classes, shift), make(2, test, dims, classes, shift)
            old = lambda: LogisticRegression(max_iter=100, random_state=42)
            yield name + ", sum form", lambda: classify(a, b, per_label, old)
            yield name + ", mean form", lambda: classify(a, b, per_label, MeanForm)
    for name, rows, dims, clusters, batch, shift in (
            ("cluster 10000 rows, 13 clusters, 512 dims", 10000, 512, 13, 500, 0.2),
            ("cluster 7500 rows, 26 clusters, 384 dims", 7500, 384, 26, 500, 0.3),
            ("cluster 23000 rows, 100 clusters, 384 dims", 23000, 384, 100, 500, 0.6),
            ("cluster 16384 rows, 120 clusters, 768 dims", 16384, 768, 120, 512, 0.5)):
        if want("cluster"):
            x, t = make(3, rows, dims, clusters, shift)
            yield name, lambda: cluster(x, t, clusters, batch)
    for path in sorted(glob.glob(f"{OPTIONS.vectors}/*.npy")) if OPTIONS.vectors and want("cluster") else []:
        x, t = np.load(path), np.loadtxt(path[:-3] + "txt", dtype=int)
        yield "cluster " + os.path.basename(path)[:-4], lambda: cluster(x, t, len(set(t)), 500)
    if want("metrics"):
        u = np.random.RandomState(4).random_sample((20000, 2))
        x, y = u[:, 0], np.floor((u[:, 0] + u[:, 1]) * 5)
        yield "metrics: spearman of 20000 pairs", lambda: scipy.stats.spearmanr(x, y)[0]
        yield "metrics: average precision of 20000 pairs", lambda: metrics.average_precision_score(y > 5, x)
        yield "metrics: adjusted mutual information of 20000 rows", lambda: metrics.adjusted_mutual_info_score(
            y.astype(int), (x * 10).astype(int))
    if want("rank"):
        rng = np.random.RandomState(5)
        ids = [f"doc{d}" for d in range(100000)]
        runs, qrels = [], []
        for _ in range(2000):
            first = rng.randint(0, len(ids) - 10000)
            scores = np.floor(rng.random_sample(1000) * 5000) / 5000
            scores = scores.astype(np.float32).tolist()
            runs.append({ids[first + 7 * d]: s for d, s in enumerate(scores)})
            qrels.append({ids[first + 91 * j]: 1 for j in range(5)})
        yield "rank 2000 queries x 1000 documents", lambda: plain_ranking(runs, qrels)
    for name, rows, count, dims in (
            ("retrieve 10000 documents, 1000 queries, 256 dims", 10000, 1000, 256),
            ("retrieve 100000 documents, 10000 queries, 512 dims", 100000, 10000, 512)):
        if want("retrieve"):
            documents, queries = make(6, rows, dims, 1, 0)[0], make(7, count, dims, 1, 0)[0]
            queries += np.float32(0.3) * documents[: count * 10: 10]
            relevant = np.arange(count)[:, None] * 10 + np.arange(5)
            yield name, lambda: retrieve(documents, queries, relevant)


def main():
    print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, {OPTIONS.threads} threads, "
          f"OpenBLAS {os.environ.get('OPENBLAS_CORETYPE', 'own choice')}", file=sys.stderr)
    command = [OPTIONS.bench, "--threads", str(OPTIONS.threads)]
    command += ["--vectors", OPTIONS.vectors] if OPTIONS.vectors else []
    median = lambda values: sorted(values)[len(values) // 2]
    for name, work in cases(OPTIONS.cases):
        if OPTIONS.cases and not any(name.startswith(word) for word in OPTIONS.cases):
            continue
        mine, times, cpu = [], [], []
        for _ in range(OPTIONS.runs):  # in turns
            time.sleep(0.3)  # until the peer's threads have stopped spinning for more work
            # The peer's process is warm after its first turn, akin's a new one each: five runs, the median.
            lines = subprocess.run(command + ["--runs", "5", name], check=True, capture_output=True, text=True)
            mine.append(json.loads(lines.stdout.splitlines()[0]))
            start, cpu_start = time.perf_counter(), time.process_time()
            score = work()
            times.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
        seconds, theirs = median([row["seconds"] for row in mine]), median(times)
        cpu_ratio = median(cpu) / median([row["cpu_seconds"] for row in mine])
        print(json.dumps({"case": name, "akin_s": seconds, "peer_s": round(theirs, 6),
                          "ratio": round(theirs / seconds, 1), "cpu_ratio": round(cpu_ratio, 1),
                          "akin_score": mine[0]["score"], "peer_score": round(float(score), 9), "n": OPTIONS.runs,
                          "akin_spread": [min(row["seconds"] for row in mine), max(row["seconds"] for row in mine)],
                          "peer_spread": [round(min(times), 6), round(max(times), 6)],
                          "threads": OPTIONS.threads, "isa": mine[0]["isa"]}), flush=True)


if __name__ == "__main__":
    main()
