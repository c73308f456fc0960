#!/usr/bin/env bash
# Checks whether this machine can run the server, before or while it runs: Docker or Python, files, settings, ports, disk,
# memory, clock. Prints a line for each: ok, warn with advice, or FAIL with the remedy. Changes nothing.
#
#   scripts/verify-setup.sh             for Docker if its daemon answers and there is no .venv, else for Python
#   scripts/verify-setup.sh --docker    for docker-compose.yml
#   scripts/verify-setup.sh --python    for scripts/start.sh
#
# Exits 0 when no line says FAIL, 1 when one does, 2 for wrong options.

# shellcheck source=scripts/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

with=''
for argument in "$@"; do
    case $argument in
    -h | --help)
        print_help
        exit 0
        ;;
    --docker | --python) with=${argument#--} ;;
    *)
        printf '%s: unknown option %s; see --help\n' "$script" "$argument" >&2
        exit 2
        ;;
    esac
done
cd "$root"

failures=0
say() { # VERDICT ABOUT TEXT [REMEDY]
    printf '  %-4s  %-12s %s\n' "$1" "$2" "$3"
    [ "$1" = ok ] || [ -z "${4:-}" ] || printf '        %-12s -> %s\n' '' "$4"
    [ "$1" != FAIL ] || failures=$((failures + 1))
}

# Prints a setting from the environment, .env or the default. Not for secrets.
setting() { # NAME DEFAULT
    local value=${!1:-}
    if [ -z "$value" ] && [ -r .env ]; then
        value=$(sed -n "s/^[[:space:]]*\(export \)\{0,1\}$1=//p" .env | tail -n 1 | sed "s/^[\"']\(.*\)[\"']\$/\1/")
    fi
    printf '%s' "${value:-$2}"
}

daemon_answers() {
    docker info >/dev/null 2>&1
}

if [ -z "$with" ]; then
    if [ ! -e .venv ] && has_docker && daemon_answers; then with=docker; else with=python; fi
fi

check_docker() {
    if ! command -v docker >/dev/null; then
        say FAIL docker 'is not installed' 'Install Docker Engine with the Compose plugin, or use --python.'
    elif ! docker compose version >/dev/null 2>&1; then
        say FAIL docker 'has no Compose plugin' 'Install docker-compose-plugin (version 2.20 or newer).'
    elif ! daemon_answers; then
        say FAIL docker 'its daemon does not answer' \
            'Start it (systemctl start docker), or let this user use it (group docker).'
    else
        say ok docker "Docker $(docker version --format '{{.Server.Version}}' 2>/dev/null), Compose $(docker compose version --short)"
    fi
}

check_python() {
    local candidate version
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            version=$("$candidate" -c 'import platform; print(platform.python_version())')
            say ok python "$candidate is $version, with venv"
            return
        fi
    done
    say FAIL python 'there is no Python 3.11 or newer with venv' \
        'Debian, Ubuntu: apt install python3 python3-venv. Or set PYTHON to one. Or use --docker.'
}

check_machine() {
    local system
    system="$(uname -s) $(uname -m)"
    case $system in
    'Linux x86_64')
        if [ -r /proc/cpuinfo ] && ! grep -qw avx2 /proc/cpuinfo; then
            say warn machine "$system without AVX2" "ClickHouse's images need AVX2; the embedded engine may too."
        else
            say ok machine "$system"
        fi
        ;;
    'Linux aarch64') say warn machine "$system" 'Not tested there.' ;;
    *) [ "$with" = docker ] || say FAIL machine "$system" 'The server needs Linux; use --docker here.' ;;
    esac
}

check_files() {
    local file missing=() wanted=(pyproject.toml requirements.lock .env.template telemetry receiver access clickhouse/schema queries)
    if [ "$with" = docker ]; then
        wanted+=(Dockerfile .dockerignore docker-compose.yml clickhouse/server/config.xml clickhouse/server/users.xml)
    fi
    for file in "${wanted[@]}"; do
        [ -r "$file" ] || missing+=("$file")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say FAIL files "missing or not readable: ${missing[*]}" 'Clone the repository again, or unpack the whole release.'
    else
        say ok files "$root is complete"
    fi
    if [ -e .env ]; then
        case $(stat -c %a .env) in
        ?00) say ok .env 'is for its owner alone' ;;
        *) say warn .env 'can be read by others, and holds secrets' 'chmod 600 .env' ;;
        esac
    elif [ "$with" = docker ]; then
        say FAIL .env 'is not there, and Compose needs its passwords' 'Run scripts/make-env.sh, which writes it.'
    else
        say ok .env 'is not there; every setting has a default'
    fi
}

check_settings() {
    local problems
    if [ -x .venv/bin/python ]; then
        if problems=$(.venv/bin/python -m telemetry settings 2>&1 >/dev/null); then
            say ok settings 'are valid'
        else
            printf '%s\n' "$problems" | sed 's/^telemetry: //' | while IFS= read -r line; do
                printf '  %-4s  %-12s %s\n' FAIL settings "$line"
            done
            failures=$((failures + 1))
        fi
    elif [ "$with" = python ]; then
        say ok settings 'are checked when scripts/start.sh has made .venv'
    fi
    if [ "$with" = docker ] && has_docker; then
        if problems=$(docker compose config --quiet 2>&1); then
            say ok compose 'docker-compose.yml is valid with these settings'
        else
            say FAIL compose "$(printf '%s' "$problems" | tail -n 1)" 'Correct .env, or move it away and run scripts/make-env.sh.'
        fi
    fi
}

