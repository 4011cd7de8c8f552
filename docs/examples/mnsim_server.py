"""MNSIM 2.0 (github.com/thu-nics/MNSIM-2.0) as a server for cimbo: a design a line in, its costs a line out.

Run in a checkout of MNSIM: cimbo starts it, see mnsim.toml. A gene `Xbar_Size` sets that key of SimConfig.ini.
"""

import configparser
import contextlib
import json
import sys
import tempfile

sys.path.insert(0, ".")
from MNSIM.Area_Model.Model_Area import Model_area
from MNSIM.Energy_Model.Model_energy import Model_energy
from MNSIM.Interface.interface import TrainTestInterface
from MNSIM.Latency_Model.Model_latency import Model_latency
from MNSIM.Mapping_Model.Tile_connection_graph import TCG
from MNSIM.Power_Model.Model_inference_power import Model_inference_power


def evaluate(design):
    config = configparser.ConfigParser(strict=False)
    config.read("SimConfig.ini", encoding="utf-8")
    for section in config.sections():
        for name in set(design) & {key for key in design if config.has_option(section, key)}:
            config.set(section, name, str(design[name]))
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        config.write(file)
        file.flush()
        net = TrainTestInterface(
            design["network"], "MNSIM.Interface.cifar10", file.name
        ).get_structure()
        shared = {"NetStruct": net, "SimConfig_path": file.name, "TCG_mapping": TCG(net, file.name)}
        latency = Model_latency(**shared)
        latency.calculate_model_latency(mode=1)
        power, area = Model_inference_power(**shared), Model_area(**shared)
        energy = Model_energy(**shared, model_latency=latency, model_power=power)
    costs = (max(map(max, latency.finish_time)) * 1e-6, energy.arch_total_energy * 1e-3)
    return {"latency_ms": costs[0], "energy_uj": costs[1], "area_mm2": area.arch_total_area * 1e-6,
            "power_w": power.arch_total_power}  # fmt: skip


for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        try:
            answer = evaluate(json.loads(line)["design"])
        except (AssertionError, ValueError, IndexError) as error:  # a chip that MNSIM does not take
            answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
