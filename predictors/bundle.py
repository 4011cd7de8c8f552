"""The old place of `predictors.storage.bundle`, kept for one release."""

import sys

from predictors.storage import bundle

sys.modules[__name__] = bundle
