"""An evaluator with every vice, for the drill of faults. Also a stand-in for a real one that sometimes misbehaves."""

import ctypes
import math
import os
import random
import signal
import time
from typing import Any

VICES = ("raise", "nan", "inf", "hang", "segfault", "kill", "memory", "nonsense")


def candidate(number: int, share: float) -> dict[str, Any]:
    """Parameters of which ``share`` go wrong, each in its own way; the same whenever asked."""
    return {"x": float(number), "vice": vice({"number": number}, share)}


def vice(params: dict[str, Any], share: float) -> str:
    """What goes wrong with a design: always the same, and ``none`` for most when ``share`` is small."""
    dice = random.Random(repr(sorted(params.items())))
    return dice.choice(VICES) if dice.random() < share else "none"


def evaluate(params: dict[str, Any]) -> Any:
    match params["vice"]:
        case "raise":
            raise RuntimeError("the simulator\ngave up")
        case "nan":
            return {"a": math.nan}
        case "inf":
            return {"a": math.inf}
        case "hang":
            time.sleep(1000)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            return {"a": len(bytearray(4 << 30))}
        case "nonsense":
            return "nonsense"
    return {"a": params["x"]}
