"""Speaks HTTP/2 with an endpoint.

Arguments: what to do, HOST:PORT, the CA's certificate, and a path for `get` and `head`. Prints in a
line what came of it.

* `get`, `head`: what httpx is answered: the version, the status, the headers' bytes and the body's.
* `limits`: how many streams may be open at a time, and how large a list of headers may be.
* `impatient`: requests are given up as soon as they are sent, until the connection is closed.
* `talkative`: a request whose headers have no end.
"""

import ssl
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import httpx

what, address, ca, *path = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)


def connect():
    context.set_alpn_protocols(["h2"])
    host, port = address.rsplit(":", 1)
    stream = context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host)
    assert stream.selected_alpn_protocol() == "h2", stream.selected_alpn_protocol()
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    stream.sendall(connection.data_to_send())
    return stream, connection


def request(more=()):
    own = [(":method", "GET"), (":scheme", "https"), (":authority", address), (":path", "/metrics")]
    return own + list(more)


def receive(stream, connection):
    """What has come, or None at the end."""
    data = stream.recv(65536)
    return connection.receive_data(data) if data else None


def limits():
    stream, connection = connect()
    while not any(isinstance(event, h2.events.RemoteSettingsChanged) for event in receive(stream, connection)):
        pass
    settings = connection.remote_settings
    print(settings.max_concurrent_streams, settings.max_header_list_size)


def impatient():
    stream, connection = connect()
    for number in range(100_000):
        stream_id = connection.get_next_available_stream_id()
        try:
            connection.send_headers(stream_id, request(), end_stream=True)
            connection.reset_stream(stream_id)
            stream.sendall(connection.data_to_send())
        except (OSError, h2.exceptions.ProtocolError):
            print("closed")
            return
    print("not closed")


def talkative():
    stream, connection = connect()
    headers = request(("x-more-%d" % number, "x" * 1000) for number in range(40))
    connection.send_headers(connection.get_next_available_stream_id(), headers, end_stream=True)
    stream.sendall(connection.data_to_send())
    while True:
        events = receive(stream, connection)
        if events is None:
            print("closed")
            return
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                print(dict(event.headers)[b":status"].decode())
                return
            if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                print("refused")
                return


def ask(method):
    with httpx.Client(http2=True, verify=context) as client:
        answer = client.request(method, f"https://{address}{path[0]}")
        print(answer.http_version, answer.status_code, answer.headers["content-length"], len(answer.content))


{
    "get": lambda: ask("GET"),
    "head": lambda: ask("HEAD"),
    "limits": limits,
    "impatient": impatient,
    "talkative": talkative,
}[what]()
