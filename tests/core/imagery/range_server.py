"""A web server over a folder that serves parts of files, as an object store does: `python range_server.py FOLDER`.

Prints its port, then the size of each part it sends. In a process of its own: GDAL asks while it holds Python up.
"""

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Ranges(BaseHTTPRequestHandler):
    """Answers requests for the files of the folder."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, with_body: bool) -> None:
        path = Path(sys.argv[1]) / self.path.lstrip("/")
        content = path.read_bytes() if path.is_file() else None
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = (int(wanted[1]), int(wanted[2] or len(content) - 1) + 1) if wanted else (0, len(content))
        part = content[start:stop]
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if with_body:
            print(len(part), flush=True)
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    print(server.server_port, flush=True)
    server.serve_forever()
