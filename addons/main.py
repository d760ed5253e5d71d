"""The script mitmproxy loads: `mitmdump -s addons/main.py`."""

import os
import sys


def stop(why):
    """Say what is missing, in one line, and end the process: mitmproxy may hang on an orderly exit while it starts."""
    sys.stderr.write("lockgate: %s\n" % why)
    sys.stderr.flush()
    os._exit(1)


if sys.version_info < (3, 12):  # noqa: UP036 - whoever runs it with an older one is told so
    stop("Python 3.12 or newer is needed, this is {}.{}. Run scripts/setup.".format(*sys.version_info))

try:
    import mitmproxy.version
except ImportError:
    stop("mitmproxy is not installed for this Python. Run scripts/setup, then .venv/bin/mitmdump.")

version = mitmproxy.version.VERSION
if not (version.startswith("12.2.") and version.split(".")[2].isdigit() and int(version.split(".")[2]) >= 3):
    stop("mitmproxy >=12.2.3,<12.3 is needed, this is %s. Run scripts/setup." % version)

try:
    from lockgate.chain import addons
except ImportError as missing:
    stop("the Python package %s is missing or too old. Run scripts/setup, then .venv/bin/mitmdump." % missing.name)

__all__ = ["addons"]
