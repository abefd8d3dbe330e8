"""io_uring on this machine: whether it is offered, and programs that are to do without it.

    python3 uring.py           exit status 0 if it is offered, else 1 and the reason
    python3 uring.py [--aio] COMMAND…
                               run it as where a container forbids io_uring, and io_setup, too
"""
import ctypes
import errno
import os
import platform
import struct
import sys

SYS_IO_URING_SETUP = 425  # on all machines of Linux but Alpha
SYS_IO_SETUP = 206 if platform.machine() == "x86_64" else 0  # 0: aarch64, riscv64, loongarch64
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SETUP_FLAGS = 1 << 12 | 1 << 13  # single issuer, deferred task work: Linux 6.1
_libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """None if io_uring is offered with what pgweir needs, else why it is not."""
    params = ctypes.create_string_buffer(struct.pack("=III", 0, 0, SETUP_FLAGS), 120)
    fd = _libc.syscall(SYS_IO_URING_SETUP, 4, params)
    if fd >= 0:
        os.close(fd)
        return None
    return f"io_uring_setup fails with {errno.errorcode[ctypes.get_errno()]}"


def forbid(number=SYS_IO_URING_SETUP):
    """From now on this system call fails with EPERM, in this process and what it becomes."""
    def code(what, yes=0, no=0, k=0):
        return struct.pack("=HBBI", what, yes, no, k)
    program = (code(0x20, k=0)                                 # the system call's number
               + code(0x15, no=1, k=number)                    # is it this one?
               + code(0x06, k=0x00050000 | errno.EPERM)        # then fail
               + code(0x06, k=0x7fff0000))                     # else go on
    text = ctypes.create_string_buffer(program, len(program))
    filt = struct.pack("@HP", len(program) // 8, ctypes.addressof(text))
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filt):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        forbid()
        if sys.argv[1] == "--aio":
            forbid(SYS_IO_SETUP)
            del sys.argv[1]
        os.execv(sys.argv[1], sys.argv[1:])
    REASON = why_not()
    if REASON:
        sys.exit(REASON)
