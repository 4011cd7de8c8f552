"""What people type into a table of chips: units, remarks, commas and blanks are read, and impossible figures are refused."""

import csv
import io
import json
import math

import pytest

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.hardware.silicon import read_table
from cimbo.hardware.silicon_comparison import compare_table

CHARGE = {
    "Index": "1",
    "Paper Title": "A macro",
    "Architecture": "SRAM",
    "Cell Type": "8T1C",
    "N_row": "256",
    "N_col": "64",
    "Tech (nm)": "65",
    "Supply V(V)": "1.0",
    "B_x": "1",
    "B_w": "1",
    "B_ADC": "4",
    "R_C": "256",
    "C_C": "1",
    "N_ADC": "64",
    "N_1b": "32768",
    "N_core": "2",
    "T_core(ns)": "20",
    "E_core (pJ)": "48.8",
    "TOPS/W": "671.5",
    "TOPS_a": "1.64",
    "TOPS/mm2": "10.0",
    "Compute Model": "QR",
    "IMC_Processor": "",
}


def table(tmp_path, *rows, **how):
    """A file with rows that differ from ``CHARGE`` in some cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(CHARGE), **how)
    writer.writeheader()
    for row in rows:
        writer.writerow(CHARGE | row)
    file = tmp_path / "chips.csv"
    file.write_text(text.getvalue(), encoding="utf-8")
    return file


def command(capsys, file, style="table"):
    """Exit code, stdout and stderr of the command."""
    code = run(["silicon", "--table", str(file), "--format", style])
    return code, *capsys.readouterr()


def figures(value):
    """Every number of a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from figures(part)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("column", ["E_core (pJ)", "T_core(ns)", "TOPS_a", "TOPS/mm2"])
@pytest.mark.parametrize("said", ["1e-320", "1e-300", "1e300", "1e400", "inf", "nan", "0", "-1"])
def test_a_figure_that_no_macro_has_is_left_out(tmp_path, capsys, column, said):
    file = table(tmp_path, {column: said})
    found = compare_table(file)
    assert all(math.isfinite(value) for value in figures(found))
    (row,) = found["rows"]
    assert len(row["ratio"]) == 2
    (missing,) = {"area", "cycle", "energy"} - set(row["ratio"])
    assert found["sram"][missing] == {"n": 0, "median": None, "within_2x": None, "spread": None}
    for style in ("table", "json", "csv"):
        code, _, said = command(capsys, file, style)
        assert code == 0
        assert f"sram {missing}: none" in said
        if missing in row["left_out"]:
            assert f"line 2: left out, {row['left_out'][missing]}" in said


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("N_row", "0"),
        ("N_col", "64.5"),
        ("R_C", "0"),
        ("R_C", ".3"),
        ("C_C", "-1"),
        ("N_ADC", "-64"),
        ("N_ADC", ".5"),
        ("N_1b", "0"),
        ("N_1b", "-5"),
        ("N_core", ".5"),
        ("B_ADC", ".1"),
        ("B_ADC", "0"),
        ("B_ADC", "17"),
        ("B_w", "0"),
        ("B_w", "-1"),
        ("B_w", "33"),
        ("B_x", "0"),
        ("B_x", "1000"),
        ("Supply V(V)", "0"),
        ("Supply V(V)", "0.1"),
        ("Supply V(V)", "3.3"),
        ("Supply V(V)", "5000"),
        ("Supply V(V)", "800 V"),
    ],
)
def test_an_impossible_figure_is_refused_by_its_column(tmp_path, column, said):
    found = compare_table(table(tmp_path, {column: said}))
    assert found["rows"] == []
    (refused,) = found["not_expressible"]
    assert refused["reason"].startswith(f"{column} is '{said}', "), refused["reason"]


@pytest.mark.parametrize(
    ("column", "said", "gene", "value"),
    [
        ("Tech (nm)", "16nm FinFET", "node_nm", 16),
        ("Tech (nm)", "22 nm FD-SOI CMOS", "node_nm", 22),
        ("Tech (nm)", "28nm (TSMC)", "node_nm", 28),
        ("B_x", "8-bit", "act_bits", 8),
        ("B_x", "2 bits", "act_bits", 2),
        ("B_w", "1.5", "weight_bits", 2),
        ("B_w", "N/A", "weight_bits", 1),
        ("R_C", "-", "rows_active", 256),
        ("R_C", "n/a", "rows_active", 256),
        ("Supply V(V)", "800mV", "supply_v", 0.8),
        ("Supply V(V)", "800", "supply_v", 0.8),
        ("Supply V(V)", "0.8 V (array)", "supply_v", 0.8),
        ("Supply V(V)", "0,8", "supply_v", 0.8),
        ("N_row", "1,024", "rows", 1024),
    ],
)
def test_what_people_write(tmp_path, column, said, gene, value):
    (point,) = read_table(table(tmp_path, {column: said}))
    assert point.reason is None
    assert point.genes[gene] == value


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("Tech (nm)", "28 to 22"),
        ("Tech (nm)", "16um"),
        ("B_x", "4-8"),
        ("B_x", "4,8"),
        ("B_x", "8 bytes"),
        ("N_row", "1,02"),
        ("Supply V(V)", "0.7,0.9"),
    ],
)
def test_what_can_be_read_in_two_ways_is_not(tmp_path, column, said):
    (point,) = read_table(table(tmp_path, {column: said}))
    assert "which is no single figure" in point.reason


