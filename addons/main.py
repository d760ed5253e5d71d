"""The script mitmproxy loads: `mitmdump -s addons/main.py`."""

import sys

if sys.version_info < (3, 12):  # noqa: UP036 - whoever runs it with an older one is told so
    sys.exit("lockgate: Python 3.12 or newer is needed, this is {}.{}. Run scripts/setup.".format(*sys.version_info))

try:
    import mitmproxy.version
except ImportError:
    sys.exit("lockgate: mitmproxy is not installed for this Python. Run scripts/setup, then .venv/bin/mitmdump.")

version = mitmproxy.version.VERSION
if not (version.startswith("12.2.") and version.split(".")[2].isdigit() and int(version.split(".")[2]) >= 3):
    sys.exit(f"lockgate: mitmproxy >=12.2.3,<12.3 is needed, this is {version}. Run scripts/setup.")

try:
    from lockgate.chain import addons
except ModuleNotFoundError as missing:
    sys.exit(f"lockgate: the Python package {missing.name} is missing. Run scripts/setup, then .venv/bin/mitmdump.")

__all__ = ["addons"]
