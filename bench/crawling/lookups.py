"""Row g: how often a crawl of 10,000 links on 100 hosts asks DNS."""
import asyncio
import collections
import socket
import struct

from . import tools
from .job import write_links
from .loopback import Loop, free_port
from .nginx import Nginx

HOSTS = 100
TTL = 300
TYPES = {1: "A", 28: "AAAA"}


def counted(job):
    """DNS look-ups for 10,000 links on 100 hosts"""
    files = job.pictures("tiny", 100, 0, 0, 64, 48)
    names, count = sorted(path.name for path in files.glob("*.jpg")), job.count(10_000, 1_000)
    with Nginx(files) as nginx, Dns(nginx.hosts) as dns, job.scratch() as folder:
        hosts = [f"host-{n:02}.example" for n in range(HOSTS)]
        links = [f"http://{hosts[n % HOSTS]}:{nginx.port}/{names[n % len(names)]}?{n}" for n in range(count)]
        links = write_links(folder / "links.csv", links)
        allow = [f"{host}:{nginx.port}" for host in hosts]
        sections = {"net": {"allow": allow, "dns": [f"127.0.0.1:{dns.port}"]}, "output": {"rows_per_unit": 1000}}
        run, summary = tools.ours(job.program, folder, links, sections)
    if not run.ok or summary["counts"].get("ok", 0) != count:
        raise RuntimeError(f"not complete: {summary or run.said[-2000:]}")
    kinds = collections.Counter(kind for _, kind in dns.asked.elements())
    table = [
        ["names looked up", f"at most {HOSTS}", f"{kinds['A']:,} A queries for {len({name for name, _ in dns.asked}):,} names"],
        ["queries of other types", "", ", ".join(f"{n:,} {kind}" for kind, n in kinds.items() if kind != "A") or "none"],
        ["most queries of one name and type", "", f"{max(dns.asked.values())}"],
    ]
    about = f"{count:,} links on {HOSTS} hosts in units of 1,000, TTL {TTL} s, {run.wall:.1f} s, a DNS server of its own on loopback"
    job.report("Crawl: DNS look-ups", about, ["what", "asked", "measured"], table)


class Dns(Loop):
    """A DNS server over UDP that gives every name one address, the addresses in turn, and counts."""

    def __init__(self, addresses):
        super().__init__()
        self.addresses, self.port, self.asked = addresses, free_port(socket.SOCK_DGRAM), collections.Counter()

    async def open(self):
        await self.loop.create_datagram_endpoint(lambda: Answers(self), ("127.0.0.1", self.port))

    def reply(self, query):
        """RFC 1035, section 4: header, the question again, one answer for type A and none for others."""
        name, end = question(query)
        kind = struct.unpack("!H", query[end : end + 2])[0]
        self.asked[name, TYPES.get(kind, str(kind))] += 1
        answers = b""
        if kind == 1:
            address = socket.inet_aton(self.addresses[sum(name.encode()) % len(self.addresses)])
            answers = struct.pack("!HHHIH", 0xC00C, 1, 1, TTL, 4) + address
        flags = 0x8180 | struct.unpack("!H", query[2:4])[0] & 0x0110
        return query[:2] + struct.pack("!HHHHH", flags, 1, bool(answers), 0, 0) + query[12 : end + 4] + answers


def question(query):
    """The name that is asked for, and where it ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), at + 1


class Answers(asyncio.DatagramProtocol):
    """The socket of `Dns`."""

    def __init__(self, dns):
        self.dns = dns

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(self.dns.reply(data), addr)
