"""pysignalr over WebSockets with each of its protocols, against the conformance hub."""

import asyncio
import contextlib
import sys

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

from tap import HUBS, Tests, cut

LIMIT = 20


class Client:
    """A connection that runs in a task, with what it tells in queues."""

    def __init__(self, protocol, path="/golden", token=None):
        factory = token and (lambda: token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.hub = SignalRClient(HUBS + path, protocol(), headers, access_token_factory=factory)
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self.errors, self.events = asyncio.Queue(), asyncio.Queue()

        async def opened():
            self.opened.set()

        async def closed():
            self.closed.set()

        async def failed(message):
            await self.errors.put(message.error)

        async def received(arguments):
            await self.events.put(arguments)

        self.hub.on_open(opened)
        self.hub.on_close(closed)
        self.hub.on_error(failed)
        for event in ("Message", "Things", "Gathered"):
            self.hub.on(event, received)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.hub.run())
        await asyncio.wait_for(self.opened.wait(), LIMIT)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(BaseException):
            await self.task

    async def invoke(self, method, *arguments):
        answer = asyncio.get_running_loop().create_future()

        async def answered(message):
            answer.set_result(message.result)

        await self.hub.send(method, list(arguments), answered)
        return await asyncio.wait_for(answer, LIMIT)

    async def fails(self, method, *arguments):
        async def answered(_):
            pass

        await self.hub.send(method, list(arguments), answered)
        return await self.next(self.errors)

    async def next(self, told):
        return await asyncio.wait_for(told.get(), LIMIT)

    async def stream(self, method, *arguments):
        items, over = [], asyncio.Event()

        async def on_next(item):
            items.append(item)

        async def on_complete(_):
            over.set()

        await self.hub.stream(method, list(arguments), on_next, on_complete, on_complete)
        await asyncio.wait_for(over.wait(), LIMIT)
        return items


async def invokes(protocol):
    async with Client(protocol) as client:
        assert await client.invoke("Echo", "Растение 🌱") == "Растение 🌱"
        assert await client.invoke("Add", 2, 3) == 5
        assert await client.invoke("EchoDouble", 0.5) == 0.5
        assert await client.invoke("EchoLong", 2**53) == 2**53
        assert await client.invoke("EchoMap", {"a": 1}) == {"a": 1}
        assert await client.invoke("Null") is None
        assert len(await client.invoke("MakeLong", 100_000)) == 100_000


async def fails(protocol):
    async with Client(protocol) as client:
        error = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: hub bang"
        assert await client.fails("ThrowHub") == error
        assert await client.fails("Secured") == "Failed to invoke 'Secured' because user is unauthorized"


async def receives(protocol):
    async with Client(protocol) as client:
        for number in range(100):
            await client.hub.send("SendCaller", [f"text {number}"])
        for number in range(100):
            assert await client.next(client.events) == [f"text {number}"]
        await client.hub.send("SendObject", [])
        things = [1, None, "x", {"mixedCase": True, "nested": {"a": None}}]
        assert await client.next(client.events) == things


async def streams(protocol):
    async with Client(protocol) as client:
        assert await client.stream("Stream", 200) == list(range(200))
        assert await client.stream("Stream", 0) == []


async def uploads(protocol):
    async with Client(protocol, "/meadow") as client:
        async with client.hub.client_stream("Gather") as stream:
            for number in range(100):
                await stream.send(number)
        assert await client.next(client.events) == [100, 4950]


async def answers(protocol):
    async with Client(protocol, "/meadow") as client:

        async def question(_):
            return 42

        client.hub.on("Question", question)
        assert await client.invoke("Ask") == 42


async def has_a_user(protocol):
    async with Client(protocol, "/golden-auth", token="alice") as client:
        assert await client.invoke("UserOfMe") == "alice"


async def comes_back(protocol):
    """It tries the old connection's address first, which is gone, and then negotiates anew."""
    async with Client(protocol) as client:
        for number in range(3):
            client.opened.clear()
            cut()
            await asyncio.wait_for(client.opened.wait(), LIMIT)
            assert await client.invoke("Echo", f"again {number}") == f"again {number}"


TESTS = [invokes, fails, receives, streams, uploads, answers, has_a_user, comes_back]


async def main():
    tests = Tests()
    for protocol in (JSONProtocol, MessagepackProtocol):
        for test in TESTS:
            name = f"{protocol.__name__}: {test.__name__}"
            try:
                await test(protocol)
                tests.over(name)
            except BaseException as error:
                tests.over(name, error)
    return tests.end()


sys.exit(asyncio.run(main()))
