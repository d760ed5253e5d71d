"""The script mitmproxy loads: `mitmdump -s addons/main.py`."""

import sys

if sys.version_info < (3, 12):
    sys.exit("lockgate: Python 3.12 or newer is needed, this is %d.%d. Run scripts/setup." % sys.version_info[:2])

try:
    import mitmproxy.version
except ImportError:
    sys.exit("lockgate: mitmproxy is not installed for this Python. Run scripts/setup, then .venv/bin/mitmdump.")

if not "12.2.3" <= mitmproxy.version.VERSION < "12.3":
    sys.exit("lockgate: mitmproxy >=12.2.3,<12.3 is needed, this is %s. Run scripts/setup." % mitmproxy.version.VERSION)

try:
    from lockgate.chain import addons
except ModuleNotFoundError as missing:
    sys.exit("lockgate: the Python package %s is missing. Run scripts/setup, then .venv/bin/mitmdump." % missing.name)

__all__ = ["addons"]
