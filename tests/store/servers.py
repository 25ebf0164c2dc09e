"""Servers of files on this machine for the tests: HTTP with ranges, counted and sometimes faulty; and S3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """What a server was asked, and how it is to misbehave."""

    url: str = ""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """(path with its query, header or method, bytes sent) of each answer."""
    busy: int = 0
    """So many answers to come are 503."""
    cut: float = 1.0
    """Share of the bytes promised that are sent before the connection is closed."""
    short: int = 0
    """Bytes by which answers to ranges are shorter than asked, without saying so."""
    until: int = 0
    """Leaves are answered once so many of them have been asked for."""
    seen: set[str] = field(default_factory=set)
    enough: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    password: str = ""
    """What is wanted as HTTP basic authorization; empty for nothing."""

    @property
    def bytes(self) -> int:
        return sum(size for _, _, size in self.asked)

    def files(self, end: str = ".parquet") -> list[tuple[str, str, int]]:
        return [one for one in self.asked if one[0].partition("?")[0].endswith(end)]


@contextmanager
def http_server(root: Path) -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            wanted = self.headers.get("Range", "") if with_body else self.command
            path = root / self.path.partition("?")[0].lstrip("/")
            if served.until and "Npix=" in path.name:
                served.seen.add(path.as_posix())
                if len(served.seen) >= served.until:
                    served.enough.set()
                served.enough.wait(timeout=20)
            if served.password and self.headers.get("Authorization") != served.password:
                return self.send(401, b"", wanted)
            if served.busy > 0:
                served.busy -= 1
                return self.send(503, b"", wanted)
            if not path.is_file():
                return self.send(404, b"", wanted)
            content, status = path.read_bytes(), 200
            if wanted.startswith("bytes=") and served.ranges:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start = int(first) if first else max(0, len(content) - int(last))
                stop = int(last) + 1 if first and last else len(content)
                content, status = content[start : stop - served.short], 206
            state = path.stat()
            headers = {"ETag": f'"{state.st_mtime_ns}-{state.st_size}"', "Last-Modified": str(state.st_mtime_ns)}
            return self.send(status, content, wanted, headers, with_body)

        def send(
            self, status: int, content: bytes, wanted: str, headers: dict[str, str] | None = None, body: bool = True
        ) -> None:
            sent = content[: int(len(content) * served.cut)] if body else b""
            served.asked.append((self.path, wanted, len(sent)))
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)
            self.close_connection = len(sent) < len(content) and body

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def s3_server(root: Path, bucket: str) -> Iterator[dict[str, object]]:
    """Serve the files of a folder as a bucket, and yield the storage options it takes."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"key": "a-key", "secret": "a-secret"}
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id=keys["key"],
        aws_secret_access_key=keys["secret"],
    )
    try:
        client.create_bucket(Bucket=bucket)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                client.put_object(Bucket=bucket, Key=path.relative_to(root).as_posix(), Body=path.read_bytes())
        yield {**keys, "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}}
    finally:
        client.close()
        server.stop()
