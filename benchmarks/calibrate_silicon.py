"""Calibrates the global constants of the circuit on published chips, once and jointly; then, a paper left out at a time.

    python benchmarks/calibrate_silicon.py [--write]        (some 5 s)

Every constant that data/constants.toml calls fitted has a prior, from the literature or another tool, and a width; the fit
maximises posterior probability of the ratios modelled/reported of data/silicon/uiuc_imc.csv under a heavy-tailed error. No
constant belongs to one chip. ``--write`` puts the values into data/constants.toml; today it changes nothing there. The
figures of silicon_table.json come from fits that never saw the paper they are tested on, beside those of a ridge regression
on the table's own columns; its ``split`` lists the papers that are left out in turn, with their rows.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import kendalltau

from cimbo._data import path
from cimbo.hardware.agreement import Agreement
from cimbo.hardware.array_description import CELL_FAMILIES
from cimbo.hardware.published_point import PublishedPoint
from cimbo.hardware.published_table import read_published
from cimbo.hardware.silicon_comparison import (
    CHIP_GROUPS,
    COMPARED_QUANTITIES,
    modelled,
)
from cimbo.hardware.technology import overridden

HERE = Path(__file__).parent
ERROR = 0.5  # of a ratio's logarithm, which enters beyond this with its size rather than its square

# (constant, prior, width of the prior's logarithm)
PRIORS: tuple[tuple[str, float, float], ...] = (
    ("cell.transistor_area", 30, 0.3),
    ("cell.capacitor_area", 150, 0.5),
    ("adc.bit_area", 40, 0.5),
    ("adc.unit_area", 3, 0.5),
    ("adc.bit_capacitance", 30, 0.5),
    ("adc.noise_capacitance", 0.005, 0.5),
    ("adc.step", 0.8, 0.5),
    ("driver.area", 15, 0.5),
    ("driver.pulse", 0.7, 0.5),
    ("column.area", 20, 0.5),
    ("control.area", 2000, 1.0),
    ("control.capacitance", 3, 0.5),
    ("charge_cell.capacitance", 2, 0.5),
    ("charge_cell.settle", 1.0, 0.5),
    ("current_cell.capacitance", 8, 0.5),
    ("current_cell.settle", 1.0, 0.5),
    ("array.row_settle", 0.01, 0.5),
    ("array.word_line_capacitance", 0.1, 0.5),
    ("array.bit_line_capacitance", 0.2, 0.5),
    ("logic.adder_area", 4, 0.5),
    ("logic.adder_capacitance", 6, 0.5),
    ("logic.adder_delay", 0.3, 0.5),
    ("logic.alpha", 1.5, 0.1),
    ("rram_line.area", 200, 1.0),
    ("rram_cell.capacitance", 15, 1.5),
    ("rram_cell.settle", 2, 1.0),
    ("rram_cell.row_settle", 0.1, 1.5),
    ("published.processor_area", 2, 0.5),
    ("published.processor_energy", 1.2, 0.3),
    ("published.digital_area", 2, 1.0),
    ("published.digital_energy", 1.2, 1.0),
)
NAMES = [name for name, _, _ in PRIORS]
MEAN = np.log([prior for _, prior, _ in PRIORS])
WIDTH = np.array([width for _, _, width in PRIORS])


def _common(kind: str) -> np.ndarray:
    """Which constants the common factor of each quantity multiplies, (quantities, constants), of one kind of chips."""
    ends = ((".area", "_area"), ("settle", ".step", ".pulse", "_delay"), ("capacitance",))
    own = {"rram": "envm"}
    found = np.zeros((len(ends), len(NAMES)))
    for column, name in enumerate(NAMES):
        section = name.split(".")[0].split("_")[0]
        if section != "published" and own.get(section, "sram") == kind:
            found[:, column] = [name.endswith(endings) for endings in ends]
    return found


IN_COMMON = {kind: _common(kind) for kind in ("sram", "envm")}


def reported(points: Sequence[PublishedPoint]) -> dict[str, np.ndarray]:
    """Logarithms of the reported figures, (n,) each; not a number where there is none."""
    return {
        q: np.log([point.reported.get(q, np.nan) for point in points]) for q in COMPARED_QUANTITIES
    }


def log_ratios(points: Sequence[PublishedPoint], constants: np.ndarray) -> np.ndarray:
    """Logarithms of modelled/reported, (quantities, n)."""
    with overridden(dict(zip(NAMES, np.exp(constants).tolist(), strict=True))):
        ours = modelled(points)
    said = reported(points)
    return np.array([np.log(ours[q]) - said[q] for q in COMPARED_QUANTITIES])


def fit(points: Sequence[PublishedPoint], start: np.ndarray = MEAN) -> np.ndarray:
    """Logarithms of the constants, the search for them beginning at ``start``; then the three common factors.

    Points of one paper together count as the root of their number. At the end all areas, all times and all capacitances
    are multiplied by what makes the median ratio one, those of resistive cells by what does so for theirs.
    """
    papers = [point.index for point in points]
    weight = np.array([papers.count(paper) ** -0.5 for paper in papers])

    def residuals(constants: np.ndarray) -> np.ndarray:
        ratios = log_ratios(points, constants)
        scaled = (weight * ratios / ERROR)[np.isfinite(ratios)]
        heavy = np.sign(scaled) * np.sqrt(2 * (np.sqrt(1 + scaled**2) - 1))
        return np.concatenate([heavy, (constants - MEAN) / WIDTH])

    constants = least_squares(residuals, start, ftol=1e-4, max_nfev=40).x
    groups = np.array([point.group for point in points])
    for _ in range(4):
        for group, shared in IN_COMMON.items():
            ratios = log_ratios(points, constants)[:, groups == group]
            constants = constants - np.nanmedian(ratios, axis=1) @ shared
    return constants


def left_out(points: Sequence[PublishedPoint]) -> np.ndarray:
    """Logarithms of modelled/reported of each point by constants fitted without its paper, (quantities, n)."""
    found = np.full((len(COMPARED_QUANTITIES), len(points)), np.nan)
    start = fit(points)
    for paper in sorted({point.index for point in points}):
        held = [at for at, point in enumerate(points) if point.index == paper]
        seen = [point for point in points if point.index != paper]
        found[:, held] = log_ratios([points[at] for at in held], fit(seen, start))
    return found


def table_columns(points: Sequence[PublishedPoint]) -> np.ndarray:
    """What a regression may know: logarithms of the genes, and the family, (n, columns)."""
    numbers = ("node_nm", "rows", "cols", "rows_active", "columns_per_adc", "supply_v")
    bits = ("dac_bits", "weight_bits", "adc_bits")
    families = ("charge_sram", "current_sram", "digital_sram")
    rows = []
    for point in points:
        genes = {"adc_bits": 0, "columns_summed": 1} | dict(point.genes)
        converters = genes["cols"] / genes["columns_per_adc"] / genes["columns_summed"]
        rows.append(
            [np.log(genes[name]) for name in numbers]
            + [np.log(converters)]
            + [genes[name] for name in bits]
            + [genes["array"] == family for family in families]
            + [point.is_processor]
        )
    return np.array(rows, float)


def split(points: Sequence[PublishedPoint]) -> dict[str, list[int]]:
    """Lines of data/silicon/uiuc_imc.csv that are left out together, by the number of their paper."""
    found: dict[str, list[int]] = {}
    for point in points:
        found.setdefault(point.index, []).append(point.line)
    return found


def ridge_left_out(points: Sequence[PublishedPoint], penalty: float = 3.0) -> np.ndarray:
    """As ``left_out``, by a ridge regression on the table's own columns."""
    features, said = table_columns(points), reported(points)
    papers = np.array([point.index for point in points])
    found = np.full((len(COMPARED_QUANTITIES), len(points)), np.nan)
    for row, quantity in enumerate(COMPARED_QUANTITIES):
        known = np.isfinite(said[quantity])
        for paper in set(papers[known]):
            seen, held = known & (papers != paper), known & (papers == paper)
            mean, scale = features[seen].mean(0), features[seen].std(0) + 1e-9
            x, y = (features[seen] - mean) / scale, said[quantity][seen]
            gram = x.T @ x + penalty * np.eye(x.shape[1])
            weights = np.linalg.solve(gram, x.T @ (y - y.mean()))
            guess = (features[held] - mean) / scale @ weights + y.mean()
            found[row, held] = guess - said[quantity][held]
    return found


