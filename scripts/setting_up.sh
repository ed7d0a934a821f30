# Sourced by scripts/run and scripts/test: finds Python and uv, and syncs an environment.
# Nothing here writes to stdout, so that `scripts/run --once --json` stays pure.

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
data="${FUMEHOOD_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/fumehood}"
python=""
uv=""

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "scripts: $*"
  exit 1
}

# A shim may exist and refuse to run, so every candidate is tried.
is_new_enough() {
  "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in "${FUMEHOOD_PYTHON:-}" python3.13 python3.12 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3 \
    "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-3.1[2-9]*/bin/python3; do
    if [ -n "$candidate" ] && is_new_enough "$candidate"; then
      python="$("$candidate" -I -c 'import os, sys; print(os.path.realpath(sys.executable))')"
      return
    fi
  done
  fail "no CPython 3.12 or later was found (PATH, pyenv and uv-managed ones were tried).
Get one by any of:
  apt-get install python3 python3-venv      (Debian 13, Ubuntu 24.04 and later)
  uv python install 3.12
  pyenv install 3.12
then run this again; FUMEHOOD_PYTHON=/path/to/python3.12 names one that is elsewhere."
}

find_uv() {
  local own="$data/tool/uv"
  if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
    uv="$(command -v uv)"
  elif [ -x "$own/bin/uv" ]; then
    uv="$own/bin/uv"
  else
    say "getting uv into $own"
    get_uv "$own"
    uv="$own/bin/uv"
  fi
}

get_uv() {
  if "$python" -m venv "$1" >&2 2>&1; then
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check uv >&2
  elif "$python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$1"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$1" uv >&2
  else
    rm -rf "$1"
    fail "neither uv, nor venv, nor pip is there: apt-get install python3-venv, then again"
  fi
  [ -x "$1/bin/uv" ] || fail "uv could not be installed into $1"
}

uv_sync() {
  local folder="$1"
  shift
  # What the host trusts: a company's own CA is in there too.
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS=true
  # Compiled once, not at each start: that is two of three seconds where Python may not write.
  UV_PROJECT_ENVIRONMENT="$folder" UV_CACHE_DIR="$data/tool/uv-cache" UV_PYTHON_DOWNLOADS=never \
    "$uv" sync --quiet --frozen --compile-bytecode --project "$project" --python "$python" "$@" >&2
}

# Our modules lie in the checkout, which uv does not compile: 0.4 s of each start, as above. What
# cannot be written (a checkout of somebody else's) is compiled in memory, as without this.
compile_our_own() {
  local rooms=("$project/"{runtime,packages,sandbox,wheelhouse,frozen})
  "$1" -m compileall -q -x /examples/ "${rooms[@]}" >/dev/null 2>&1 || true
}

# sync_environment FOLDER [uv sync options]: does nothing when nothing changed since last time.
sync_environment() {
  local folder="$1" stamp
  shift
  stamp="$python $project $* $(cat "$project/uv.lock" "$project/pyproject.toml" | sha256sum)"
  if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/fumehood.stamp" 2>/dev/null)" = "$stamp" ]; then
    return
  fi
  say "setting up $folder with $("$python" --version 2>&1) (once; needs the package index)"
  uv_sync "$folder" "$@" ||
    fail "the environment could not be set up: see above; the network is needed the first time"
  compile_our_own "$folder/bin/python"
  printf '%s\n' "$stamp" >"$folder/fumehood.stamp"
}
