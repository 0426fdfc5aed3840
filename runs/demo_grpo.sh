#!/usr/bin/env bash
# The loop closed in the demo world: a mediocre start, photos → Stage-A → verdicts → dataset → GRPO → verdicts → figures,
# one training a seed.
#   bash runs/demo_grpo.sh           # a GPU: 4,000 and 1,000 groups, seeds 0 and 1
#   DEVICE=cpu TRAIN_GROUPS=60 HELD_GROUPS=20 OTHER_GROUPS=8 LESSONS=2 LESSON_ROWS=4 LESSON_EXAM=4 STEPS=2 ANSWERS=64 MICRO=32 bash runs/demo_grpo.sh
#                                    to see that it runs, 5–8 minutes on two cores; 20 groups say nothing about verdicts
# Wants the extra `train`.
# What is done is not repeated: the same command goes on where it stopped. Arguments go to `yanshou train` as they are,
# behind the settings here. Figures: $OUT/figures.json; seconds a step: $OUT/times.tsv; what each said: $OUT/logs.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
[[ -x $python ]] || python=python3
export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

OUT=${OUT:-$root/runs/demo_grpo}
SEEDS=${SEEDS:-0 1}
DEVICE=${DEVICE:-cuda}
TRAIN_GROUPS=${TRAIN_GROUPS:-4000} HELD_GROUPS=${HELD_GROUPS:-1000}
TRAIN_WORLD=${TRAIN_WORLD:-41} HELD_WORLD=${HELD_WORLD:-42}    # seeds of the photos
# The shipped checkpoint has been through this already: so many steps of a hasty reviewer's lessons before it starts anew.
LESSONS=${LESSONS:-400} LESSON_ROWS=${LESSON_ROWS:-128} LESSON_EXAM=${LESSON_EXAM:-128}
CHECKPOINT=${CHECKPOINT:-}                                     # another start, of the same shape, without lessons
BATCH=${BATCH:-128}                                            # photos, or groups, at once
REPEATS=${REPEATS:-4}                                          # of a training group that the checkpoint gets wrong
STEPS=${STEPS:-60} GENERATIONS=${GENERATIONS:-8}               # of GRPO; answers a group
# Answers a step, and of them at once: all, since generating lasts as long as the longest answer of each batch.
ANSWERS=${ANSWERS:-512} MICRO=${MICRO:-512}
RATE=${RATE:-1e-4} TUNER=${TUNER:-full} BETA=${BETA:-0.04}
TEMPERATURE=${TEMPERATURE:-1.0} TOKENS=${TOKENS:-64}
# fp32 without autocast: bf16 weights would lose small updates, and so small a model is bound by launches, not by sums.
SWIFT=${SWIFT:---torch_dtype float32 --fp16 false --bf16 false --gradient_checkpointing false --warmup_ratio 0.05 --log_completions false}
SAVE_STEPS=${SAVE_STEPS:-20}
OTHER_GROUPS=${OTHER_GROUPS:-330}                              # of another world, for Stage-A's score before and after
UNTIL=${UNTIL:-figures}                                        # lines: stop before training

yanshou() { "$python" -m yanshou.cli "$@"; }

# step NAME COMMAND…: once; its words go to logs/NAME.log. Exit status 3, some groups failed, is for the figures to tell.
step() {
  local name=$1 status=0 begin=$SECONDS
  shift
  [[ ! -e $OUT/done/$name ]] || return 0
  "$@" >>"$OUT/logs/$name.log" 2>&1 || status=$?
  if ((status != 0 && status != 3)); then
    printf '%s failed with status %s; the end of %s:\n' "$name" "$status" "$OUT/logs/$name.log" >&2
    tail -n 20 "$OUT/logs/$name.log" >&2
    printf 'Put it right and run the same command: what is done is kept.\n' >&2
    return "$status"
  fi
  printf '%s\t%s\n' "$name" $((SECONDS - begin)) | tee -a "$OUT/times.tsv"
  touch "$OUT/done/$name"
}