def supplies(points: Sequence[PublishedPoint], ratios: np.ndarray) -> dict[str, dict[str, float]]:
    """Between two supplies of one chip: how far the modelled ratio of cycle and of energy is from the reported one."""
    found: dict[str, list[float]] = {"cycle": [], "energy": []}
    for i, one in enumerate(points):
        for j, other in enumerate(points[:i]):
            same = one.index == other.index
            volts = {
                name: (one.genes[name], other.genes[name]) for name in ("supply_v", "rows_active")
            }
            if same and volts["supply_v"][0] != volts["supply_v"][1]:
                for quantity, errors in found.items():
                    error = (
                        ratios[COMPARED_QUANTITIES.index(quantity), i]
                        - ratios[COMPARED_QUANTITIES.index(quantity), j]
                    )
                    if np.isfinite(error):
                        errors.append(float(np.exp(abs(error)) - 1))
    return {q: {"n": len(e), "median_error": float(np.median(e))} for q, e in found.items() if e}


def agreement(points: Sequence[PublishedPoint], ratios: np.ndarray) -> dict[str, dict]:
    """By group and quantity, with Kendall's tau between what is modelled and what is reported."""
    found: dict[str, dict] = {}
    said = reported(points)
    for group in CHIP_GROUPS:
        own = np.array([point.group == group for point in points])
        found[group] = {}
        for row, quantity in enumerate(COMPARED_QUANTITIES):
            known = own & np.isfinite(ratios[row])
            whole = Agreement.of(np.exp(ratios[row][known])).to_json()
            whole["kendall_tau"] = None
            if known.sum() > 2:
                ranks = kendalltau(said[quantity][known], (said[quantity] + ratios[row])[known])
                whole["kendall_tau"] = round(float(ranks.statistic), 3)
            found[group][quantity] = whole
    return found


