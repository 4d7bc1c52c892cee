"""A headless Chromium for tests of what a reader sees: `serve` a folder, `open_browser` at a width, light or dark."""

import functools
import http.server
import shutil
import tempfile
import threading
from contextlib import contextmanager

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a page that needs another host must fail here
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")  # else a page rewritten within the second comes from the cache
        super().end_headers()


@contextmanager
def serve(folder):
    """Serve `folder` on 127.0.0.1 at a free port; yields the base URL, without a slash at the end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def size(driver, width, height):
    """Give the page a viewport of width x height CSS pixels, also below a window's least width."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


def scheme(driver, dark):
    """Let the page believe that the reader prefers a dark (or a light) scheme."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
    )


@contextmanager
def open_browser(*, width=1200, height=900, dark=False, javascript=True):
    """Yield a selenium driver of headless Chromium with no way out to the network; skips the test where there is
    none."""
    try:
        from selenium import webdriver
    except ImportError:
        pytest.skip("NO BROWSER TEST WAS RUN: selenium is missing; install the project's test extra")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    service = shutil.which("chromedriver")
    if not binary or not service:
        pytest.skip(
            f"NO BROWSER TEST WAS RUN: found chromium {binary}, chromedriver {service}; install both and put them on"
            " PATH"
        )
    # the browser may still be writing its profile when it is told to end
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=service))
        try:
            size(driver, width, height)
            scheme(driver, dark)
            if not javascript:
                driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
            yield driver
        finally:
            driver.quit()


def in_the_page(driver, module, body, *given):
    """What `body` returns, an async function's, in the page: with all of an explorer's `module` in scope and `given` as arguments."""
    code = module.replace("export default { render };", "")
    found = driver.execute_async_script(
        f"const done = arguments[arguments.length - 1], all = (async function () {{ {code}\n{body} }});"
        "all.apply(null, arguments).then((value) => done({ value }), (error) => done({ error: String(error.stack) }))",
        *given,
    )
    if "error" in found:
        raise RuntimeError(found["error"])
    return found["value"]


def complaints(driver):
    """The console's warnings and errors since the last call, without the missing favicon."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] in ("WARNING", "SEVERE") and "favicon" not in entry["message"]
    ]
