#!/usr/bin/env python3
"""Writes tests/goldens/calibration.json: what scikit-learn fits to labelled similarity scores.

    /usr/bin/python3 tools/make_calibration_goldens.py [tests/goldens]

Made with scikit-learn 1.2.1: IsotonicRegression(out_of_bounds="clip"), and the sigmoid fit of
CalibratedClassifierCV. Scores have ties, so that ties are tested.
"""
import json
import pathlib
import sys

import numpy as np
import sklearn
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/goldens")
    rng = np.random.RandomState(5)
    cases = []
    for n, ties in ((40, 1), (300, 2), (300, 6)):
        labels = rng.randint(0, 2, n)
        scores = np.round(rng.normal(0.45 + 0.2 * labels, 0.15), ties)
        probes = np.round(np.linspace(scores.min() - 0.2, scores.max() + 0.2, 41), 6)
        isotonic = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
        platt = _SigmoidCalibration().fit(scores, labels)
        cases.append({
            "scores": scores.tolist(),
            "labels": labels.tolist(),
            "probes": probes.tolist(),
            "isotonic": isotonic.predict(probes).tolist(),
            "platt": platt.predict(probes).tolist(),
        })
    out = {"scikit_learn": sklearn.__version__, "cases": cases}
    (folder / "calibration.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
