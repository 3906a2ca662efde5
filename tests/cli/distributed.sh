#!/bin/bash
# akin train in two processes: the curve of one process, the same bytes each time, the same bytes
# after processes were killed or asked to stop, and what is refused. Loopback only; exits with 77
# where the build cannot do it.
#
#   tests/cli/distributed.sh [PROGRAM]
#
# PROGRAM: akin, with akin-train beside it; default build/release/src/akin. mpirun and torchrun are
# tried where they are installed and work (under Python 3.11 the torchrun of torch 1.13 does not).
set -u
program=$(realpath "${1:-build/release/src/akin}") || exit 1
work=$(mktemp -d) || exit 1
running=
# shellcheck disable=SC2317
leave() {
  for process in $running; do kill -9 "$process" 2>/dev/null; done
  rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit 1
for name in $(env | cut -d= -f1 | grep -E '^(RANK|WORLD_SIZE|LOCAL_|MASTER_|OMPI_|PMI|SLURM_|TORCHELASTIC)'); do
  unset "$name"
done
port=$((20000 + $$ % 10000))
failed=0

good() { echo "ok      $1" >&2; }
bad() {
  echo "FAILED  $1" >&2
  [ $# -lt 2 ] || tail -n 5 "${@:2}" >&2
  failed=1
}
check() { # NAME FILES... : the result of the command before it
  if [ "$result" = 0 ]; then good "$1"; else bad "$@"; fi
}

# Pairs that share a number; grades; a vocabulary of both.
awk 'BEGIN { split("river engine garden market winter violin planet bridge", thing)
  for (i = 0; i < 400; ++i) {
    q = thing[i % 8 + 1] " that waits " i; p = "a " thing[i % 8 + 1] " of " i; o = "a " thing[(i + 3) % 8 + 1] " of " i + 1
    print "{\"query\": \"" q "\", \"positive\": \"" p "\", \"negatives\": [\"" o "\"]}" > "pairs.jsonl"
    print "{\"query\": \"" q "\", \"positive\": \"" (i % 2 ? p : o) "\", \"label\": " (i % 5) / 4 "}" > "graded.jsonl"
    print q "\n" p > "texts.txt" } }'
"$program" tokenizer train --type wordpiece --vocab-size 300 --out vocab texts.txt >make.out 2>&1 ||
  { bad "a vocabulary" make.out; exit 1; }
cat >recipe.toml <<'TOML'
[model]
tokenizer = "vocab"
layers = 2
hidden = 32
heads = 2
ffn_hidden = 64
max_tokens = 32
[train]
steps = 120
batch = 16
learning_rate = 1e-3
log_every = 1
checkpoint_every = 7
threads = 1
grad_cache = 12
ema = 0.9
[matryoshka]
dims = [32, 16]
[[source]]
path = "pairs.jsonl"
negatives = 1
[[source]]
path = "graded.jsonl"
loss = "cosent"
distinct = false
TOML

train() { "$program" train recipe.toml "$@"; }
# One of two processes: RANK OUT OPTIONS...
one_of_two() {
  RANK=$1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port AKIN_WAIT_SECONDS=${wait:-60} \
    exec "$program" train recipe.toml --out "$2" "${@:3}"
}
# Both, in the background; their codes end up in code0 and code1.
begin() {
  port=$((port + 1))
  (one_of_two 0 "$@") >out0 2>err0 &
  first=$!
  (one_of_two 1 "$@") >out1 2>err1 &
  second=$!
  running="$first $second"
}
end() {
  wait "$first"
  code0=$?
  wait "$second"
  code1=$?
  running=
}
both() {
  begin "$@"
  end
  [ "$code0" = 0 ] && [ "$code1" = 0 ]
  result=$?
}
wait_for_step() { # OUT LINES
  for _ in $(seq 600); do
    [ -f "$1/log.jsonl" ] && [ "$(wc -l <"$1/log.jsonl")" -ge "$2" ] && return
    sleep 0.02
  done
}
same() { cmp "$1/model/model.safetensors" whole/model/model.safetensors >cmp.out 2>&1; }

both whole
if grep -q "libgloo-dev" err0; then
  echo "skipped: this build has no Gloo" >&2
  exit 77
fi
check "two processes train" err0 err1
[ "$result" = 0 ] || exit 1
[ ! -s out1 ] && [ "$(wc -l <whole/log.jsonl)" = 120 ]
result=$? && check "process 0 alone writes" err0 err1

train --out alone >out 2>err || bad "one process trains" err
losses() { sed 's/.*"loss":\([-0-9.e]*\).*/\1/' "$1/log.jsonl"; }
paste <(losses alone) <(losses whole) | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 2e-3 * ($1 + 1e-2)) ++far }
  END { exit far > 0 || NR != 120 }'
