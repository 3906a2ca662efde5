#!/usr/bin/python3
"""Writes tests/goldens/eval_{streams,metrics,fits}.json: what numpy, CPython, scipy and scikit-learn
compute for the evaluators of src/eval. Not needed to build or test. Inputs are not stored: both sides
draw them from numpy's RandomState, which src/eval/rng.h reproduces (see `column` below).

    apt-get install python3-numpy python3-scipy python3-sklearn
    tools/make_eval_goldens.py [--vectors mteb_rng_vectors.json] tests/goldens
"""
import argparse
import json
import math
import pathlib
import random
import warnings

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
import sklearn
import sklearn.cluster
import sklearn.linear_model
import sklearn.metrics as metrics

warnings.filterwarnings("ignore")


def column(seed, n, levels=0, scale=1.0, offset=0.0):
    """n doubles: uniform draws of RandomState(seed), cut into `levels` whole numbers if not 0."""
    u = np.random.RandomState(seed).random_sample(n)
    return offset + scale * (np.floor(u * levels) if levels else u)


def spec(seed, n, levels=0, scale=1.0, offset=0.0):
    return {"seed": seed, "n": n, "levels": levels, "scale": scale, "offset": offset}


def values(s):
    return column(**s)


def number(x):
    return None if x is None or math.isnan(x) else float(x)


# ---- random streams and splits


def approximate_mode(counts, draws, rng):
    share = draws * counts / counts.sum()
    floored = np.floor(share)
    need = int(draws - floored.sum())
    remainder = share - floored
    for value in np.sort(np.unique(remainder))[::-1] if need > 0 else []:
        tied = np.where(remainder == value)[0]
        add = min(len(tied), need)
        floored[rng.choice(tied, size=add, replace=False)] += 1
        need -= add
        if need == 0:
            break
    return floored.astype(int)


def stratified(labels, test_rows, seed):
    rng = np.random.default_rng(seed)
    _, ids = np.unique(labels, return_inverse=True)
    counts = np.bincount(ids)
    by_class = np.split(np.argsort(ids, kind="stable"), np.cumsum(counts)[:-1])
    train_counts = approximate_mode(counts, len(labels) - test_rows, rng)
    test_counts = approximate_mode(counts - train_counts, test_rows, rng)
    train, test = [], []
    for c, rows in enumerate(by_class):
        order = rows[rng.permutation(counts[c])]
        train.extend(order[: train_counts[c]])
        test.extend(order[train_counts[c] : train_counts[c] + test_counts[c]])
    return rng.permutation(train).tolist(), rng.permutation(test).tolist()


def streams(vectors):
    out = {"vectors": vectors}
    draws = out["draws"] = []
    for seed in (0, 1, 42, 123456789, 2**32 - 1, 2**40 + 7):
        g = np.random.default_rng(seed)
        row = {"seed": seed, "pcg_u64": [str(v) for v in g.bit_generator.random_raw(3)]}
        row["pcg_real"] = float(g.random())
        row["pcg_permutation"] = g.permutation(23).tolist()
        row["pcg_choice_floyd"] = g.choice(5000, 12, replace=False).tolist()
        row["pcg_choice_tail"] = g.choice(10500, 300, replace=False).tolist()
        p = random.Random(seed)
        row["python_real"] = p.random()
        row["python_sample"] = p.sample(range(100000), 40)
        row["python_pool"] = p.sample(range(50), 30)
        row["python_choices"] = p.choices(range(12345), k=20)
        order = list(range(31))
        p.shuffle(order)
        row["python_shuffle"] = order
        if seed < 2**32:
            r = np.random.RandomState(seed)
            row["numpy_real"] = r.random_sample(3).tolist()
            row["numpy_randint"] = r.randint(0, 1000003, 20).tolist()
            row["numpy_one"] = [int(r.randint(n)) for n in (1, 2, 7, 1 << 20)]
            row["numpy_permutation"] = r.permutation(29).tolist()
            row["numpy_choice"] = r.choice(100, 9, replace=False).tolist()
            weights = np.arange(1, 11) / 55
            row["numpy_weighted"] = r.choice(10, 25, p=weights).tolist()
        draws.append(row)
    splits = out["splits"] = []
    for seed, n, levels, test in ((42, 40, 3, 7), (42, 1000, 17, 130), (7, 500, 40, 60), (42, 64, 2, 32)):
        s = spec(seed + n, n, levels)
        train, chosen = stratified(values(s).astype(int), test, seed)
        order = np.random.default_rng(seed).permutation(n)
        splits.append({"seed": seed, "test_rows": test, "labels": s, "train": train, "test": chosen,
                       "plain_train": order[test:].tolist(), "plain_test": order[:test].tolist()})
    return out