def energies(tmp_path, *said):
    points = read_table(table(tmp_path, *({"E_core (pJ)": word} for word in said)))
    return [point.reported.get("energy") for point in points]


def test_a_comma_is_decimal_where_its_column_says_so(tmp_path):
    assert energies(tmp_path, "48,8", "1,024", "7") == [48.8, 1.024, 7]
    assert energies(tmp_path, "1,024", "12,500") == [1024, 12500]
    assert energies(tmp_path, "1,024", "0,500") == [1.024, 0.5]
    # A point elsewhere in the column: commas group thousands, or nobody knows.
    assert energies(tmp_path, "1,024", "48.8") == [1024, 48.8]
    assert energies(tmp_path, "48,8", "48.8") == [None, 48.8]
    assert energies(tmp_path, "1,024,000", "48,8") == [1024000, None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_headers_in_any_case_and_files_of_any_delimiter(tmp_path, delimiter):
    file = table(tmp_path, {}, delimiter=delimiter)
    (plain,) = read_table(file)
    header, line, *_ = file.read_text().splitlines()
    loose = header.replace("Supply V(V)", " SUPPLY v (V) ").replace("Tech (nm)", "tech(NM)")
    file.write_text(loose.replace("E_core (pJ)", "e_core(pj)") + "\n" + line + "\n")
    assert read_table(file) == [plain]


@pytest.mark.parametrize(
    "column", ["Index", "Tech (nm)", "N_row", "Supply V(V)", "B_x", "N_ADC", "B_ADC", "C_C"]
)
def test_a_missing_column_is_one_line_and_exit_2(tmp_path, capsys, column):
    file = table(tmp_path, {})
    file.write_text(file.read_text().replace(column, "Another", 1))
    with pytest.raises(BadInput, match="has no column"):
        read_table(file)
    code, printed, said = command(capsys, file)
    assert (code, printed) == (2, "")
    (line,) = said.splitlines()
    assert f"has no column {column!r}" in line


def test_digital_chips_need_no_columns_of_converters(tmp_path):
    file = table(tmp_path, {"Compute Model": "DIMC", "Cell Type": "8T+D"})
    file.write_text(file.read_text().replace("N_ADC", "Another", 1).replace("C_C", "Other", 1))
    (point,) = read_table(file)
    assert point.genes["array"] == "digital_sram"


def test_a_line_that_an_unquoted_comma_shifts_is_refused(tmp_path):
    file = table(tmp_path, {"Index": "shifted"})
    text = file.read_text()
    file.write_text(text.replace("shifted", "1,5"))
    assert read_table(file)[0].reason == "its line has more cells than the header"
    file.write_text(text)
    assert read_table(file)[0].reason is None


def test_a_table_of_no_rows(tmp_path, capsys):
    file = table(tmp_path)
    code, printed, _ = command(capsys, file, "json")
    assert code == 0
    assert json.loads(printed)["rows"] == []
    file.write_text("")
    with pytest.raises(BadInput, match="has no column 'Index'"):
        read_table(file)


GENES_HEADER = "chip,array,rows,cols,columns_per_adc,adc_bits,node_nm,supply_v,area_mm2,energy_pj\n"


def test_chips_may_be_described_by_genes(tmp_path, capsys):
    file = tmp_path / "own.csv"
    lines = [
        "# ours",
        GENES_HEADER.strip(),
        "A,charge_sram,256,64,1,8,28,0.9,0.05,",
        "B,rram,0,64,1,8,28,0.9,,3",
    ]
    file.write_text("\n".join(lines))
    found = compare_table(file)
    [row] = found["rows"]
    assert row["genes"]["rows"] == 256
    assert set(row["ratio"]) == {"area"}
    assert found["sram"]["area"]["n"] == 1
    code, _, said = command(capsys, file)
    assert code == 0
    assert "line 4: no chip of the space, rows is 0" in said


def test_the_shipped_table_of_chips_is_one_that_a_user_may_give(capsys):
    from cimbo._data import path
    from cimbo.hardware.published_table import TABLE_FILE, read_published

    code, out, _ = command(capsys, path(TABLE_FILE), "json")
    assert code == 0
    assert len(json.loads(out)["rows"]) == len(read_published())


def test_an_unknown_column_beside_genes_is_named(tmp_path, capsys):
    file = tmp_path / "own.csv"
    file.write_text(GENES_HEADER.replace("area_mm2", "Area (mm2)"))
    code, _, said = command(capsys, file)
    assert code == 2
    assert "unknown column 'Area (mm2)'" in said


def test_a_word_of_the_table_that_is_unknown_is_told_with_the_known_ones(tmp_path):
    [refused] = compare_table(table(tmp_path, {"Architecture": "Analog SRAM"}))["not_expressible"]
    assert "Architecture is one of SRAM, Digital, eNVM, eFlash" in refused["reason"]
