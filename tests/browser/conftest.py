"""Real notebooks in a real browser: JupyterLab on this machine, Debian's chromium, Playwright.

    def test_it(lab):
        notebook = lab.open("from nasworkbench...", "widget = ...; widget")
        notebook.run_all()
        notebook.root.get_by_role("button", name="Stop").click()

Nothing may leave this machine, and the browser's console must stay free of errors: both are
checked after every test. Without chromium these tests are skipped; where ``CI`` is set they fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
MISSING = "chromium is not installed: apt-get install --no-install-recommends chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]

#: "Idle" is shown before the kernel answers: a cell that is run before then is silently lost.
READY = """async () => {
    const app = window.jupyterapp; await app.restored;
    while (!app.shell.currentWidget?.context) await new Promise(go => setTimeout(go, 50));
    const panel = app.shell.currentWidget; await panel.context.ready;
    await panel.sessionContext.ready; await panel.sessionContext.session.kernel.info; }"""
RUN = """async (number) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.deselectAll(); notebook.activeCellIndex = number;
    return await window.jupyterapp.commands.execute('notebook:run-cell'); }"""
NO_NEWS = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(180))


class Notebook:
    """An open notebook: ``page`` is Playwright's, ``root`` what the notebook's panel shows."""

    def __init__(self, page):
        self.page = page
        self.root = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def run(self, number):
        """Run one cell (from 0) and wait for its end.

        A widget is ready when something of it can be seen; a change has reached Python when
        something that Python wrote can be seen. Wait for that after every step.
        """
        assert self.page.evaluate(RUN, number) is True, self.text(number)

    def run_all(self):
        cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
        for number in range(self.page.evaluate(cells)):
            self.run(number)

    def cell(self, number):
        return self.root.locator(f".jp-Cell[data-windowed-list-index='{number}']")

    def text(self, number):
        """What a cell printed."""
        return self.cell(number).locator(".jp-OutputArea").inner_text()

    def dark(self, on=True):
        theme = "JupyterLab Dark" if on else "JupyterLab Light"
        self.page.evaluate(
            "(theme) => { window.jupyterapp.commands.execute('apputils:change-theme', {theme}) }",
            theme,
        )
        light = f"body[data-jp-theme-light='{str(not on).lower()}']"
        self.page.wait_for_selector(light, state="attached")
        self.page.wait_for_timeout(400)  # the stylesheet is being fetched


class Lab:
    """A JupyterLab, and a browser that looks at it."""

    def __init__(self, address, token, folder, context):
        self.address, self.token, self.folder, self.context = address, token, folder, context
        self.outside, self.errors, self.count = [], [], 0
        context.route("**/*", self._gate)

    def _gate(self, route):
        url = route.request.url
        if url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def open(self, *sources, width=1200, height=1500):
        """A new notebook with these code cells, open and its kernel ready; nothing has run."""
        self.count += 1
        name = f"notebook-{self.count}.ipynb"
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(made, self.folder / name)
        return self.open_file(name, width, height)

    def open_file(self, name, width=1200, height=1500):
        """A notebook that lies in ``folder`` already."""
        page = self.context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{self.address}/lab/tree/{name}?token={self.token}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        notebook = Notebook(page)
        notebook.root.wait_for(state="visible")
        page.evaluate(READY)
        return notebook

    def close_all(self):
        for page in self.context.pages[1:]:
            page.evaluate(
                "() => window.jupyterapp.serviceManager.sessions.shutdownAll().catch(() => null)"
            )
            page.close()


@pytest.fixture(scope="session")
def _lab(tmp_path_factory):
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    from playwright.sync_api import expect, sync_playwright

    folder = tmp_path_factory.mktemp("lab")
    with (
        _jupyterlab(folder) as (address, token),
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        context = playwright.chromium.launch_persistent_context(
            profile, headless=True, executable_path=CHROMIUM, args=FLAGS
        )
        context.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield Lab(address, token, folder, context)
        context.close()


@pytest.fixture
def lab(_lab):
    _lab.outside.clear()
    _lab.errors.clear()
    yield _lab
    errors = list(_lab.errors)  # JupyterLab's own farewells, as its kernels end, are none of them
    _lab.close_all()
    assert _lab.outside == [], "something was asked for outside this machine"
    assert errors == [], "the browser's console shows errors"


@contextlib.contextmanager
def _jupyterlab(folder):
    """A JupyterLab of its own: own settings, a free port, a token; ended with all its kernels."""
    home, port, token = folder / ".jupyter", _free_port(), secrets.token_hex(16)
    (home / "config" / "labconfig").mkdir(parents=True)
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.write_text(json.dumps(NO_NEWS))
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment = kept | {name: str(home / place) for name, place in places.items()}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly", "--LanguageServerManager.autodetect=False",
        "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    log = folder / ".lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that finally is reached
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=2).close()
                break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.2)
        yield address, token
    finally:
        signal.signal(signal.SIGTERM, before)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
