"""Chromium by its DevTools protocol, over the pipe that --remote-debugging-pipe gives: no library."""
import json
import os
import subprocess
import time


class Browser:
    """One page. Bounds: `timeout` seconds for each answer."""

    def __init__(self, program, folder, *more, timeout=60):
        self.timeout = timeout
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        self._n, self._read = 0, b""

        def as_pipe():  # Chromium reads descriptor 3 and writes 4
            os.dup2(os.dup(theirs_in), 3)
            os.dup2(os.dup(theirs_out), 4)
        self._process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             f"--user-data-dir={folder}/profile", "--remote-debugging-pipe", *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=as_pipe, close_fds=False)
        os.close(theirs_in)
        os.close(theirs_out)
        os.set_blocking(self._from, False)
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self._ask("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._to)
        self._process.kill()
        self._process.wait()
        os.close(self._from)

    def _message(self):
        deadline = time.monotonic() + self.timeout
        while b"\0" not in self._read:
            try:
                more = os.read(self._from, 1 << 20)
                if not more:
                    raise RuntimeError(f"the browser has ended: {self._process.wait()}")
                self._read += more
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("the browser does not answer") from None
                time.sleep(0.01)
        text, _, self._read = self._read.partition(b"\0")
        return json.loads(text)

    def _ask(self, method, **params):
        self._n += 1
        request = {"id": self._n, "method": method, "params": params}
        if getattr(self, "_session", None):
            request["sessionId"] = self._session
        os.write(self._to, json.dumps(request).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._n:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def open(self, url, until):
        """Go there, and wait until the expression is true."""
        self._ask("Page.navigate", url=url)
        deadline = time.monotonic() + self.timeout
        while not self.value(until):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{until} at {url}")
            time.sleep(0.05)

    def value(self, expression):
        """Of JavaScript, as JSON has it."""
        result = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def press(self, key, code):
        """A key, by its name and its Windows code, as people press it."""
        text = {"Enter": "\r"}.get(key)
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **more)

    def accessible(self):
        """What a screen reader is given: [(role, name, properties)], in the order of the document."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", ""),
                 {p["name"]: p["value"].get("value") for p in n.get("properties", [])})
                for n in nodes if not n["ignored"]]

    def prefer(self, scheme):
        """light or dark, as the system's setting says."""
        self._ask("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
