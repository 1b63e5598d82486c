# shellcheck shell=bash
# What the scripts share: messages, and packages installed only where they are missing.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# Whether every package given is installed. Nothing is asked of the network, so this costs a few milliseconds.
packages_present() {
    command -v dpkg-query >/dev/null || return 1
    local package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || return 1
    done
}

# free_port_offset OFFSET...: the first of these with which a stack finds its ports free.
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

# apt_install PACKAGE...: installs what is missing of these, nothing when all is there.
apt_install() {
    packages_present "$@" && return 0
    command -v apt-get >/dev/null ||
        die "these Debian packages (or what your system calls them) are needed, and there is no apt-get: $*"
    local missing=() package
    for package in "$@"; do
        packages_present "$package" || missing+=("$package")
    done
    say "installing: ${missing[*]}"
    # A third party's repository that is down is no reason to stop; the install says what it cannot find.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 ||
        say "warning: apt-get update was not complete; going on with the package lists that there are"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "${missing[@]}" >&2 </dev/null
}

# python_with NAME==VERSION...: the Python of an environment in .stack that has these packages of PyPI, installed where they are missing.
python_with() {
    local environment="$PWD/.stack/python" package missing=()
    if ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
        python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
        python3 -m venv "$environment" || return
    fi
    for package in "$@"; do
        [[ -n $(compgen -G "$environment/lib/python3*/site-packages/${package/==/-}.dist-info") ]] || missing+=("$package")
    done
    [[ ${#missing[@]} == 0 ]] || "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "${missing[@]}" >&2 ||
        return
    echo "$environment/bin/python"
}
