"""What every test shares: patient hypothesis, on a machine that may be busy with something else."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("cimbo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cimbo")

# A shell starts background jobs with SIGINT ignored, and children inherit that: the tests that interrupt would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
