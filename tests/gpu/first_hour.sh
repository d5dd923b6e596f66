#!/bin/sh
# The first hour on a GPU, in ten minutes at most: what only a GPU can show, then tables of what it measures.
#
#   sh tests/gpu/first_hour.sh [FOLDER]      from a checkout; FOLDER (first_hour) takes tables and logs
#
# A part that fails or takes too long leaves the others. OODBENCH_GPU_TESTS_ON=cpu tries all of it
# without a GPU, small: its numbers mean nothing.

python=${PYTHON:-.venv/bin/python}
out=${1:-first_hour}
mkdir -p "$out" || exit 1
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}.:tests/helpers" OMP_NUM_THREADS=1
: > "$out/table.md"
: > "$out/parts"

part() { # part SECONDS NAME COMMAND...: its output in NAME.log, how it ended in parts
    seconds=$1 name=$2 began=$(date +%s)
    shift 2
    echo "== $name, at most $seconds s" >&2
    timeout "$seconds" "$@" > "$out/$name.log" 2> "$out/$name.err"
    code=$?
    case $code in 0) how="done" ;; 124) how="took too long" ;; *) how="failed ($code): see $out/$name.err" ;; esac
    echo "$name: $how, $(($(date +%s) - began)) s" | tee -a "$out/parts" >&2
}

table() { # table SECONDS PART: what it measured, whether or not it came to its end
    part "$1" "$2" "$python" -m tests.benchmarks.gpu "$2"
    cat "$out/$2.log" >> "$out/table.md"
}

pytest="-m pytest -n 0 -m gpu -rsfE --durations=10"
found=$(grep -rl "pytest.mark.gpu" tests/oodbench)

table 20 machine
# shellcheck disable=SC2086
part 120 tests "$python" $pytest $found -k "not compiled"
# shellcheck disable=SC2086
part 100 compiled "$python" $pytest $found -k compiled # each step is compiled first
table 50 stacks
table 60 convolutions
table 70 networks
table 50 images
table 80 workers
table 40 features

cat "$out/table.md" "$out/parts"
! grep -v ': done,' "$out/parts" > /dev/null
