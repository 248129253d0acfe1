"""A store that speaks S3, on loopback; and a way to it that breaks in the middle of a put."""

import select
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

SECRET = "open-sesame-of-the-store"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty store."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()
        assert server._server is not None
        server._server.server_close()


def client(address: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=SECRET,
    )


class BrokenWay(socketserver.ThreadingTCPServer):
    """Carries what is said to the store and back; of a put only the first *most* bytes."""

    daemon_threads = True

    def __init__(self, store: str, most: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        host, _, port = store.removeprefix("http://").partition(":")
        self.store = (host, int(port))
        self.most = most
        self.is_stuck = Event()
        """Set when a put has got as far as it gets."""
        self.may_break = Event()
        """To be set when the connection of such a put is to be cut."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["BrokenWay"]:
        thread = Thread(target=self.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.may_break.set()
            self.shutdown()
            self.server_close()
            thread.join()


class _Connection(socketserver.BaseRequestHandler):
    server: BrokenWay

    def handle(self) -> None:
        with socket.create_connection(self.server.store) as store:
            left = None
            while True:
                ready, _, _ = select.select([self.request, store], [], [])
                source = ready[0]
                data = source.recv(1024)
                if not data:
                    return
                if source is store:
                    self.request.sendall(data)
                    continue
                if data.startswith(b"PUT "):
                    left = self.server.most
                if left is not None:
                    data, left = data[:left], left - len(data)
                store.sendall(data)
                if left is not None and left <= 0:
                    self.server.is_stuck.set()
                    self.server.may_break.wait()
                    return