# ---- metrics


def correlations():
    pairs = [
        ("random", spec(1, 200), spec(2, 200)),
        ("ties", spec(3, 300, 5), spec(4, 300, 7)),
        ("one side tied", spec(5, 100, 2), spec(6, 100)),
        ("equal sides", spec(7, 50), spec(7, 50, 0, 3.0, 1.0)),
        ("opposite sides", spec(7, 50), spec(7, 50, 0, -2.0, 1.0)),
        ("constant", spec(8, 20, 1), spec(9, 20)),
        ("two points", spec(10, 2), spec(11, 2)),
        ("three points", spec(12, 3), spec(13, 3)),
        ("large offset", spec(14, 400, 0, 1.0, 1e6), spec(15, 400)),
        ("tiny scale", spec(16, 60, 0, 1e-150), spec(17, 60)),
        ("large", spec(18, 5000, 100), spec(19, 5000, 100)),
    ]
    out = []
    for name, x, y in pairs:
        a, b = values(x), values(y)
        if name == "large":
            b = b + a
            y = dict(y, plus_first=True)
        p, s = scipy.stats.pearsonr(a, b), scipy.stats.spearmanr(a, b)
        out.append({"name": name, "x": x, "y": y, "pearson": [number(p[0]), number(p[1])],
                    "spearman": [number(s[0]), number(s[1])]})
    return out


def sweep(labels, scores, high):
    """The best accuracy and F1 by the sweep of mteb's pair classification."""
    rows = sorted(zip(scores, labels), key=lambda r: r[0], reverse=high)
    n, positives = len(rows), int(sum(labels))
    best_accuracy, best_f1, precision, recall = 0.0, 0.0, 0.0, 0.0
    hits, negatives = 0, n - positives
    for i in range(n - 1):
        hits += rows[i][1] == 1
        negatives -= rows[i][1] != 1
        best_accuracy = max(best_accuracy, (hits + negatives) / n)
        if hits:
            p, r = hits / (i + 1), hits / positives
            if 2 * p * r / (p + r) > best_f1:
                best_f1, precision, recall = 2 * p * r / (p + r), p, r
    return {"accuracy": best_accuracy, "f1": best_f1, "precision": precision, "recall": recall}


def pair_scores():
    cases = [
        ("random", spec(21, 300, 2), spec(22, 300)),
        ("ties", spec(23, 300, 2), spec(24, 300, 6)),
        ("all equal", spec(25, 50, 2), spec(26, 50, 1)),
        ("no positive", spec(27, 40, 1), spec(28, 40)),
        ("all positive", spec(29, 40, 1, 1.0, 1.0), spec(30, 40, 4)),
        ("one row", spec(31, 1, 1, 1.0, 1.0), spec(32, 1)),
        ("two values", spec(33, 200, 2), spec(34, 200, 2)),
    ]
    out = []
    for name, labels, scores in cases:
        y, s = values(labels).astype(int), values(scores)
        out.append({"name": name, "labels": labels, "scores": scores,
                    "ap": float(metrics.average_precision_score(y, s)),
                    "ap_low": float(metrics.average_precision_score(y, -s)),
                    "high": sweep(y, s, True), "low": sweep(y, s, False)})
    return out


def classification():
    cases = [
        ("binary", spec(41, 400, 2), spec(42, 400, 2)),
        ("ten labels", spec(43, 500, 10), spec(44, 500, 10)),
        ("labels never predicted", spec(45, 100, 6), spec(46, 100, 2)),
        ("labels not in truth", spec(47, 100, 2), spec(48, 100, 5)),
        ("one label", spec(49, 30, 1), spec(50, 30, 1)),
        ("all wrong", spec(51, 30, 3), spec(51, 30, 3, 1.0, 10.0)),
        ("all right", spec(52, 90, 4), spec(52, 90, 4)),
        ("negative labels", spec(53, 90, 4, 1.0, -2.0), spec(54, 90, 4, 1.0, -2.0)),
    ]
    out = []
    for name, truth, predicted in cases:
        t, p = values(truth).astype(int), values(predicted).astype(int)
        row = {"name": name, "truth": truth, "predicted": predicted,
               "accuracy": metrics.accuracy_score(t, p)}
        for key, f in (("f1", metrics.f1_score), ("precision", metrics.precision_score),
                       ("recall", metrics.recall_score)):
            row[key] = float(f(t, p, average="macro"))
            row[key + "_weighted"] = float(f(t, p, average="weighted"))
        row["ap"] = float(metrics.average_precision_score(t, p)) if len(set(t)) == 2 else None
        out.append(row)
    return out


