"""Where ``views`` stood until version 0.2; it is `cimbo.session.warm_start.views`."""

from cimbo.session.warm_start import views

__all__ = ["views"]
