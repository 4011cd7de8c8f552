"""Writes this release's golden bundles. Run once for each release, from the repository root, and commit the files:

python tests/predictors/golden/make.py 0.1.0
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[3]))

from predictors_data import designs, space, truth

import predictors

HERE = Path(__file__).parent

if __name__ == "__main__":
    rows = designs(30)
    y = np.array([truth(r) for r in rows])
    for kind in ("gp", "xgboost", "hybrid"):
        model = predictors.fit(rows, y, space(), kind)
        path = HERE / f"{kind}-{sys.argv[1]}.cimpred"
        if path.exists():
            sys.exit(f"{path.name} exists: a released bundle never changes")
        predictors.save(model, path, licence="Apache-2.0")
        asked = designs(6, 99)
        p = model.predict(asked)
        expected = {"rows": asked, "mean": p.mean.tolist(), "std": p.std.tolist()}
        path.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")
