"""What an operator can do if the host does not allow a sandbox."""

import contextlib
from pathlib import Path

_REFUSED = ("Operation not permitted", "Permission denied", "No permissions to create", "unshare failed")
_NO_CHILD = ("ns/ns failed",)
"""bubblewrap's message if it does not find its child in /proc."""
_MODULE_SIGN = "unshare failed: Permission denied"
"""The kernel itself answers `Operation not permitted`."""
_EXHAUSTED = ("No space left on device", "max_user_namespaces", "nesting depth")

_APPARMOR = (
    "this kernel (Ubuntu 23.10 and later) allows user namespaces only to programs with an AppArmor profile. Give the "
    "service's Python and bwrap a profile with `userns,`, or turn the restriction off: "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
)
_MODULE = (
    "a security module of the host, such as AppArmor, refuses user namespaces to unshare or bwrap. Give the program "
    "that the kernel's log names (DENIED userns_create) a profile with `userns,`, or none"
)
_CLONE_OFF = "user namespaces are off for normal users. Set sysctl kernel.unprivileged_userns_clone=1."
_NONE_LEFT = "the limit of user namespaces is reached: raise sysctl user.max_user_namespaces and max_mnt_namespaces"
_CONTAINER = (
    "this container's runtime refuses namespaces and mounts, as Docker and Podman do by default: run it with the "
    "seccomp profile deploy/seccomp.json, which allows clone, unshare, setns, mount, umount2, pivot_root, chroot and "
    "sethostname, and with --security-opt apparmor=unconfined if AppArmor is on; --privileged is not needed"
)
_HIDDEN_PROC = (
    "parts of /proc are hidden, so the kernel refuses the sandbox a /proc of its own: run the container with "
    "--security-opt unmask=/proc/* (Podman), --security-opt systempaths=unconfined (Docker) or procMount: Unmasked "
    "(Kubernetes); a unit of systemd needs ProtectProc=default"
)
_SYSCTLS = (
    ("kernel/apparmor_restrict_unprivileged_userns", "1", _APPARMOR),
    ("kernel/unprivileged_userns_clone", "0", _CLONE_OFF),
    ("user/max_user_namespaces", "0", _NONE_LEFT),
)
_OTHERWISE = "allow unprivileged user namespaces, and mounts within them"


def with_remedy(failure: str, root: Path = Path("/")) -> str:
    """Return the launcher's message, and the remedy if the host's settings show one."""
    remedy = _remedy(failure, root)
    reason = f"the sandbox cannot be started: {failure}"
    return reason if remedy is None else f"{reason}. What to do: {remedy}"


def _remedy(failure: str, root: Path) -> str | None:
    for signs, remedy in ((_NO_CHILD, _HIDDEN_PROC), (_EXHAUSTED, _NONE_LEFT)):
        if any(sign in failure for sign in signs):
            return remedy
    if not any(sign in failure for sign in _REFUSED):
        return None
    for name, value, remedy in _SYSCTLS:
        if _text_of(root / "proc/sys" / name) == value:
            return remedy
    if _MODULE_SIGN in failure:
        return _MODULE
    in_container = any((root / name).exists() for name in (".dockerenv", "run/.containerenv"))
    return _CONTAINER if in_container else _OTHERWISE


def _text_of(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    return ""
