"""If a host allows no sandbox, the error says what its operator can do."""

import pytest

from adapters.sandbox.zygote.remedies import with_remedy

REFUSED = "unshare: unshare failed: Operation not permitted"


@pytest.mark.parametrize(
    ("failure", "files", "remedy"),
    [
        (REFUSED, {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "AppArmor profile"),
        (
            REFUSED,
            {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n", ".dockerenv": ""},
            "seccomp profile",
        ),
        (REFUSED, {"run/.containerenv": ""}, "--privileged is not needed"),
        (REFUSED, {"proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "unprivileged_userns_clone=1"),
        (REFUSED, {"proc/sys/user/max_user_namespaces": "0\n"}, "raise sysctl user.max_user_namespaces"),
        (REFUSED, {}, "allow unprivileged user namespaces"),
        ("unshare: unshare failed: Permission denied", {"run/.containerenv": ""}, "a profile with `userns,`, or none"),
        ("bwrap: open /proc/2/ns/ns failed: No such file or directory", {"run/.containerenv": ""}, "unmask=/proc/*"),
        ("bwrap: No space left on device", {}, "raise sysctl user.max_user_namespaces"),
    ],
)
def test_the_remedy_is_that_of_this_host(tmp_path, failure, files, remedy):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    text = with_remedy(failure, tmp_path)
    assert failure in text
    assert remedy in text


def test_without_a_known_reason_there_is_no_remedy(tmp_path):
    assert with_remedy("it ended with status 1", tmp_path) == "the sandbox cannot be started: it ended with status 1"
