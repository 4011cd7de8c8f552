"""A pretend in-house simulator: three genes of its own, four metrics of its own, 5 % failures."""

import json
import sys
import zlib

asked = json.load(sys.stdin)
chip, layers = asked["chip"], asked["workload"]["layers"]
if zlib.crc32(json.dumps(asked, sort_keys=True).encode()) % 20 == 0:
    sys.exit("licence server busy")
macs = sum(
    layer["px"] * layer["reduction"] * layer["columns"] * layer["groups"] for layer in layers
)
per_conversion = {"flash": 4.0, "sar": 1.5, "ramp": 0.8}[chip["adc_type"]]
cycle_ns = {"flash": 1.0, "sar": 6.0, "ramp": 20.0}[chip["adc_type"]]
conversions = macs / chip["rows"]
energy_pj = conversions * per_conversion + macs * 1e-5 * chip["dac_mv"] ** 1.5
latency_ns = conversions * cycle_ns / 256
print(
    json.dumps(
        {
            "latency_ms": latency_ns * 1e-6,
            "energy_uj": energy_pj * 1e-6,
            "tops_per_watt": 2 * macs / energy_pj,
            "snr_db": 20 + chip["dac_mv"] / 10 - chip["rows"] / 32,
            "adc_share": conversions * per_conversion / energy_pj,
            "droop_mv": chip["rows"] * chip["dac_mv"] / 1000,
        }
    )
)
