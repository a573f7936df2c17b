"""signalrcore over each transport and protocol that it has, against the conformance hub."""

import os
import queue
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

from tap import HUBS, Tests, cut

LIMIT = 20


class Client:
    """A connection, with what it tells in queues."""

    def __init__(self, transport, encoding, path="/golden-stateful-short", token=None, reconnect=False):
        options = {"transport": transport}
        if token:
            options["access_token_factory"] = lambda: token
        builder = HubConnectionBuilder().with_url(HUBS + path, options=options)
        builder.with_hub_protocol(encoding)
        if reconnect:
            builder.with_automatic_reconnect({"type": "raw", "keep_alive_interval": 1, "reconnect_interval": 1})
        self.hub = builder.build()
        self.opened, self.closed, self.back = threading.Event(), threading.Event(), threading.Event()
        self.errors, self.events = queue.Queue(), queue.Queue()
        self.hub.on_open(self.opened.set)
        self.hub.on_close(self.closed.set)
        self.hub.on_reconnect(self.back.set)
        self.hub.on_error(lambda message: self.errors.put(message.error))
        for event in ("Message", "Things", "Gathered"):
            self.hub.on(event, lambda arguments, event=event: self.events.put((event, arguments)))

    def __enter__(self):
        self.hub.start()
        assert self.opened.wait(LIMIT), "it does not open"
        return self

    def __exit__(self, *_):
        # It stops at the server's next ping, which on the paths used here comes each second.
        self.hub.stop()

    def invoke(self, method, *arguments):
        answer = queue.Queue()
        self.hub.invoke(method, list(arguments), answer.put)
        return answer.get(timeout=LIMIT).result

    def fails(self, method, *arguments):
        self.hub.invoke(method, list(arguments))
        return self.errors.get(timeout=LIMIT)

    def stream(self, method, *arguments):
        items, over = [], threading.Event()
        self.hub.stream(method, list(arguments)).subscribe(
            {"next": items.append, "complete": lambda _: over.set(), "error": lambda _: over.set()}
        )
        assert over.wait(LIMIT), f"the stream does not end: {items}"
        return items


def invokes(client):
    assert client.invoke("Echo", "Растение 🌱") == "Растение 🌱"
    assert client.invoke("Add", 2, 3) == 5
    assert client.invoke("EchoDouble", 0.5) == 0.5
    assert client.invoke("EchoList", [1, 2]) == [1, 2]
    assert client.invoke("EchoMap", {"a": 1}) == {"a": 1}
    assert client.invoke("Null") is None
    assert len(client.invoke("MakeLong", 100_000)) == 100_000


def fails(client):
    error = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: hub bang"
    assert client.fails("ThrowHub") == error
    missing = "Failed to invoke 'Missing' due to an error on the server. HubException: Method does not exist."
    assert client.fails("Missing") == missing
    assert client.fails("Secured") == "Failed to invoke 'Secured' because user is unauthorized"


def receives(client):
    for number in range(20):
        client.invoke("SendCaller", f"text {number}")
        assert client.events.get(timeout=LIMIT) == ("Message", [f"text {number}"])
    client.hub.invoke("SendObject", [])
    things = [1, None, "x", {"mixedCase": True, "nested": {"a": None}}]
    assert client.events.get(timeout=LIMIT) == ("Things", things)


def streams_and_uploads(transport, encoding):
    with Client(transport, encoding, "/meadow") as client:
        # A stream that begins late: items that come before its handlers are set are dropped.
        assert client.stream("GrowLater", 200) == list(range(200))
        if encoding is BINARY:
            return  # It cannot write a stream's end in MessagePack.
        subject = Subject()
        client.hub.invoke("Gather", subject)
        for number in range(100):
            subject.next(number)
        subject.complete()
        assert client.events.get(timeout=LIMIT) == ("Gathered", [100, 4950])


def has_a_user(transport, encoding):
    with Client(transport, encoding, token="alice") as client:
        assert client.invoke("UserOfMe") == "alice"
        assert client.invoke("Secured") == "secured"


def is_told_of_the_end(transport, encoding):
    with Client(transport, encoding) as client:
        client.hub.invoke("Abort", [])
        assert client.closed.wait(LIMIT), "it does not hear of the end"


def reconnects(transport, encoding):
    with Client(transport, encoding, reconnect=True) as client:
        for number in range(3):
            client.back.clear()
            cut()
            assert client.back.wait(LIMIT), "it does not come back"
            assert client.invoke("Echo", f"again {number}") == f"again {number}"


WEB_SOCKETS = HttpTransportType.web_sockets
EVENTS = HttpTransportType.server_sent_events
POLLING = HttpTransportType.long_polling
TEXT, BINARY = HubProtocolEncoding.text, HubProtocolEncoding.binary


def one_message_a_poll(client):
    """What of the suite this client can do by polls: of several messages in
    one answer it gives out only the first, until the next answer comes."""
    for number in range(10):
        assert client.invoke("Echo", f"text {number}") == f"text {number}"


CASES = [
    (WEB_SOCKETS, TEXT, [invokes, fails, receives], [streams_and_uploads, has_a_user, is_told_of_the_end, reconnects]),
    (WEB_SOCKETS, BINARY, [invokes, fails, receives], [streams_and_uploads, has_a_user, is_told_of_the_end, reconnects]),
    (EVENTS, TEXT, [invokes, fails, receives], [streams_and_uploads, has_a_user]),
    (POLLING, TEXT, [one_message_a_poll], []),
]


def run(tests, name, test):
    try:
        test()
        tests.over(name)
    except BaseException as error:
        tests.over(name, error)


def run_case(tests, transport, encoding, together, alone):
    name = f"{transport.value} {encoding.value}:"
    with Client(transport, encoding) as client:
        for test in together:
            run(tests, f"{name} {test.__name__}", lambda: test(client))
    for test in alone:
        run(tests, f"{name} {test.__name__}", lambda: test(transport, encoding))


def main():
    tests = Tests()
    for case in CASES:
        run_case(tests, *case)
    # Its threads may still wait for a poll: they are not waited for.
    os._exit(tests.end())


main()