# Prints the response of the health port, if it is this server's.
running=''
ask_health() {
    local host=$1 port=$2
    exec 3<>"/dev/tcp/$host/$port" || return 1
    printf 'GET /ready HTTP/1.0\r\nHost: %s\r\n\r\n' "$host" >&3
    timeout 3 cat <&3 || true
    exec 3>&-
}

check_ports() {
    local host ports=() entry name port number taken=() ours=()
    host=$(setting TELEMETRY_HOST 127.0.0.1)
    case $host in 0.0.0.0 | '::' | localhost) host=127.0.0.1 ;; esac
    port=$(setting TELEMETRY_HEALTH_PORT 13133)
    running=$(ask_health "$host" "$port" 2>/dev/null || true)
    [[ $running == *'"status"'* ]] || running=''
    ports=("OTLP_GRPC 4317" "OTLP_HTTP 4318" "METRICS 8888" "HEALTH 13133")
    if [ "$with" = docker ] || [ -z "$(setting CLICKHOUSE_URL '')" ]; then
        ports+=("CLICKHOUSE_HTTP 8123")
    fi
    for entry in "${ports[@]}"; do
        name=TELEMETRY_${entry% *}_PORT
        number=$(setting "$name" "${entry#* }")
        [ "$number" != 0 ] || continue
        if ! (exec 3<>"/dev/tcp/$host/$number") 2>/dev/null; then
            continue
        elif [ -n "$running" ]; then
            ours+=("$number")
        else
            taken+=("$number ($name)")
        fi
    done
    if [ ${#taken[@]} -gt 0 ]; then
        say FAIL ports "taken by another program: ${taken[*]}" 'Stop that program (ss -ltnp shows it), or set the variable to another port.'
    elif [ ${#ours[@]} -gt 0 ]; then
        say ok ports "the server is running and has ${ours[*]}"
    else
        say ok ports 'are free'
    fi
}

check_disk() {
    local where free
    where=$(setting TELEMETRY_DATA_DIR data)
    [ "$with" = python ] || where=/var/lib/docker
    while [ ! -e "$where" ]; do where=$(dirname "$where"); done
    if [ "$with" = python ] && [ ! -w "$where" ]; then
        say FAIL disk "$where cannot be written by $(id -un)" 'Set TELEMETRY_DATA_DIR to a folder of this user.'
        return
    fi
    free=$(($(df -Pk "$where" | awk 'NR == 2 {print $4}') / 1024))
    if [ "$free" -lt 1024 ]; then
        say FAIL disk "$free MiB are free in $where" 'Free some, or set TELEMETRY_DATA_DIR elsewhere: 1 GiB at least, 10 GiB for regular use.'
    elif [ "$free" -lt 10240 ]; then
        say warn disk "$((free / 1024)) GiB are free in $where" 'Enough for a start. Watch it, or lower TELEMETRY_RETENTION_DAYS.'
    else
        say ok disk "$((free / 1024)) GiB are free in $where"
    fi
}

check_memory() {
    local available needed=1024 what='the server with embedded tables'
    [ -r /proc/meminfo ] || return 0
    available=$(($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) / 1024))
    if [ "$with" = docker ]; then
        needed=2560
        what='ClickHouse and the receiver'
    fi
    if [ -n "$running" ]; then
        say ok memory "$available MiB are available beside the running server"
    elif [ "$available" -lt $((needed / 2)) ]; then
        say FAIL memory "$available MiB are available" "$what need $needed MiB: stop other programs, or use a larger machine."
    elif [ "$available" -lt "$needed" ]; then
        say warn memory "$available MiB are available" "$what need $needed MiB."
    else
        say ok memory "$available MiB are available"
    fi
}

check_clock() {
    local now newest synced=''
    now=$(date +%s)
    newest=$(stat -c %Y pyproject.toml telemetry receiver 2>/dev/null | sort -n | tail -n 1)
    if command -v timedatectl >/dev/null; then
        synced=$(timedatectl show --property NTPSynchronized --value 2>/dev/null || true)
    fi
    if [ "$now" -lt $((${newest:-0} - 60)) ]; then
        say FAIL clock "$(date -u '+%F %T') UTC, before these files were written" 'Set the clock: queries of the last hours compare rows with it.'
    elif [ "$synced" = no ]; then
        say warn clock "$(date -u '+%F %T') UTC, not synchronized" 'Turn on NTP (timedatectl set-ntp true).'
    else
        say ok clock "$(date -u '+%F %T') UTC"
    fi
}

printf 'For %s, in %s:\n' "$with" "$root"
"check_$with"
check_machine
check_files
check_settings
check_ports
check_disk
check_memory
check_clock
if [ "$failures" -gt 0 ]; then
    printf '%s: %s of these must be corrected first.\n' "$script" "$failures" >&2
    exit 1
fi
if [ -n "$running" ]; then
    printf 'All is well. The server runs; scripts/test-connection.sh tests it from end to end.\n'
elif [ "$with" = docker ]; then
    printf 'All is well. Start it with: docker compose up -d\n'
else
    printf 'All is well. Start it with: scripts/start.sh\n'
fi
