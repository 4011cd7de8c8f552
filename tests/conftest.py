"""What every test shares: patient hypothesis, on a machine that may be busy with something else."""

from hypothesis import HealthCheck, settings

settings.register_profile("cimbo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cimbo")
