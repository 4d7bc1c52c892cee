"""Kernels that start at once: forked from a process that has imported what the pages import.

A page's kernel otherwise takes two seconds to import PyTorch, SciPy and matplotlib, and most pages take less to draw.
"""

import contextlib
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing import connection

PAGES_IMPORT = (
    "ipykernel.kernelapp",
    "torch._dynamo",  # PyTorch's optimisers import it
    "matplotlib.pyplot",
    "lbgap.course",
    "lbgap.explorers",
    "lbgap.figures:ALL",  # with every module of it
)
WORTH = 3  # notebooks, from which on the imports are saved


@contextlib.contextmanager
def forked(count, imports=PAGES_IMPORT):
    """A context in which so many notebooks are executed, by kernels that are forked where that is quicker."""
    if count < WORTH or not hasattr(os, "fork") or sys.platform == "darwin":  # whose libraries do not stand a fork
        yield
        return
    from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

    class Forked(LocalProvisioner):
        async def launch_kernel(self, cmd, *, cwd, env, **_):
            with connection.Client(address, "AF_UNIX") as parent:
                parent.send((cmd[cmd.index("ipykernel_launcher") + 1 :], str(cwd), env))
                self.process = Process(parent.recv())
            self.pid = self.pgid = self.process.pid
            return self.connection_info

    factory = KernelProvisionerFactory.instance()
    usual = factory.default_provisioner_name
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket(socket.AF_UNIX) as listener:  # closed here, so that who asks in vain is told
            listener.bind(address := f"{folder}/kernels")
            listener.listen(64)
            command = [sys.executable, __file__, str(listener.fileno()), *imports]
            parent = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
        factory.provisioners["forked"] = Entry(Forked)
        factory.default_provisioner_name = "forked"
        try:
            yield
        finally:
            factory.default_provisioner_name = usual
            parent.communicate()  # ends its input, and so the process


class Entry:
    """What jupyter_client takes for the entry point of a provisioner."""

    def __init__(self, provisioner):
        self.load = lambda: provisioner


class Process:
    """What jupyter_client asks of a kernel's process, which is no child of this one."""

    stdin = stdout = stderr = None

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0

    wait = poll

    def send_signal(self, number):
        os.kill(self.pid, number)

    def terminate(self):  # asked of a kernel that is slow to end on a busy machine
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGTERM)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)


def reap(*_):
    """Forget the kernels that have ended, so that whoever looks for one finds that it is gone."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def serve(listener):
    """Fork a kernel for each who asks, until the input ends; returns its arguments in the kernel, None at the end."""
    signal.signal(signal.SIGCHLD, reap)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        with connection.Connection(listener.accept()[0].detach()) as asking:
            arguments, cwd, env = asking.recv()
            pid = os.fork()
            if not pid:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                os.chdir(cwd)
                os.environ.clear()
                os.environ.update(env)
                return [*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]  # with which it ends
            asking.send(pid)


if __name__ == "__main__":
    del sys.path[0]  # this folder
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as a kernel sets it
    for name in sys.argv[2:]:
        with contextlib.suppress(ImportError):  # the page that needs it will say so
            pkgutil.resolve_name(name)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        arguments = serve(listener)
    if arguments is not None:
        from ipykernel.kernelapp import launch_new_instance

        sys.argv[:] = ["ipykernel_launcher", *arguments]
        launch_new_instance()
