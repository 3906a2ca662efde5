#!/bin/sh
# Every recipe from its first source to its model folder, with a few steps of a small model, on the
# shared data. Takes minutes, so no test runs it by itself.
#
#   tests/cli/recipes.sh [PROGRAM [RECIPE...]]
#
# PROGRAM: akin, with akin-train beside it; default build/release/src/akin. RECIPE: names such as
# m3e; default all.
set -u
cd "$(dirname "$0")/../.." || exit 1
data=${AKIN_SHARED_DATA:-../shared/data}
if [ ! -d "$data" ]; then
  echo "skipped: no shared data"
  exit 0
fi
program=${1:-build/release/src/akin}
[ $# -gt 0 ] && shift
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# Recipes that others start from come first.
all="retromae dupmae mlm-rope jina-v1-pairs jina-v1-triplets m3e bge-finetune text2vec-cosent simcse-unsup simcse-nli acge-multiloss-mrl static-mrl jina-v3-adapters ewc
akin-static akin-transformer-distil akin-transformer akin-transformer-long"
[ $# -gt 0 ] && all="$*"

# Runs a recipe, and before it the one whose model it opens.
run() {
  [ -d "$work/$1/model" ] && return 0
  case $1 in
    mlm-rope) run retromae ;;
    bge-finetune | text2vec-cosent | acge-multiloss-mrl) run m3e ;;
    akin-transformer) run akin-transformer-distil ;;
    akin-transformer-long) run akin-transformer ;;
    jina-v1-triplets | simcse-* | jina-v3-adapters | ewc) run jina-v1-pairs ;;
  esac
  options="--set train.steps=3 --set train.batch=8 --set train.log_every=1"
  small="--set model.layers=1 --set model.hidden=48 --set model.heads=4 --set model.ffn_hidden=96"
  case $1 in
    retromae | dupmae | jina-v1-pairs | m3e) options="$options $small" ;;
    mlm-rope) options="$options --set model.open=$work/retromae/model --set pretrain.stages=1:256" ;;
    bge-finetune | text2vec-cosent) options="$options --set model.open=$work/m3e/model" ;;
    acge-multiloss-mrl)
      options="$options --set model.open=$work/m3e/model --set matryoshka.dims=48,24" ;;
    akin-transformer-distil)
      options="$options $small --set matryoshka.dims=48,24 --set teacher.dims=32" ;;
    akin-transformer)
      options="$options --set model.open=$work/akin-transformer-distil/model"
      options="$options --set matryoshka.dims=48,24" ;;
    akin-transformer-long)
      options="$options --set model.open=$work/akin-transformer/model --set matryoshka.dims=48,24" ;;
    akin-static | static-mrl)
      options="$options --set model.hidden=32 --set matryoshka.dims=32,16"
      options="$options --set model.tokenizer=tokenizers/bert-base-chinese" ;;
    ewc) options="$options --set model.open=$work/jina-v1-pairs/model --set ewc.estimate=16" ;;
    *) options="$options --set model.open=$work/jina-v1-pairs/model" ;;
  esac
  name=$1
  start=$(date +%s)
  # shellcheck disable=SC2086
  if "$program" train "recipes/$name.toml" --data "$data" --out "$work/$name" $options \
      >"$work/$name.out" 2>"$work/$name.err" &&
    echo "a first text" | "$program" embed --model "$work/$name/model" --out "$work/$name.npy" - \
      >>"$work/$name.out" 2>>"$work/$name.err"; then
    echo "ok      $name ($(($(date +%s) - start)) s)" >&2
  else
    echo "FAILED  $name" >&2
    tail -5 "$work/$name.err" >&2
    failed=1
  fi
}

for recipe in $all; do run "$recipe"; done
exit $failed
