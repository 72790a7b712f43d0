"""A systemd unit for a node, as text."""

from __future__ import annotations

from collections.abc import Sequence

WATCHDOG_S = 30
"""A node whose event loop has not turned for so long is started again."""

STATE = "/var/lib/dyn"

USER_NOTE = """\
# A dyn node of your own. To install it:
#   mkdir -p ~/.config/systemd/user
#   dyn node unit --user > ~/.config/systemd/user/{service}
#   systemctl --user daemon-reload && systemctl --user enable --now {service}
#   loginctl enable-linger            so that it runs while you are logged out
"""

SYSTEM_NOTE = """\
# A dyn node of this machine. To install it:
#   sudo useradd --system --home-dir {state} --shell /usr/sbin/nologin dyn
#   dyn node unit | sudo tee /etc/systemd/system/{service}
#   sudo systemctl daemon-reload && sudo systemctl enable --now {service}
# What others can reach needs --listen, --key-file and --password-file: put them into a file of settings (--config);
# files of secrets belong to the user dyn, mode 600.
"""

UNIT = """\
[Unit]
Description=dyn node{named}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# A node is ready once it holds what its seat owns: as long as that takes.
TimeoutStartSec=infinity
TimeoutStopSec=30
WatchdogSec={watchdog}
LimitNOFILE=65536
UMask=0077
{place}NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
{hardening}[Install]
WantedBy={target}
"""

SYSTEM_PLACE = """\
User=dyn
Group=dyn
StateDirectory=dyn
StateDirectoryMode=0700
Environment=XDG_DATA_HOME={state} XDG_CONFIG_HOME={state}"""

SYSTEM_HARDENING = """\
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

"""


def unit(program: Sequence[str], *, user: bool, name: str | None, config: str | None) -> str:
    """The unit of a node that is started as `program`. `config` is an absolute path."""
    words = [*program, "node", "start"]
    if name is not None:
        words += ["--name", name]
    if config is not None:
        words += ["--config", config]
    service = f"dyn{f'-{name}' if name is not None else ''}.service"
    note = (USER_NOTE if user else SYSTEM_NOTE).format(service=service, state=STATE)
    at_home = any(word.startswith(("/home/", "/root/", "/run/user/")) for word in program)
    text = UNIT.format(
        named="" if name is None else f" {escaped(name)}",
        command=" ".join(map(escaped, words)),
        watchdog=WATCHDOG_S,
        place="" if user else SYSTEM_PLACE.format(state=STATE) + "\n",
        hardening="\n" if user else SYSTEM_HARDENING.format(home="read-only" if at_home else "yes"),
        target="default.target" if user else "multi-user.target",
    )
    return f"{note}\n{text}"


def escaped(word: str) -> str:
    """A word as systemd reads it: specifiers and variables stand for themselves, and spaces within quotes."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = "".join(char if char.isprintable() else "?" for char in plain)
    return f'"{plain}"' if any(char in plain for char in " ;'\"\\") else plain