def multilabel():
    out = []
    for name, rows, labels, truth_levels, predicted_levels in (
            ("sparse", 60, 8, 4, 4), ("dense", 50, 5, 2, 2), ("none predicted", 20, 6, 3, 1),
            ("one label", 30, 1, 2, 2)):
        t, p = spec(61 + rows, rows * labels, truth_levels), spec(62 + rows, rows * labels, predicted_levels)
        truth = (values(t) == truth_levels - 1).reshape(rows, labels).astype(int)
        predicted = (values(p) == 1).reshape(rows, labels).astype(int)
        s = spec(63 + rows, rows * labels, 4)
        both, either = (truth & predicted).sum(1), (truth | predicted).sum(1)
        case = {"name": name, "rows": rows, "columns": labels, "truth": t, "predicted": p, "scores": s,
                "accuracy": float((truth == predicted).all(1).mean()),
                "jaccard": float(np.where(either == 0, 1, both / np.maximum(either, 1)).mean())}
        if labels > 1:
            case["f1"] = float(metrics.f1_score(truth, predicted, average="macro"))
            case["lrap"] = float(metrics.label_ranking_average_precision_score(truth, predicted))
            case["lrap_scores"] = float(metrics.label_ranking_average_precision_score(
                truth, values(s).reshape(rows, labels)))
        out.append(case)
    return out


def clustering():
    cases = [
        ("random", spec(81, 400, 7), spec(82, 400, 5)),
        ("equal", spec(83, 200, 6), spec(83, 200, 6)),
        ("one cluster", spec(84, 100, 4), spec(85, 100, 1)),
        ("one class", spec(86, 100, 1), spec(87, 100, 4)),
        ("both one", spec(88, 50, 1), spec(89, 50, 1)),
        ("every row its own", spec(90, 60, 100000), spec(91, 60, 100000)),
        ("every row its own cluster", spec(92, 300, 3), spec(93, 300, 1000000)),
        ("many", spec(94, 5000, 120), spec(95, 5000, 130)),
        ("one row", spec(96, 1, 3), spec(97, 1, 3)),
    ]
    out = []
    for name, truth, predicted in cases:
        t, p = values(truth).astype(int), values(predicted).astype(int)
        h, c, v = metrics.homogeneity_completeness_v_measure(t, p)
        out.append({"name": name, "truth": truth, "predicted": predicted, "homogeneity": float(h),
                    "completeness": float(c), "v": float(v),
                    "ami": float(metrics.adjusted_mutual_info_score(t, p))})
    return out


def nauc(confidence, metric):
    rates = np.linspace(0, 1, 11)[:-1]

    def curve(by):
        order = np.argsort(by, kind="stable")
        n = len(order)
        return np.array([metric[order[min(round(r * n), n - 1):]].mean() for r in rates])

    raw, oracle = curve(confidence), curve(metric)
    flat = oracle[0] * (rates[-1] - rates[0])
    best = metrics.auc(rates, oracle)
    return None if best == flat else float((metrics.auc(rates, raw) - flat) / (best - flat))


def abstention():
    out = []
    for name, c, m in (("random", spec(101, 333), spec(102, 333)), ("ties", spec(103, 95, 3), spec(104, 95, 4)),
                       ("few", spec(105, 4), spec(106, 4)), ("one", spec(107, 1), spec(108, 1)),
                       ("all equal", spec(109, 64), spec(110, 64, 1, 1.0, 1.0)),
                       ("ordered", spec(111, 1000), spec(111, 1000))):
        out.append({"name": name, "confidence": c, "metric": m, "nauc": nauc(values(c), values(m))})
    return out


# ---- fits


def embeddings(seed, rows, dims, classes, shift):
    """[rows, dims] float32: uniform noise, the columns j = label (mod classes) raised by `shift`."""
    x = np.random.RandomState(seed).random_sample((rows, dims)) - 0.5
    labels = np.arange(rows) % classes
    x[np.arange(dims)[None, :] % classes == labels[:, None]] += shift
    return x.astype(np.float32), labels


