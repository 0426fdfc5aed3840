#!/usr/bin/env bash
# One mission on one device:
#   bash scripts/stage_a_infer.sh mission=挡风板安装检查 cuda=0 [batch=16] [checkpoint=…] [input_dir=…] [output_dir=…]
# Missing arguments come from the environment: MISSION, CUDA, BATCH, CHECKPOINT, INPUT_DIR, OUTPUT_DIR.
# cuda=cpu runs on the CPU. checkpoint=demo is the checkpoint that ships with yanshou. Arguments after -- are passed
# to `yanshou summarize` unchanged.
set -euo pipefail

usage() {
  printf '%s\n' "$1" "Usage: bash scripts/stage_a_infer.sh mission=NAME cuda=N|cpu checkpoint=DIR input_dir=DIR output_dir=DIR [batch=N] [-- OPTIONS]" >&2
  exit 2
}

mission=${MISSION-} cuda=${CUDA-} batch=${BATCH-} checkpoint=${CHECKPOINT-} input_dir=${INPUT_DIR-} output_dir=${OUTPUT_DIR-}

while (($#)); do
  case $1 in
    mission=* | cuda=* | batch=* | checkpoint=* | input_dir=* | output_dir=*) printf -v "${1%%=*}" '%s' "${1#*=}" ;;
    --) shift; break ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) usage "unknown argument: $1" ;;
  esac
  shift
done

missing=()
for key in mission cuda checkpoint input_dir output_dir; do
  [[ -n ${!key} ]] || missing+=("$key=… (or ${key^^} in the environment)")
done
((${#missing[@]} == 0)) || usage "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"
[[ $cuda == cpu || $cuda =~ ^[0-9]+$ ]] || usage "cuda=$cuda is neither a number nor cpu"

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
python=$root/.venv/bin/python
[[ -x $python ]] || python=python3
[[ $cuda == cpu ]] && device=cpu || device=cuda:$cuda

exec "$python" "$root/src/stage_a/cli.py" \
  --checkpoint "$checkpoint" --input-dir "$input_dir" --output-dir "$output_dir" --mission "$mission" --device "$device" \
  ${batch:+--batch-size "$batch"} "$@"
