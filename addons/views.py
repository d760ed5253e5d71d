"""The script that shows what Lockgate recorded as a content view: `mitmweb -n -r FILE -s addons/views.py`."""

from lockgate.proxy.views import add

add()
