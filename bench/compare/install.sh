#!/bin/sh
# Puts what quiver is compared with into a folder: a Python with the packages, and hnswlib's headers. What cannot be had is noted below missing/, for the
# report, and nothing else stops.
# usage: install.sh <folder> [--short]      --short: numpy alone, what the driver itself needs
set -eu
folder=$1
short=${2:-}
python="$folder/venv/bin/python"
mkdir -p "$folder/missing"

[ -x "$python" ] || python3 -m venv "$folder/venv"

# A package and the module that shows that it is there. Each is imported in a process of its own: some do not bear each other.
want() {
  package=$1 module=$2
  rm -f "$folder/missing/$module"
  "$python" -c "import $module" 2>/dev/null && return
  "$python" -m pip install --quiet --disable-pip-version-check "$package" >"$folder/pip.log" 2>&1 && return
  { grep '^ERROR' "$folder/pip.log" || cat "$folder/pip.log"; } | tail -n 1 | cut -c 1-200 >"$folder/missing/$module"
  echo "compare: $package cannot be installed: $(cat "$folder/missing/$module")" >&2
}

want numpy numpy
[ "$short" != --short ] || exit 0
want faiss-cpu faiss
want usearch usearch
want zvec==0.8.0 zvec
want scalable-vs svs
want hnswlib==0.8.0 hnswlib

if [ ! -f "$folder/hnswlib/hnswlib/hnswlib.h" ]; then
  rm -rf "$folder/sdist" "$folder/hnswlib"
  if "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary hnswlib -d "$folder/sdist" hnswlib==0.8.0 >"$folder/pip.log" 2>&1; then
    mkdir "$folder/hnswlib"
    tar -xzf "$folder/sdist/hnswlib-0.8.0.tar.gz" -C "$folder/hnswlib" --strip-components=1
  else
    echo "compare: hnswlib's headers cannot be downloaded, so there is no hnswlib_runner" >&2
  fi
  rm -rf "$folder/sdist"
fi
