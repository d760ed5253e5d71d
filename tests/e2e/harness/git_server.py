"""Git's own server of repositories over HTTP, `git http-backend`, as an answer of a recording target."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.upstream import Connection, Seen

AUTHOR = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@git.example",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@git.example",
}


class GitServer:
    """Serves `home` to everybody, to read and to write. Answers as CGI programs do (RFC 3875)."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def make(self, name: str, files: dict[str, str]) -> None:
        """A bare repository below `home` with one commit of `files`."""
        work = self.home / "work"
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git(work, "init", "--quiet", "--initial-branch=main")
        git(work, "add", ".")
        git(work, "commit", "--quiet", "--message=All there is")
        git(self.home, "clone", "--quiet", "--bare", "work", name)
        git(self.home / name, "config", "http.receivepack", "true")

    def __call__(self, connection: Connection, seen: Seen) -> None:
        given = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.home),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REQUEST_METHOD": seen.method,
            "PATH_INFO": seen.path,
            "QUERY_STRING": seen.query,
            "CONTENT_TYPE": seen.header("content-type") or "",
            "CONTENT_LENGTH": str(len(seen.body)),
            "HTTP_CONTENT_ENCODING": seen.header("content-encoding") or "",
            "GIT_PROTOCOL": seen.header("git-protocol") or "",
        }
        done = subprocess.run(["git", "http-backend"], env=given, input=seen.body, capture_output=True, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
        status = fields.pop(b"Status", b"200 OK")
        lines = [b"HTTP/1.1 " + status, *(b": ".join(field) for field in fields.items())]
        connection.send(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body]))


def git(place: Path, *arguments: str) -> str:
    """The output of one git command in `place`, with no settings but ours."""
    environment = {"PATH": os.environ["PATH"], **AUTHOR}
    command = ["git", "-C", str(place), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
