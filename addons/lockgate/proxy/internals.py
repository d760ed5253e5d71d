"""The private and undocumented names of mitmproxy that Lockgate relies on, all of them, in one place.

`tests/proxy/test_internals.py` keeps a digest of each one's source: when mitmproxy changes one, that test fails, and
what stands on it is read again before the new version is taken.
"""

from __future__ import annotations

from h2.connection import H2Connection
from h2.frame_buffer import FrameBuffer
from h2.stream import H2Stream
from mitmproxy import optmanager
from mitmproxy.addonmanager import AddonManager
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver, Servers
from mitmproxy.addons.script import Script, ScriptLoader
from mitmproxy.addons.tlsconfig import DEFAULT_HOSTFLAGS, TlsConfig
from mitmproxy.addons.view import View
from mitmproxy.net import tls as net_tls
from mitmproxy.proxy import layer, server
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls as tls_layers
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HttpStream, SendHttp, _base, _http1
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Connection, Http2Server
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection
from mitmproxy.tools.dump import DumpMaster
from mitmproxy.tools.web import app as web_app
from mitmproxy.tools.web.master import WebMaster
from mitmproxy.utils import asyncio_utils

RELIED_ON = {
    "AddonManager.trigger_event": AddonManager.trigger_event,
    "AddonManager.invoke_addon": AddonManager.invoke_addon,
    "AddonManager.register": AddonManager.register,
    "ConnectionHandler.drain_writers": server.ConnectionHandler.drain_writers,
    "ConnectionHandler.handle_client": server.ConnectionHandler.handle_client,
    "ConnectionHandler.hook_task": server.ConnectionHandler.hook_task,
    "ConnectionHandler.handle_connection": server.ConnectionHandler.handle_connection,
    "ConnectionHandler.open_connection": server.ConnectionHandler.open_connection,
    "ConnectionHandler.server_event": server.ConnectionHandler.server_event,
    "GetHttpConnection": GetHttpConnection,
    "Http1Client": _http1.Http1Client,
    "Http1Server": _http1.Http1Server,
    "Http1Connection": _http1.Http1Connection,
    "BufferedH2Connection": BufferedH2Connection,
    "h2.FrameBuffer": FrameBuffer,
    "h2.H2Connection": H2Connection,
    "h2.H2Stream": H2Stream,
    "Http2Client": Http2Client,
    "Http2Connection": Http2Connection,
    "Http2Server": Http2Server,
    "HttpLayer": HttpLayer,
    "HttpStream": HttpStream,
    "Layer.handle_event": layer.Layer.handle_event,
    "NextLayer (addon)": NextLayer,
    "NextLayer (layer)": layer.NextLayer,
    "OptManager": optmanager.OptManager,
    "Proxyserver": Proxyserver,
    "Script": Script,
    "ScriptLoader": ScriptLoader,
    "SendHttp": SendHttp,
    "Servers": Servers,
    "ClientTLSLayer": tls_layers.ClientTLSLayer,
    "TLSLayer": tls_layers.TLSLayer,
    "TlsConfig.tls_start_server": TlsConfig.tls_start_server,
    "create_proxy_server_context": net_tls.create_proxy_server_context,
    "format_error": _base.format_error,
    # Hooks begin at once, in the step that raised them: nothing else runs between a body's arrival and its masking.
    "asyncio_utils.set_eager_task_factory": asyncio_utils.set_eager_task_factory,
    "make_body_reader": _http1.make_body_reader,
    "make_error_response": _http1.make_error_response,
    "View": View,
    "web.AuthRequestHandler": web_app.AuthRequestHandler,
    "web.RequestHandler": web_app.RequestHandler,
}

__all__ = [
    "DEFAULT_HOSTFLAGS",
    "RELIED_ON",
    "BufferedH2Connection",
    "DumpMaster",
    "GetHttpConnection",
    "Http2Client",
    "Http2Connection",
    "Http2Server",
    "HttpLayer",
    "HttpStream",
    "SendHttp",
    "WebMaster",
    "http1",
    "http_layers",
    "net_tls",
    "server",
    "tls_layers",
    "web_app",
]

http1 = _http1
