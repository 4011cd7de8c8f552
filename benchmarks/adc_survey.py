"""How many of a converter's stated bits are effective: published converters, and the model's defaults beside them.

    python benchmarks/adc_survey.py ADCsurvey.xlsx

Reads the spreadsheet of B. Murmann's ADC Performance Survey (github.com/bmurmann/ADC-survey, xls/ADCsurvey_latest.xlsx). Of the
converters whose title states their bits and for which a signal-to-noise-and-distortion ratio at low input frequency is
reported, oversampled ones left out, it takes stated bits minus effective bits, (SNDR - 1.76) / 6.02. The same figure of the
chip model's defaults follows by formula: noise, rounding, and the third harmonic that the model's curve makes of a full sine;
offsets are left out, as a converter's SNDR does. Writes adc_survey.json beside this file; the spreadsheet is not shipped.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import zipfile
from pathlib import Path
from xml.etree import ElementTree  # of a spreadsheet that the user chose

from cimbo.hardware.technology import constant

RESULTS = Path(__file__).with_suffix(".json")
SPREADSHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
SHEETS = ("sheet2", "sheet3")  # ISSCC and VLSI
STATED_BITS = re.compile(r"(\d+)[\s-]*(?:b|bit|bits|Bit)\b")
ROUNDING = 1 / math.sqrt(12)  # of a converter, in steps
FEWEST_BITS, MOST_BITS = 4, 9  # of converters behind arrays
MOST_LOST = 4.0  # a title that states more bits above the effective ones speaks of something else


def converters(file: Path) -> list[dict[str, str]]:
    """The lines of the survey, by the names of its columns."""
    found: list[dict[str, str]] = []
    with zipfile.ZipFile(file) as book:
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        words = ["".join(t.text or "" for t in entry.iter(f"{SPREADSHEET}t")) for entry in shared]
        for sheet in SHEETS:
            names: dict[str, str] | None = None
            table = ElementTree.fromstring(book.read(f"xl/worksheets/{sheet}.xml"))
            for row in table.iter(f"{SPREADSHEET}row"):
                cells = _cells(row, words)
                if names is None:
                    names = cells if "TITLE" in cells.values() else None
                    continue
                found.append({names[k]: v for k, v in cells.items() if k in names})
    return found


def _cells(row: ElementTree.Element, words: list[str]) -> dict[str, str]:
    """What stands in a row, by the letters of its columns."""
    cells = {}
    for cell in row:
        value = cell.find(f"{SPREADSHEET}v")
        if value is None or value.text is None:
            continue
        letters = cell.get("r", "").rstrip("0123456789")
        cells[letters] = words[int(value.text)] if cell.get("t") == "s" else value.text
    return cells


def bits_lost(lines: list[dict[str, str]]) -> list[float]:
    """Stated minus effective bits of the converters that tell both."""
    lost = []
    for line in lines:
        title = line.get("TITLE", "")
        stated = STATED_BITS.search(title)
        oversampled = "SD" in line.get("ARCHITECTURE", "") or "sigma" in title.lower()
        if stated is None or oversampled:
            continue
        try:
            effective = (float(line["SNDR_lf [dB]"]) - 1.76) / 6.02
        except (KeyError, ValueError):
            continue
        bits = int(stated.group(1))
        if FEWEST_BITS <= bits <= MOST_BITS and abs(bits - effective) < MOST_LOST:
            lost.append(bits - effective)
    return lost


def bits_lost_by(noise_lsb: float, inl_lsb: float) -> float:
    """Stated minus effective bits of the model's converter.

    A curve that is off by ``inl`` at most, in the form of a cubic, makes a third harmonic of amplitude ``inl`` times
    3 sqrt(3) / 8 of a full sine; what it adds to the sine itself is gain.
    """
    harmonic = inl_lsb * 3 * math.sqrt(3) / 8 / math.sqrt(2)
    return math.log2(math.hypot(ROUNDING, noise_lsb, harmonic) / ROUNDING)


def noise_that_loses(bits: float, inl_lsb: float) -> float:
    """The noise in steps with which the model's converter loses so many bits."""
    total = ROUNDING * 2**bits
    harmonic = inl_lsb * 3 * math.sqrt(3) / 8 / math.sqrt(2)
    return math.sqrt(max(0.0, total**2 - ROUNDING**2 - harmonic**2))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spreadsheet", type=Path)
    lost = bits_lost(converters(parser.parse_args().spreadsheet))
    low, median, high = statistics.quantiles(lost, n=4)
    noise, curve = float(constant("adc.noise")), float(constant("adc.nonlinearity"))
    found = {
        "source": "B. Murmann, ADC Performance Survey 1997-2025, github.com/bmurmann/ADC-survey",
        "stated_bits": [FEWEST_BITS, MOST_BITS],
        "converters": len(lost),
        "bits_lost": {"lower_quartile": low, "median": median, "upper_quartile": high},
        "bits_lost_by_default": bits_lost_by(noise, curve),
        "noise_lsb_of_the_median": noise_that_loses(median, curve),
        "noise_lsb_of_the_upper_quartile": noise_that_loses(high, curve),
    }
    rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 3))
    RESULTS.write_text(json.dumps(rounded, indent=1) + "\n")
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
