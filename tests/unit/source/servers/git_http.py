#!/usr/bin/env python3
"""A git server over HTTP for tests: `git http-backend` behind paths that misbehave on purpose.

    git_http.py ROOT LOG [PEM]   serves the bare repositories in ROOT on a free loopback port, prints the port;
                                 with a certificate and key in PEM, over TLS

    /REPO/…            as it is              /auth/REPO/…   only with user:pass
    /moved/REPO/…      302 to /REPO/… here   /away/PORT/…   302 to http://localhost:PORT/…
    /authaway/PORT/…   401, then 302 to http://localhost:PORT/…
    /status/NNN/…      answers NNN           /html/…        200, a web page
    /cut/REPO/…        the pack ends early   /stall/REPO/…  the pack never comes
    /busy/REPO/…       503 twice, then as it is

Every request is one line in LOG: "METHOD PATH AUTHORIZATION". Ends by itself after two minutes.
"""
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading
import time

ROOT, LOG = sys.argv[1], sys.argv[2]
GOOD = "Basic " + base64.b64encode(b"user:pass").decode()
failures = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def backend(self, path, data, cut=False, stall=False):
        path, _, query = path.partition("?")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": ROOT, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(data)),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        reply = subprocess.run(["git", "http-backend"], input=data, env=env, stdout=subprocess.PIPE, check=False).stdout
        head, _, body = reply.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        if self.command == "POST" and (cut or stall):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if stall:
                time.sleep(30)
            self.close_connection = True
            return
        self.answer(status, headers, body)

    def handle_any(self):
        data = self.body()
        authorization = self.headers.get("Authorization", "-")
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(f"{self.command} {self.path} {authorization}\n")
        first, _, rest = self.path[1:].partition("/")
        if first == "auth":
            if authorization != GOOD:
                return self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')])
            return self.backend("/" + rest, data)
        if first == "moved":
            return self.answer(302, [("Location", "/" + rest)])
        if first in ("away", "authaway"):
            if first == "authaway" and authorization != GOOD:
                return self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')])
            port, _, rest = rest.partition("/")
            return self.answer(302, [("Location", f"http://localhost:{port}/{rest}")])
        if first == "status":
            return self.answer(int(rest.partition("/")[0]))
        if first == "html":
            return self.answer(200, [("Content-Type", "text/html")], b"<html>hello</html>")
        if first == "busy":
            repository = rest.partition("/")[0]
            failures[repository] = failures.get(repository, 0) + 1
            if failures[repository] <= 2:
                return self.answer(503)
            return self.backend("/" + rest, data)
        if first in ("cut", "stall"):
            return self.backend("/" + rest, data, cut=first == "cut", stall=first == "stall")
        return self.backend(self.path, data)

    do_GET = do_POST = handle_any


threading.Timer(120, lambda: os._exit(1)).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
