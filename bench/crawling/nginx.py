"""nginx as the server of both programs: static files over keep-alive connections on many loopback addresses.

Every address of 127.0.0.0/8 is a host of its own to a crawler that is polite per host, and no DNS is needed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from . import measure
from .loopback import free_port

CONFIG = """daemon off;
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off;
    log_format times '$msec $request_time $status $connections_active';
    sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 60; keepalive_requests 1000000;
    open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        {listen}
        root {root};
        {extra}
        location = /robots.txt {{ return 404; }}
    }}
}}
"""


def addresses(count):
    """127.0.0.2, 127.0.0.3 …; at most 60,000."""
    return [f"127.0.{(n + 1) // 250}.{(n + 1) % 250 + 1}" for n in range(count)]


class Nginx:
    """Serves the files of `root` until the `with` block ends; `log` asks for an access log, `extra` is server config."""

    def __init__(self, root, hosts=64, log=False, extra=""):
        self.program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if self.program is None:
            sys.exit("nginx is missing: apt-get install nginx-light (it is started by hand, the service may stay off)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-nginx-"))
        self.hosts, self.port = addresses(hosts), free_port()
        self.log = self.folder / "access.log"
        text = CONFIG.format(
            folder=self.folder, root=root, user="user root;\n" if os.geteuid() == 0 else "",
            listen=" ".join(f"listen {host}:{self.port} backlog=4096;" for host in self.hosts),
            extra=extra + (f" access_log {self.log} times;" if log else ""),
        )
        (self.folder / "nginx.conf").write_text(text)

    def __enter__(self):
        command = [self.program, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"]
        self.child = subprocess.Popen(command)
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://{self.hosts[0]}:{self.port}/", timeout=1):
                    return self
            except urllib.error.HTTPError:  # an answer all the same
                return self
            except OSError:
                time.sleep(0.05)
        sys.exit(f"nginx does not answer: see {self.folder}/error.log")

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        """CPU seconds so far."""
        return measure.cpu_of(measure.family(self.child.pid))

    def allow(self):
        """What `net.allow` must name."""
        return [f"{host}:{self.port}" for host in self.hosts]

    def link(self, n, name):
        """The `n`th link, to the file `name`: hosts take turns."""
        return f"http://{self.hosts[n % len(self.hosts)]}:{self.port}/{name}"
