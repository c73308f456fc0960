"""Names of people and of their accounts, where the form of a tool's output says that one stands there.

A pattern of the rules finds a sign of such a form: the address behind a name, the modes of a file, `uid=`. Here the
name is read. Every look back and ahead is bounded, so that a sign costs a bounded time.
"""

import re
from collections.abc import Sequence
from typing import Final

EVERYBODY: Final = frozenset(
    b"user username name you shared public default runner runneradmin vscode node ubuntu debian coder app "
    b"ec2-user linuxbrew codespace gitpod jovyan".split()
)
"""Accounts that many machines have, and that name no person."""


def accounts(data: bytes, start: int, _: int) -> Sequence[tuple[int, int]]:
    """Return where the account's name is in the output of `ls -l`, `tar -tv`, `id`, `stat`, `ps aux` or `env`."""
    for form in _FORMS:
        found = form.search(data, max(0, start - _BEFORE), start + _BEHIND)
        if not found or not found.start() <= start < found.end():
            continue
        name = found[1]
        if name.lower() in EVERYBODY or name.lower() in _SERVICES:
            return ()
        # A person's own group is called as the person is.
        again = re.compile(rb"(?:[ /(,])(" + re.escape(name) + rb")(?![A-Za-z0-9_.-])")
        line_end = data.find(b"\n", found.end(1), found.end(1) + _LINE)
        behind = again.finditer(data, found.end(1), line_end if line_end >= 0 else found.end(1) + _GROUPS)
        return (found.span(1), *(other.span(1) for other in behind if other.start() < found.end(1) + _GROUPS))
    return ()


def name_before(data: bytes, end: int) -> Sequence[tuple[int, int]]:
    """Return where the name that ends at data[:end] is: words in capitals, in quotes, or behind a label."""
    before = data[max(0, end - _LONGEST_NAME) : end].decode("utf-8", "ignore")
    if quoted := _QUOTED.search(before):
        last = end - len(before[quoted.end(1) :].encode())
        return ((last - len(quoted[1].encode()), last),)
    found = _WORDS.search(before)
    words = found[0].split(" ") if found else []
    if found and not _LABEL.search(before, 0, found.start()):
        while words and not _is_capitalised(words[0]):
            words.pop(0)
    name = " ".join(words)
    if not name or name.lower() in _NO_NAMES or not _LETTER.search(name):
        return ()
    return ((end - len(name.encode()), end),)


def _is_capitalised(word: str) -> bool:
    """Whether a word begins with a capital, or in a script without them."""
    return word[0].isalpha() and not word[0].islower()


_BEFORE: Final = 48
_BEHIND: Final = 160
_LINE: Final = 400
_GROUPS: Final = 160
_LONGEST_NAME: Final = 80
_QUOTED: Final = re.compile(r'"([^"\\<>@\n]{2,60})\\{0,3}"\Z')
_WORDS: Final = re.compile(r"(?:[\w.'\u2019-]+ ){0,4}[\w.'\u2019-]+\Z")
_LETTER: Final = re.compile(r"[^\W\d_]")
_LABEL: Final = re.compile(
    r"(?i)(?:author|commit|committer|tagger|from|to|cc|[a-z]-by|name)\\{0,3}[\"']?[ \t]*[:=][ \t]*[\\\"']{0,4}\Z"
)
_NO_NAMES: Final = frozenset({"not committed yet", "your name", "full name", "first last", "name"})
_NAME: Final = rb"([A-Za-z_][A-Za-z0-9_.-]{0,31})"
_MODES: Final = rb"r[w-][xsS-][r-][w-][xsS-][r-][w-][xtT-][.+@]? +"
_FORMS: Final = tuple(
    map(
        re.compile,
        (
            _MODES + rb"[0-9]+ +" + _NAME + rb" ",
            _MODES + _NAME + rb"/[A-Za-z0-9_.-]{1,32} +[0-9]",
            rb"uid=[0-9]+\(" + _NAME + rb"\)",
            rb"Uid: \( *[0-9]+/ *" + _NAME + rb"\)",
            rb"(?:LOGNAME|SUDO_USER)=[\"']?" + _NAME + rb"(?=\s|\\|[\"']|\Z)",
            rb"(?:\A|[\n\t])" + _NAME + rb"\+? +[0-9]{1,7} +[0-9]{1,3}\.[0-9] +[0-9]{1,3}\.[0-9] ",
        ),
    )
)
_SERVICES: Final = frozenset(
    b"""root daemon bin sys sync games man lp mail news uucp proxy backup list irc gnats nobody messagebus sshd adm
    wheel staff operator admin administrator deploy deployer ci guest postgres mysql redis mongodb elasticsearch nginx
    www-data apache httpd caddy haproxy tomcat jenkins gitlab gitlab-runner git docker containerd kubernetes rabbitmq
    kafka zookeeper prometheus grafana clickhouse vagrant circleci travis builder build worker web service nonroot
    appuser python ruby airflow spark hadoop hdfs systemd-network systemd-resolve systemd-timesync syslog polkitd avahi
    dbus rtkit colord chrony ntp bind named postfix dovecot memcached nixbld claude agent sandbox test tester dev
    developer bitnami steam pi trustedinstaller""".split()
)
