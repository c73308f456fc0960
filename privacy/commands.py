"""Passwords among the arguments of commands: `curl -u user:password`, `mysql -ppassword`, `zip -P password`.

A pattern of the rules finds a program's name; here the rest of its command is read. Between the name and the flag
stands a bounded stretch of one line, so that reading a command costs a bounded time.
"""

import re
from collections.abc import Sequence
from typing import Final

from privacy.names import Strength
from privacy.values import Form, is_secret

MAX_COMMAND: Final = 400


def passwords(data: bytes, start: int, _: int) -> Sequence[tuple[int, int]]:
    """Return where passwords stand in the command that begins at data[start:]."""
    spans = set[tuple[int, int]]()
    for command, power in _COMMANDS:
        found = command.match(data, start, start + MAX_COMMAND)
        if found and is_password(data[found.start(1) : found.end(1)], power):
            spans.add(found.span(1))
    return sorted(spans)


def is_password(argument: bytes, power: Strength = Strength.strong) -> bool:
    """Whether the argument of a command is a password, and no other flag, file, variable or placeholder."""
    text = argument.decode("utf-8", "replace")
    if text.startswith(("-", "/", "./", "~/", "$")) or _PORT_OR_ID.fullmatch(text):
        return False
    return is_secret(power, text, Form.plain)


_PORT_OR_ID: Final = re.compile(r"[0-9.]{0,16}:?[0-9]{1,5}(?::[0-9]{1,5})?(?:/(?:tcp|udp))?")
_ROWS: Final = r"""
curl\b⋯ (?:-[a-zA-Z]{0,6}u|-U|--user|--proxy-user)[ =]{0,4}Q[^\s:"'\\]{0,80}:
curl\b⋯ (?:-[a-zA-Z]{0,6}b|--cookie)[ =]{0,4}Q[^\s=;:"'\\/]{1,60}=
https? ⋯-a[ =]{1,4}Q[^\s:"'\\]{1,80}:
sshpass +-p {0,4}Q
(?:mysql|mariadb)[a-z-]{0,10}⋯ -pQ
(?:login|twine) ⋯-p[ =]{1,4}Q
login +[^\s]{1,80}[ \r\n]+password +
redis-cli\b⋯ (?:-a|--pass)[ =]{1,4}Q
(?:mongo(?:sh|dump|restore|export|import|stat)?|cqlsh|cypher-shell|psexec|cockroach|vsql|nuget|winrs)\b⋯ -[pP] {0,4}Q
(?:sqlcmd|bcp|osql|isql|zip|unzip|zipcloak)\b⋯ -P {0,4}Q
(?:7za?|7zr|rar|unrar) ⋯ -h?pQ
ldap[a-z]{2,12}\b⋯ -w {0,4}Q
rabbitmqctl +(?:add_user|change_password) +[^\s]{1,60} +Q
(?:ACL +SETUSER|acl +setuser) ⋯>
AUTH +(?:default +)?Q
smb[a-z]{2,10}\b⋯-U {0,4}Q[^\s%"']{1,60}%
(?i:net(?:\.exe)? +use +(?:[a-z*]:? +)?)Q\\{2,8}[^\s]{1,120} +Q
(?i:net(?:\.exe)? +user +)[^\s]{1,60} +Q
[a-z]{0,6}freerdp[0-9]?\b⋯ /p:Q
lftp\b⋯-u {0,4}Q[^\s,"']{1,60},
htpasswd +(?:-[A-Za-z0-9]{1,6} +){1,5}[^\s-][^\s]{0,120} +[^\s]{1,60} +Q
htpasswd +-[a-zA-Z]{0,4}n[a-zA-Z]{0,4} +[^\s]{1,60} +Q
openssl\b⋯-pass(?:in|out)?[ =]{1,4}Qpass:
openssl +enc\b⋯ -k {1,4}Q
openssl +passwd +(?:-[a-z0-9]{1,6} +){0,3}Q
(?:useradd|usermod|adduser)\b⋯ (?:-p|--password)[ =]{1,4}Q
(?i:ConvertTo-SecureString +(?:-AsPlainText +|-Force +|-String +){0,3})\\{0,7}["']
(?:vault|cargo) +login +Q
mc +(?:alias +set|config +host +add) +[^\s]{1,60} +[^\s]{1,120} +[^\s]{1,60} +Q
?(?:-u|--user(?:name)?)[ =]{1,4}Q[^\s"']{1,60}(?:\\{0,7}["'])?⋯ -p[ =]{0,4}Q
?(?:-u|--user)[ =]{1,4}Q[^\s:"'\\/]{1,60}:
ngrok +(?:config +add-)?authtoken +
snyk +auth +
(?i:identified +(?:with +[a-z0-9_"']{1,40} +)?by +(?:password +)?)\\{0,7}["']
--from-literal[ =]{1,4}Q[^\s="']{1,80}=
(?:(?:[Bb]asic|[Dd]igest)_?[aA]uth|basic|auth {0,4}=) {0,4}=? {0,4}\( {0,4}§
getConnection\([^\n;]{0,200}?, {0,4}§
"""
"""How a command goes up to its password: ⋯ is a stretch of the line, a blank may be a tab, Q a quote that may be, and
§ a user in quotes, a comma and the quote of the password.

Behind a `?` the program is any, so that a word is no password there."""


def _compiled(row: str) -> tuple[re.Pattern[bytes], Strength]:
    power = Strength.vague if row.startswith("?(") else Strength.strong
    row = row.replace("§", r"""\\{0,7}["'][^"'\n\\]{0,80}\\{0,7}["'] {0,4}, {0,4}\\{0,7}["']""")
    regex = re.sub(r" (?![^\[]*\])", r"[ \\t]", row.removeprefix("?")).replace("[ ", r"[ \t")
    regex = regex.replace("⋯", r"[^\n|;]{0,160}?").replace("Q", r"(?:\\{0,7}[\"'])?")
    return re.compile(rb"%b([^\s\"'\\|<>\x1b]{3,200})" % regex.encode()), power


_COMMANDS: Final = tuple(map(_compiled, _ROWS.strip().splitlines()))
