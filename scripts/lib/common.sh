# shellcheck shell=bash
# Functions for all scripts: messages, and the installation of missing packages.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# Whether all given packages are installed. Uses no network, so it takes a few milliseconds.
packages_present() {
    command -v dpkg-query >/dev/null || return 1
    local package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || return 1
    done
}

# free_port_offset OFFSET...: prints the first of these at which all ports of a stack are free.
free_port_offset() {
    local offset
    for offset in "$@"; do
        if STACK_PORT_OFFSET="$offset" scripts/stack.sh free; then
            echo "$offset"
            return
        fi
    done
    die "no free ports for a stack; choose some with STACK_PORT_OFFSET"
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo; run as root: $*"
    fi
}

# apt_install PACKAGE...: installs those of the packages that are missing.
apt_install() {
    packages_present "$@" && return 0
    command -v apt-get >/dev/null ||
        die "there is no apt-get; install these Debian packages, or their equivalents on your system: $*"
    local missing=() package
    for package in "$@"; do
        packages_present "$package" || missing+=("$package")
    done
    say "installing: ${missing[*]}"
    # Continues if a repository is down; the installation fails if a package is not found.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 ||
        say "warning: apt-get update was incomplete; using the existing package lists"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "${missing[@]}" >&2 </dev/null
}

# python_with LIST...: the Python of an environment in .stack with the packages that scripts/python/LIST.txt names. Missing ones are installed from PyPI, each
# only if its hash is in the list.
python_with() {
    local environment="$PWD/.stack/python" list sum
    if ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
        python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
        python3 -m venv "$environment" || return
    fi
    for list in "$@"; do
        sum="$(sha256sum "scripts/python/$list.txt" | cut -c1-16)"
        [[ ! -e $environment/.$list-$sum ]] || continue
        say "installing what scripts/python/$list.txt names"
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
            -r "scripts/python/$list.txt" >&2 || return
        touch "$environment/.$list-$sum"
    done
    echo "$environment/bin/python"
}