# aside COMMAND…: side by side with what follows on a GPU, before it on a CPU. The caller has `local pids=() worst=0`.
aside() {
  if [[ $DEVICE == cpu ]]; then "$@" || worse $?; else "$@" & pids+=($!); fi
}

# together: waits for what was put aside; the worst status is its own.
together() {
  local pid
  for pid in "${pids[@]}"; do wait "$pid" || worse $?; done
  return "$worst"
}

worse() { (($1 <= worst)) || worst=$1; }

lessons() {
  local workers=0
  [[ $DEVICE == cpu ]] || workers=15
  # A function that `step` calls does not end at its first failure: hence the &&. The start gets its name when it is whole.
  rm -rf "$OUT/start" "$OUT/.start.tmp" &&
    cp -r "$root/src/yanshou/world/checkpoint" "$OUT/.start.tmp" &&
    "$python" -m yanshou.world.train --output-dir "$OUT/.start.tmp" --device "$DEVICE" --workers "$workers" \
      --steps "$LESSONS" --batch-size "$LESSON_ROWS" --exam "$LESSON_EXAM" \
      --learning-rate 5e-5 --warmup 20 --verdict-every 2 --seed 5 &&
    rm "$OUT/.start.tmp/state.safetensors" &&
    mv "$OUT/.start.tmp" "$OUT/start"
}

draw() { # WORLD GROUPS SEED
  rm -rf "${OUT:?}/$1/photos"
  yanshou synth --output-dir "$OUT/$1/photos" --groups "$2" --seed "$3"
}

