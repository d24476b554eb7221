"""A server that does to a crawler what the web does: one behaviour per host, chosen by the last address octets."""
import asyncio
import gzip
import socket
import struct
import zlib

from .loopback import Http, response
from .nginx import addresses

FOREVER = 3600
ROBOTS = b"User-agent: *\nDisallow: /disallowed/\n"


def bomb():
    """A PNG whose header says 50,000 × 50,000 and which then ends."""
    chunk = lambda kind, data: struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack("!IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")


class Trouble(Http):
    """`links` are what a list must hold; `picture` is a JPEG; `secret` is a port that nobody may ask."""

    def __init__(self, picture, secret):
        self.picture, self.secret = picture, secret
        self.names = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]
        self.of = dict(zip(addresses(len(self.names)), self.names))
        super().__init__(self.of)
        self.disallowed = 0

    def links(self):
        """One link per behaviour, one that robots.txt disallows, duplicates, and what is no link at all."""
        base = {name: f"http://{host}:{self.port}" for host, name in self.of.items()}
        paths = {name: f"{url}/{name}.jpg" for name, url in base.items()}
        paths |= {"unicode": f"{base['unicode']}/карти́нка 画像.jpg", "disallowed": f"{base['disallowed']}/disallowed/a.jpg"}
        private = [f"http://{host}:{self.secret}/a.jpg" for host in ("127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1")]
        odd = ["", "not a url", "ftp://127.0.0.1/a.jpg", "file:///etc/hostname", "http://", "http://[::1", "data:image/png;base64,AAAA"]
        return [*paths.values(), *private, *odd, paths["good"], paths["good"], "http://127.0.0.1:1/closed.jpg"]

    def allow(self):
        """What `net.allow` must name: the hosts, and a closed port; not the secret one."""
        return [f"{host}:{self.port}" for host in self.hosts] + ["127.0.0.1:1"]

    async def answer(self, host, target, writer):
        name = self.of.get(host.split(":")[0], "good")
        if target == "/.well-known/tdmrep.json":
            return writer.write(response(b"", "404 Not Found"))
        if target == "/robots.txt" and name == "robots_hang":
            await asyncio.sleep(FOREVER)
        if target == "/robots.txt":
            return writer.write(response(ROBOTS, kind="text/plain"))
        self.disallowed += target.startswith("/disallowed/")
        return await getattr(self, f"do_{name}")(writer)

    async def do_good(self, writer):
        writer.write(response(self.picture))

    do_unicode = do_disallowed = do_robots_hang = do_good

    async def do_missing(self, writer):
        writer.write(response(b"", "404 Not Found"))

    async def do_broken(self, writer):
        writer.write(response(b"", "500 Internal Server Error"))

    async def do_busy(self, writer):
        writer.write(response(b"", "503 Service Unavailable", Retry_After="3600"))

    async def do_limited(self, writer):
        writer.write(response(b"", "429 Too Many Requests", Retry_After="1"))

    async def do_loop(self, writer):
        writer.write(response(b"", "302 Found", Location="/loop.jpg"))

    async def do_to_private(self, writer):
        writer.write(response(b"", "302 Found", Location=f"http://127.0.0.1:{self.secret}/a.jpg"))

    async def do_to_metadata(self, writer):
        writer.write(response(b"", "302 Found", Location="http://169.254.169.254/latest/meta-data/"))

    async def do_to_file(self, writer):
        writer.write(response(b"", "302 Found", Location="file:///etc/hostname"))

    async def do_to_nowhere(self, writer):
        writer.write(response(b"", "302 Found"))

    async def do_silent(self, writer):
        await asyncio.sleep(FOREVER)

    async def do_slow_head(self, writer):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * FOREVER:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)

    async def do_endless_head(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"a" * 1000 + b"\r\n")
            await writer.drain()

    async def do_endless(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + self.picture[:500])
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            await asyncio.sleep(0.001)

    async def do_drip(self, writer):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.picture)}\r\n\r\n".encode())
        for byte in self.picture:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)

    async def do_huge(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
        await asyncio.sleep(FOREVER)

    async def do_short(self, writer):
        writer.write(response(self.picture)[:-100])
        raise EOFError

    async def do_reset(self, writer):
        writer.write(response(self.picture)[:2000])
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        raise EOFError

    async def do_garbage(self, writer):
        writer.write(b"\x00\xff not HTTP at all \r\n\r\n")
        raise EOFError

    async def do_html(self, writer):
        writer.write(response(b"<html><body>not found</body></html>", kind="text/html"))

    async def do_empty(self, writer):
        writer.write(response(b""))

    async def do_cut(self, writer):
        writer.write(response(self.picture[: len(self.picture) // 2]))

    async def do_gzip(self, writer):
        writer.write(response(gzip.compress(self.picture), Content_Encoding="gzip"))

    async def do_bomb(self, writer):
        writer.write(response(bomb(), kind="image/png"))

    async def do_no_ai(self, writer):
        writer.write(response(self.picture, X_Robots_Tag="noai"))

    async def do_unavailable(self, writer):
        writer.write(response(self.picture, X_Robots_Tag="unavailable_after: 25 Jun 2010 15:00:00 GMT"))

    async def do_reserved(self, writer):
        writer.write(response(self.picture, TDM_Reservation="1"))
