"""Servers of ours on loopback addresses, each on an event loop in a thread of its own."""
import asyncio
import contextlib
import socket
import threading


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody uses."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Loop(threading.Thread):
    """An event loop; `open` starts what serves, the end of the `with` block stops all of it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.loop, self.ready = asyncio.new_event_loop(), threading.Event()

    async def open(self):
        """Starts serving."""
        raise NotImplementedError

    def run(self):
        asyncio.set_event_loop(self.loop)
        # Clients that leave early are what these servers are for.
        self.loop.set_exception_handler(lambda *_: None)
        self.loop.run_until_complete(self.open())
        self.ready.set()
        self.loop.run_forever()

    def __enter__(self):
        self.start()
        if not self.ready.wait(10):
            raise RuntimeError("a loopback server does not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(10)


class Http(Loop):
    """HTTP/1.1 with keep-alive: `answer` is given host and target of each request and writes what it likes."""

    def __init__(self, hosts=("127.0.0.1",)):
        super().__init__()
        self.hosts, self.port, self.connections = list(hosts), free_port(), 0

    async def open(self):
        await asyncio.start_server(self.serve, self.hosts, self.port, backlog=4096)

    async def serve(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                target = head.split(" ", 2)[1]
                await self.answer(headers.get("host", ""), target, writer)
                await writer.drain()
        writer.close()

    async def answer(self, host, target, writer):
        """Writes the answer to one request; raises EOFError to close the connection."""
        raise NotImplementedError


def response(body, status="200 OK", kind="image/jpeg", **headers):
    """A whole answer; `X_Robots_Tag="noai"` is the header `X-Robots-Tag: noai`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