def logistic_mean_form(x, y, classes):
    """The objective of scikit-learn 1.4 and later, straight into scipy's L-BFGS-B."""
    x = x.astype(np.float64)
    n, d = x.shape
    columns = 1 if classes == 2 else classes

    def loss(flat):
        w = flat.reshape((columns, d + 1), order="F")
        z = x @ w[:, :d].T + w[:, d]
        if columns == 1:
            value = np.mean(np.logaddexp(0, z[:, 0]) - y * z[:, 0])
            residual = (scipy.special.expit(z[:, 0]) - y)[:, None] / n
        else:
            norm = scipy.special.logsumexp(z, axis=1)
            value = np.mean(norm - z[np.arange(n), y])
            residual = np.exp(z - norm[:, None])
            residual[np.arange(n), y] -= 1
            residual /= n
        gradient = np.empty_like(w)
        gradient[:, :d] = residual.T @ x + w[:, :d] / n
        gradient[:, d] = residual.sum(0)
        return value + 0.5 / n * (w[:, :d] ** 2).sum(), gradient.ravel(order="F")

    found = scipy.optimize.minimize(
        loss, np.zeros(columns * (d + 1)), method="L-BFGS-B", jac=True,
        options={"maxiter": 100, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps})
    w = found.x.reshape((columns, d + 1), order="F")
    return w[:, :d], w[:, d], found.nit, found.nfev


def logistic():
    out = []
    for name, rows, dims, classes, shift in (
            ("binary", 64, 48, 2, 0.1), ("three classes", 24, 32, 3, 0.1), ("many classes", 160, 64, 20, 0.3),
            ("more rows than dims", 300, 10, 5, 0.2), ("two rows", 2, 5, 2, 0.1), ("noise", 40, 300, 4, 0.0),
            ("large values", 90, 20, 3, 40.0), ("seventeen classes", 136, 40, 17, 0.2)):
        seed = 200 + len(out)
        x, y = embeddings(seed, rows, dims, classes, shift)
        test, _ = embeddings(seed + 50, 200, dims, classes, shift)
        case = {"name": name, "seed": seed, "rows": rows, "dims": dims, "classes": classes, "shift": shift}
        old = sklearn.linear_model.LogisticRegression(max_iter=100, random_state=42).fit(x, y)
        w, b, iterations, evaluations = logistic_mean_form(x, y, classes)
        z = test.astype(np.float64) @ w.T + b
        predicted = (z[:, 0] > 0).astype(int) if classes == 2 else z.argmax(1)
        case["sum"] = {"iterations": int(old.n_iter_[0]), "weights": old.coef_[:, :6].tolist(),
                       "norm": float(np.linalg.norm(old.coef_)), "intercepts": old.intercept_.tolist(),
                       "predicted": old.predict(test).tolist()}
        case["mean"] = {"iterations": iterations, "evaluations": evaluations, "weights": w[:, :6].tolist(),
                        "norm": float(np.linalg.norm(w)), "intercepts": b.tolist(),
                        "predicted": predicted.tolist()}
        out.append(case)
    return out


