#!/bin/bash
# A Ray cluster over the nodes of a Slurm job, and one teamnet command on it:
#   sbatch --nodes 2 --requeue cluster/slurm.sh train cartpole --placement by-team --out runs/cartpole --resume-if-present
# With --resume-if-present a job that is started again continues.
# Needs an environment with teamnet that all nodes see; TEAMNET_ENVIRONMENT is its folder, the active one if not set.
#SBATCH --job-name=teamnet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=02:00:00
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: sbatch cluster/slurm.sh COMMAND OF teamnet ..." >&2
    exit 2
fi
programs=${TEAMNET_ENVIRONMENT:+$TEAMNET_ENVIRONMENT/bin/}
port=${RAY_PORT:-6379}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}

# The token of this job's cluster: a file that only its owner can read, in a folder that all nodes see.
umask 077
private=$(mktemp -d "${SLURM_SUBMIT_DIR:-$PWD}/.teamnet-$SLURM_JOB_ID-XXXXXX")
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$private/token" RAY_USAGE_STATS_ENABLED=0
"${programs}python" -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"

started=()
end() {
    for process in "${started[@]}"; do
        kill "$process" 2> /dev/null || true
    done
    wait
    rm -rf "$private"
}
trap end EXIT

task=(srun --nodes=1 --ntasks=1 --overlap) # one task of this job, on the node that is named
address=$("${task[@]}" --nodelist="$head" hostname --ip-address | awk '{print $1}')
cpus=${SLURM_CPUS_PER_TASK:-1}
"${task[@]}" --nodelist="$head" "${programs}ray" start --head --node-ip-address="$address" --port="$port" --num-cpus="$cpus" \
    --dashboard-host=127.0.0.1 --block &
started+=($!)
for node in "${nodes[@]:1}"; do
    "${task[@]}" --nodelist="$node" "${programs}ray" start --address="$address:$port" --num-cpus="$cpus" --block &
    started+=($!)
done

# Joins as soon as all nodes are there.
"${task[@]}" --nodelist="$head" "${programs}python" -m teamnet.team.await_nodes "$address:$port" "${#nodes[@]}"
"${task[@]}" --nodelist="$head" "${programs}teamnet" "$@" --address "$address:$port"
