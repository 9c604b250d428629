"""What all tests share.

Hypothesis repeats itself, so that what fails in CI fails at home. Programs that tests start come
from this checkout, whatever is installed, and wherever they are started.
"""

import os
from pathlib import Path

from hypothesis import settings

_CHECKOUT = str(Path(__file__).parent.parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_CHECKOUT, os.getenv("PYTHONPATH"))))

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("repeatable")