def kmeans_reference(x, clusters, batch, regime, seed=42):
    """Mini-batch k-means in numpy with the draws of a scikit-learn release (see mini_batch_kmeans.h)."""
    rng = np.random.RandomState(seed)
    n = len(x)
    batch = min(batch, n)
    size = 3 * batch if 3 * batch >= clusters else 3 * clusters
    size = min(size, n)
    rng.randint(0, n, size)
    start = x[rng.randint(0, n, size)] if size < n else x
    wide = start.astype(np.float64)
    m = len(start)

    def distances(rows):
        d = -2 * wide[rows] @ wide.T + (wide[rows] ** 2).sum(1)[:, None] + (wide**2).sum(1)[None, :]
        return np.maximum(d.astype(np.float32), 0)

    def total(d):
        return d.sum(axis=1) if regime == "randint" else d.astype(np.float64).sum(axis=1).astype(np.float32)

    trials = 2 + int(np.log(clusters))
    p32 = lambda count: np.full(count, np.float32(1) / np.float32(count), np.float32)
    first = rng.randint(m) if regime == "randint" else rng.choice(m, p=p32(m))
    centres = [start[first]]
    nearest = distances([first])
    potential = total(nearest)[0]
    nearest = nearest[0]
    for _ in range(1, clusters):
        u = rng.random_sample(trials) * potential
        rows = np.searchsorted(np.cumsum(nearest, dtype=np.float64), u).clip(None, m - 1)
        d = np.minimum(nearest, distances(rows))
        sums = total(d)
        best = sums.argmin()
        centres.append(start[rows[best]])
        nearest, potential = d[best], sums[best]
    centres = np.array(centres, np.float32)
    counts = np.zeros(clusters, np.float32)
    smoothed = least = None
    since = stale = 0
    weight = min(1, 2.0 * batch / (n + 1))

    def assign(rows):
        return (-2 * rows @ centres.T + (centres**2).sum(1)).argmin(1)

    step = 0
    while step < 100 * n // batch:
        rows = rng.choice(n, batch, p=p32(n)) if regime == "choice_batch" else rng.randint(0, n, batch)
        rows = x[rows]
        since += batch
        reassign = bool((counts == 0).any() or since >= 10 * clusters)
        since = 0 if reassign else since
        labels = assign(rows)
        inertia = float(((rows - centres[labels]) ** 2).sum(1).cumsum(dtype=np.float32)[-1]) / batch
        for c in np.unique(labels):
            mine = rows[labels == c]
            moved = centres[c] * counts[c]
            for row in mine:
                moved = moved + row
            counts[c] += len(mine)
            centres[c] = moved * (np.float32(1) / counts[c])
        if reassign:
            poor = counts < np.float32(0.01 * float(counts.max()))
            if poor.sum() > 0.5 * batch:
                poor[np.argsort(counts, kind="stable")[int(0.5 * batch):]] = False
            if poor.any():
                centres[poor] = rows[rng.choice(batch, replace=False, size=poor.sum())]
                counts[poor] = counts[~poor].min()
        step += 1
        if step == 1:
            continue
        smoothed = inertia if smoothed is None else smoothed * (1 - weight) + inertia * weight
        if least is None or smoothed < least:
            least, stale = smoothed, 0
        else:
            stale += 1
            if stale >= 10:
                break
    return assign(x), step


def kmeans():
    out = []
    for name, rows, dims, clusters, batch, shift in (
            ("small", 120, 8, 3, 500, 0.6), ("one batch", 512, 16, 12, 512, 0.3),
            ("many clusters", 1500, 24, 60, 500, 0.4), ("reassigns", 700, 6, 100, 300, 0.3),
            ("large", 4000, 16, 20, 500, 0.2), ("more clusters than a start", 400, 5, 100, 30, 0.3),
            ("one cluster", 50, 4, 1, 20, 0.0)):
        seed = 300 + len(out)
        x, truth = embeddings(seed, rows, dims, max(2, clusters), shift)
        old = sklearn.cluster.MiniBatchKMeans(n_clusters=clusters, batch_size=batch, n_init=1, random_state=42).fit(x)
        labels, steps = kmeans_reference(x, clusters, batch, "randint")
        agree = steps == old.n_steps_ and (labels == old.labels_).all()
        if 2 * clusters > batch:  # then scikit-learn hangs on numpy's unstable argsort: stable here
            agree, old.labels_, old.n_steps_, old.inertia_ = True, labels, steps, -1
        print(f"k-means {name}: reference {'equals' if agree else 'DIFFERS FROM'} scikit-learn, {steps} steps")
        case = {"name": name, "seed": seed, "rows": rows, "dims": dims, "clusters": clusters, "batch": batch,
                "shift": shift, "truth_classes": max(2, clusters), "randint": {
                    "labels": old.labels_.tolist(), "steps": int(old.n_steps_), "inertia": float(old.inertia_),
                    "v": float(metrics.v_measure_score(truth, old.labels_))}}
        for regime in ("choice_centre", "choice_batch"):
            labels, steps = kmeans_reference(x, clusters, batch, regime)
            case[regime] = {"labels": labels.tolist(), "steps": steps,
                            "v": float(metrics.v_measure_score(truth, labels))}
        out.append(case)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--vectors", type=pathlib.Path, help="golden values to copy into eval_streams.json")
    args = parser.parse_args()
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}"
    target = args.out / "eval_streams.json"
    if args.vectors:
        vectors = json.loads(args.vectors.read_text())
    else:
        vectors = json.loads(target.read_text())["vectors"]
    files = {
        "eval_streams": streams(vectors),
        "eval_metrics": {"correlation": correlations(), "pairs": pair_scores(), "classification": classification(),
                         "multilabel": multilabel(), "clustering": clustering(), "nauc": abstention()},
        "eval_fits": {"logistic": logistic(), "kmeans": kmeans()},
    }
    for name, content in files.items():
        path = args.out / f"{name}.json"
        path.write_text(json.dumps({"made_with": versions, **content}, separators=(",", ":")) + "\n")
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