result=$? && check "the curve is that of one process"

both again && same again
result=$? && check "the same bytes again" cmp.out

for victim in 0 1; do
  begin "killed$victim"
  wait_for_step "killed$victim" 40
  if [ $victim = 0 ]; then kill -9 "$first"; else kill -9 "$second"; fi
  start=$SECONDS
  end
  if [ $victim = 0 ]; then other=err1 code=$code1; else other=err0 code=$code0; fi
  [ $((SECONDS - start)) -lt 15 ] && [ "$code" = 1 ] && grep -q "process $victim (" $other && grep -q -- "--resume" $other
  result=$? && check "process $victim is killed: the other ends and names it" $other
  if [ $victim = 1 ]; then  # process 0 kept the last whole step
    step=$(grep -ao '"step\\":[0-9]*' killed1/checkpoint.safetensors | head -n 1 | tr -dc 0-9)
    [ "${step:-0}" -ge 40 ]
    result=$? && check "its last step is kept"
  fi
  both "killed$victim" --resume && same "killed$victim"
  result=$? && check "process $victim was killed: --resume ends in the same bytes" err0 err1 cmp.out
done
begin stopped
wait_for_step stopped 30
kill -TERM "$second"
end
[ "$code0" = 130 ] && [ "$code1" = 130 ] && [ -s stopped/checkpoint.safetensors ]
result=$? && check "SIGTERM for one stops both" err0 err1
[ -z "$(find stopped -name '*.tmp*')" ]
result=$? && check "nothing half-written is left"
(train --out stopped --resume) >out 2>err
[ $? = 2 ] && grep -q "2 processes" err
result=$? && check "one process does not go on with the run of two" err
both stopped --resume --set train.threads=2
[ "$code0" = 2 ] && [ "$code1" = 2 ]
result=$? && check "nor two with more threads" err0 err1
both stopped --resume && same stopped
result=$? && check "after SIGTERM --resume ends in the same bytes" err0 err1

refuse() { # NAME WORDS COMMAND...
  "${@:3}" >out 2>err
  [ $? = 2 ] && grep -q "$2" err
  result=$? && check "$1" err
}
RANK=1 refuse "a rank without a number of processes" "WORLD_SIZE is not" train --out none
RANK=3 WORLD_SIZE=2 refuse "a rank that cannot be" "from 0" train --out none
RANK=0 WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 \
  refuse "launchers that contradict each other" "contradict" train --out none
port=$((port + 1))
(wait=1 one_of_two 1 none) >out 2>err
[ $? = 1 ] && grep -q "found no process 0" err
result=$? && check "a master that is not there" err
(wait=1 one_of_two 0 none) >out 2>err
[ $? = 1 ] && grep -q "still no process 1" err
result=$? && check "a process that does not come" err
port=$((port + 1))
(one_of_two 0 none) >out0 2>err0 &
first=$!
(one_of_two 1 none --set train.seed=2) >out1 2>err1 &
second=$!
running="$first $second"
end
[ "$code0" = 2 ] && [ "$code1" = 2 ] && grep -q "recipe.train.seed" err0
result=$? && check "processes with different recipes" err0 err1
both tiny --set train.batch=1 --set source.graded.batch=2
[ "$code0" = 2 ] && [ "$code1" = 2 ] && grep -q "cannot be divided among 2 processes" err0
result=$? && check "a batch of fewer rows than processes" err0 err1

# The launchers' own variables, and the launchers.
slurm() { # RANK OUT
  SLURM_PROCID=$1 SLURM_NTASKS=2 SLURM_LOCALID=$1 SLURM_NODELIST='localhost,other' SLURM_JOB_ID=$$ \
    AKIN_WAIT_SECONDS=60 exec "$program" train recipe.toml --out "$2"
}
(slurm 0 slurm) >out0 2>err0 &
first=$!
(slurm 1 slurm) >out1 2>err1 &
second=$!
running="$first $second"
end
[ "$code0" = 0 ] && [ "$code1" = 0 ] && same slurm
result=$? && check "as srun starts them" err0 err1
if command -v mpirun >/dev/null; then
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -np 2 \
    "$program" train recipe.toml --out mpi >out 2>err && same mpi
  result=$? && check "mpirun" err
fi
if command -v torchrun >/dev/null && torchrun --no_python --nproc_per_node 1 true >/dev/null 2>&1; then
  torchrun --no_python --nproc_per_node 2 --master_port $((port + 40)) \
    "$program" train recipe.toml --out torchrun >out 2>err && same torchrun
  result=$? && check "torchrun" err
fi
exit $failed