def spreads(points: Sequence[PublishedPoint], ratios: np.ndarray) -> dict[str, list[float]]:
    """Geometric spread of each quantity by family; where a family has fewer than five chips, that of all."""
    found = {}
    for row, quantity in enumerate(COMPARED_QUANTITIES):
        known = np.isfinite(ratios[row])
        whole = float(np.exp(np.std(ratios[row][known])))
        values = []
        for family in CELL_FAMILIES:
            own = known & np.array([point.genes["array"] == family for point in points])
            papers = {point.index for point, is_own in zip(points, own, strict=True) if is_own}
            spread = float(np.exp(np.std(ratios[row][own]))) if len(papers) >= 5 else whole
            values.append(float(f"{spread:.3g}"))
        found[f"error_bar.{quantity}"] = values
    return found


def write(values: Mapping[str, float | list[float]]) -> None:
    """Puts values into data/constants.toml."""
    file = Path(path("constants.toml"))
    text = file.read_text(encoding="utf-8")
    for name, value in values.items():
        pattern = rf"(\[{re.escape(name)}\]\nvalue = )[^\n]*"
        text, count = re.subn(pattern, rf"\g<1>{value!r}", text)
        if count != 1:
            raise SystemExit(f"{name} is not in {file}")
    file.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="put the constants into data/constants.toml"
    )
    parser.add_argument("--quick", action="store_true", help="fit, and leave no paper out")
    options = parser.parse_args()
    points = read_published()
    constants = fit(points)
    for name, value, prior in zip(NAMES, np.exp(constants), np.exp(MEAN), strict=True):
        print(f"{name:32s}{value:10.3g}   prior {prior:.3g}")
    if options.write:
        write({n: float(f"{v:.3g}") for n, v in zip(NAMES, np.exp(constants), strict=True)})
    fitted = log_ratios(points, constants)
    report = {"fitted on all": agreement(points, fitted), "supplies": supplies(points, fitted)}
    if not options.quick:
        unseen = left_out(points)
        report["paper left out"] = agreement(points, unseen)
        if options.write:
            write(spreads(points, unseen))
        report["ridge, paper left out"] = agreement(points, ridge_left_out(points))
    for title, groups in report.items():
        for group, quantities in groups.items():
            print(title, group, json.dumps(quantities))
    if not options.quick:
        report["split"] = split(points)
        report["constants"] = dict(zip(NAMES, np.exp(constants).tolist(), strict=True))
        text = json.dumps(report, indent=1) + "\n"
        (HERE / "silicon_table.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
