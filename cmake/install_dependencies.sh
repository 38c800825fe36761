#!/bin/sh
# Installs what quiver's build needs and this machine lacks, as Debian or Ubuntu packages, and says so.
# usage: cmake/install_dependencies.sh <group>...      groups: build bench compare soak clang fuzz format check
# Where nothing is missing it does nothing, needs no network and no rights.
set -eu

say() { echo "quiver: $*"; }
stop() { echo "quiver: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

find_header() {
  for folder in $(echo "${CPLUS_INCLUDE_PATH:-}:${CPATH:-}" | tr ':' ' ') /usr/local/include /usr/include; do
    if [ -f "$folder/$1" ]; then echo "$folder/$1"; return 0; fi
  done
  return 1
}

missing=""
need() { case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac; }
need_command() { have "$1" || need "$2"; }
need_header() { find_header "$1" >/dev/null || need "$2"; }

# Distributions name Boost's packages by version: the oldest good one that this one offers, and 1.81 if no list is here yet.
boost_package() {
  for version in 1.81 1.82 1.83 1.84 1.85 1.86 1.87 1.88 1.89 1.90; do
    if apt-cache show "libboost$version-dev" >/dev/null 2>&1; then echo "libboost$version-dev"; return; fi
  done
  echo libboost1.81-dev
}

need_boost() {
  header=$(find_header boost/version.hpp) || header=""
  if [ -n "$header" ]; then
    version=$(sed -n 's/^#define BOOST_VERSION \([0-9]*\).*/\1/p' "$header")
    [ "${version:-0}" -ge 108100 ] && return
  fi
  if have apt-cache; then need "$(boost_package)"; else need libboost1.81-dev; fi
}

for group in "${@:-build}"; do
  case $group in
    build)
      if [ -z "${CXX:-}" ]; then
        need_command g++ g++
        if have g++ && [ "$(g++ -dumpversion | cut -d. -f1)" -lt 12 ]; then stop "g++ is $(g++ -dumpversion): quiver needs 12 or newer, or CXX=<another compiler>"; fi
      fi
      need_command cmake cmake
      need_command ninja ninja-build
      need_header xsimd/xsimd.hpp libxsimd-dev
      need_header cereal/cereal.hpp libcereal-dev
      need_header xxhash.h libxxhash-dev
      need_boost
      ;;
    bench)
      need_header benchmark/benchmark.h libbenchmark-dev
      need_header faiss/IndexFlat.h libfaiss-dev
      [ -n "$(find /usr/lib /usr/local/lib -name 'libopenblas.so' 2>/dev/null | head -n 1)" ] || need libopenblas-pthread-dev
      ;;
    compare)
      need_command python3 python3
      python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv
      # One of those that quiver is compared with comes as source.
      [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] || need python3-dev
      ;;
    soak)
      need_header CLI/CLI.hpp libcli11-dev
      # For the power cuts; their folder is on the path of root alone.
      for tool in mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs; do
        [ -x "/usr/sbin/${tool%:*}" ] || [ -x "/sbin/${tool%:*}" ] || need "${tool#*:}"
      done
      ;;
    clang) need_command clang++-16 clang-16 ;;
    fuzz)
      need_command clang++-16 clang-16
      need_command llvm-symbolizer-16 llvm-16
      [ -e /usr/lib/llvm-16/lib/clang/16/lib/linux/libclang_rt.fuzzer-x86_64.a ] || need libclang-rt-16-dev
      ;;
    format)
      need_command clang-format-16 clang-format-16
      need_command clang-tidy-16 clang-tidy-16
      ;;
    check)
      need_command valgrind valgrind
      need_command strace strace
      need_command ccache ccache
      need_command curl curl
      if [ "$(uname -m)" = x86_64 ]; then
        need_command qemu-x86_64 qemu-user
        need_command aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
      fi
      need_command python3 python3
      python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv
      ;;
    *) stop "no group of packages is called '$group': build bench compare soak clang fuzz format check" ;;
  esac
done

[ -n "$missing" ] || exit 0

have apt-get || stop "missing here:$missing. This machine has no apt-get, so install them by its own means and run this again."
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  have sudo || stop "missing here:$missing. Only root may install them, and there is no sudo: ask for 'apt-get install$missing'."
  if [ -t 0 ]; then as_root="sudo"; else as_root="sudo -n"; fi
  $as_root true 2>/dev/null || stop "missing here:$missing. Only root may install them, and sudo refuses: ask for 'apt-get install$missing'."
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# --no-remove: another version of a package that is here stays here.
install() {
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 $missing >"$log" 2>&1 </dev/null
}
refresh() {
  say "refreshing the package lists (apt-get update)"
  $as_root apt-get update -o DPkg::Lock::Timeout=300 >"$log" 2>&1 </dev/null || { tail -n 3 "$log" >&2; stop "apt-get update failed: is there a network?"; }
}

# shellcheck disable=SC2086
apt-cache show $missing >/dev/null 2>&1 || {
  refresh
  case $missing in *libboost*) missing="$(echo "$missing" | sed 's/ libboost[0-9.]*-dev//') $(boost_package)" ;; esac
}
say "installing with apt-get:$missing"
if ! install; then
  refresh
  install || { tail -n 5 "$log" >&2; stop "apt-get could not install:$missing"; }
fi