summarize() { # WORLD CHECKPOINT LINES: a process a mission
  local pids=() worst=0 folder
  for folder in "$OUT/$1/photos"/*/; do
    aside yanshou summarize --checkpoint "$2" --input-dir "$OUT/$1/photos" --output-dir "$OUT/$1/$3" \
      --mission "$(basename "$folder")" --device "$DEVICE" --batch-size "$BATCH" --gpu-memory 0.1
  done
  together
}

judge() { # CHECKPOINT FOLDER FILE…
  yanshou judge --checkpoint "$1" --output-dir "$2" --device "$DEVICE" --batch-size "$BATCH" --gpu-memory 0.1 "${@:3}"
}

evaluate() { # WHO LINES
  yanshou evaluate --json --output-dir "$OUT/verdicts/$1/$2/report" "$OUT/verdicts/$1/$2"/*_verdicts.jsonl \
    >"$OUT/verdicts/$1/$2.json"
}

dataset() {
  local file verdicts=()
  for file in "$OUT/train/verdicts"/*_verdicts.jsonl; do verdicts+=(--verdicts "$file"); done
  yanshou dataset --output-dir "$OUT/data" --val-fraction 0.05 --repeats "$REPEATS" "${verdicts[@]}" \
    "$OUT/train/stage_a"/*_stage_a.jsonl
}

# shellcheck disable=SC2086  # SWIFT is words
train() { # SEED …: what follows goes to `yanshou train`
  local seed=$1
  shift
  yanshou train --checkpoint "$CHECKPOINT" --train-file "$OUT/data/train.jsonl" --output-dir "$OUT/seed-$seed" \
    --seed "$seed" --device "$DEVICE" --tuner "$TUNER" --learning-rate "$RATE" --beta "$BETA" \
    --generations "$GENERATIONS" --batch-size "$MICRO" --accumulation $((ANSWERS / MICRO)) --max-steps "$STEPS" \
    --save-steps "$SAVE_STEPS" --temperature "$TEMPERATURE" --top-p 1.0 --no-dynamic-sampling --max-new-tokens "$TOKENS" \
    "$@" -- $SWIFT
}

judged() { # WHO LINES CHECKPOINT: verdicts and figures
  step "judge-$1-$2" judge "$3" "$OUT/verdicts/$1/$2" "$OUT/held/$2"/*_stage_a.jsonl &&
    step "evaluate-$1-$2" evaluate "$1" "$2"
}

scored() { # WHO CHECKPOINT: Stage-A is not to suffer
  step "summarize-other-$1" summarize other "$2" "$1" &&
    step "score-other-$1" score "$1"
}

score() { # WHO
  mkdir -p "$OUT/verdicts/$1" &&
    yanshou score --json --truth "$OUT/other/photos/truth.jsonl" --stage-a "$OUT/other/$1"/*_stage_a.jsonl \
      >"$OUT/verdicts/$1/score.json"
}

examined() { # WHO CHECKPOINT
  local pids=() worst=0
  aside judged "$1" stage_a "$2"
  aside judged "$1" true "$2"
  aside scored "$1" "$2"
  together
}

seed() { # SEED …: a training and its figures
  local name=seed-$1
  step "train-$name" train "$@" &&
    step "in-bf16-$name" "$python" "$root/benchmarks/in_bf16.py" "$OUT/$name/final" "$OUT/$name/bf16" &&
    examined "$name" "$OUT/$name/bf16"
}

lines() { # WORLD GROUPS SEED: photos and what Stage-A says of them
  step "synth-$1" draw "$@" &&
    step "summarize-$1" summarize "$1" "$CHECKPOINT" stage_a &&
    step "score-$1" yanshou score --json --truth "$OUT/$1/photos/truth.jsonl" --stage-a "$OUT/$1/stage_a"/*_stage_a.jsonl
}

# alone: one run at a time in $OUT, also beside what a killed one left running, and always the same one.
alone() {
  mkdir -p "$OUT/logs" "$OUT/done"
  exec 9>"$OUT/.lock"
  flock -n 9 || { printf '%s: another run is at work here. Wait for it, or choose another OUT.\n' "$OUT" >&2; exit 1; }
  same settings CHECKPOINT LESSONS LESSON_ROWS TRAIN_GROUPS HELD_GROUPS TRAIN_WORLD HELD_WORLD OTHER_GROUPS REPEATS
}

# same FILE NAME…: what these variables are is written down once, and has to be the same again.
same() {
  local file=$OUT/$1 name settings=''
  shift
  for name in "$@"; do settings+="$name=${!name}"$'\n'; done
  [[ -e $file ]] || printf '%s' "$settings" >"$file"
  diff "$file" <(printf '%s' "$settings") >&2 ||
    { printf '%s was begun with other settings (<). Give the same again, or choose another OUT.\n' "$OUT" >&2; exit 2; }
}

trainer() {
  "$python" -c 'import sys; from importlib.util import find_spec; sys.exit(find_spec("swift") is None)' ||
    { printf "%s has no ms-swift: install the extra, pip install -c constraints.txt -e '.[train]'\n" "$python" >&2; exit 1; }
}

main() {
  local pids=() worst=0 seed arguments="$*"
  [[ $UNTIL == lines ]] || trainer
  alone
  if [[ -z $CHECKPOINT ]]; then
    CHECKPOINT=$OUT/start
    step lessons lessons
  fi
  step synth-other draw other "$OTHER_GROUPS" 20261124
  aside lines train "$TRAIN_GROUPS" "$TRAIN_WORLD"
  aside lines held "$HELD_GROUPS" "$HELD_WORLD"
  together
  step true-lines "$python" "$root/benchmarks/true_lines.py" "$OUT/held/photos/truth.jsonl" \
    "$OUT/held/stage_a"/*_stage_a.jsonl --output-dir "$OUT/held/true"
  step judge-train judge "$CHECKPOINT" "$OUT/train/verdicts" "$OUT/train/stage_a"/*_stage_a.jsonl
  step dataset dataset
  [[ $UNTIL != lines ]] || return 0
  same training STEPS GENERATIONS ANSWERS MICRO RATE TUNER BETA TEMPERATURE TOKENS SWIFT arguments

  pids=() worst=0
  aside examined before "$CHECKPOINT"
  for seed in $SEEDS; do aside seed "$seed" "$@"; done
  together
  "$python" "$root/benchmarks/loop_figures.py" "$OUT/verdicts" --json "$OUT/figures.json"
}

main "$@"; exit
