#!/bin/sh
# Installs the Debian packages that are missing and builds. Sourced by ./demo and ./check with their arguments.
#   --yes    do not ask before installing
set -eu
cd "$(dirname "$0")"
yes=no
for argument in "$@"; do
    case $argument in
        --yes | -y) yes=yes ;;
        *) echo "usage: $0 [--yes]" >&2; exit 2 ;;
    esac
done

missing=''
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $(cat tools/packages.txt); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
else
    echo 'This is not a Debian system: install the libraries that make asks for by hand.' >&2
fi

if [ -n "$missing" ]; then
    echo "These Debian packages are missing:$missing"
    sudo=''
    if [ "$(id -u)" -ne 0 ]; then
        sudo=$(command -v sudo) || { echo "Installing them needs root: run  apt-get install$missing" >&2; exit 1; }
    fi
    if [ $yes = no ]; then
        [ -t 0 ] || { echo 'Give --yes to install them without being asked.' >&2; exit 1; }
        printf 'Install them now with apt-get? [Y/n] '
        read -r answer
        case $answer in '' | y | Y | yes) ;; *) exit 1 ;; esac
    fi
    # The package lists may be old or absent on a fresh machine, so a failed install is tried once more after an update.
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    $sudo apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
        echo 'Updating the package lists ...'
        $sudo apt-get update -q >/dev/null
        $sudo apt-get install -y -q --no-install-recommends $missing >/dev/null
    }
    echo 'Installed.'
fi

echo 'Building (about a minute) ...'
log=$(mktemp)
make -s -j "$(nproc)" >"$log" 2>&1 || { cat "$log"; rm -f "$log"; exit 1; }
rm -f "$log"
