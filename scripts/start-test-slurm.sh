#!/bin/sh
# A Slurm cluster of two small nodes on this machine, to try the workflow's Slurm profile with (Debian or Ubuntu, as root):
#
#   scripts/start-test-slurm.sh          installs Slurm and munge where they are missing, and starts the cluster
#   scripts/start-test-slurm.sh stop     stops it and takes away what it wrote
#
# Everything lies in one temporary folder (DEEPNULL_GWAS_SLURM, else /tmp/deepnull-gwas-slurm), but for the link
# /etc/slurm/slurm.conf: jobs find their configuration only there. A machine that has a configuration of its own is left alone.
# All daemons listen on this machine only. There is no accounting database: job states come from squeue.
set -eu

folder=${DEEPNULL_GWAS_SLURM:-${TMPDIR:-/tmp}/deepnull-gwas-slurm}
conf=/etc/slurm/slurm.conf
cpus=${DEEPNULL_GWAS_SLURM_CPUS:-2}
memory=${DEEPNULL_GWAS_SLURM_MB:-6000}

fail() {
  echo "start-test-slurm: $*" >&2
  exit 1
}

# the processes that this script started, youngest first
stop() {
  if [ -s "$folder/run/slurmctld.pid" ] && [ "$(readlink "$conf")" = "$folder/slurm.conf" ]; then
    # what still runs would outlive the daemons
    scancel --user="$(id -un)" >/dev/null 2>&1 || true
    tries=50
    while [ -n "$(squeue --noheader 2>/dev/null)" ] && [ $tries -gt 0 ]; do
      sleep 0.2
      tries=$((tries - 1))
    done
  fi
  for name in slurmd-node2 slurmd-node1 slurmctld munged; do
    pidfile=$folder/run/$name.pid
    [ -s "$pidfile" ] || continue
    pid=$(cat "$pidfile")
    kill "$pid" 2>/dev/null || continue
    tries=50
    while kill -0 "$pid" 2>/dev/null && [ $tries -gt 0 ]; do
      sleep 0.1
      tries=$((tries - 1))
    done
    kill -9 "$pid" 2>/dev/null || true
  done
  if [ -L "$conf" ] && [ "$(readlink "$conf")" = "$folder/slurm.conf" ]; then rm -f "$conf"; fi
  rm -rf "$folder"
}

[ "$(id -u)" = 0 ] || fail "has to run as root: munge and the node daemons need it"
case ${1:-start} in
  start) ;;
  stop)
    stop
    echo "start-test-slurm: stopped"
    exit 0
    ;;
  *) fail "takes start (the default) or stop, not '$1'" ;;
esac

if [ -e "$conf" ] || [ -L "$conf" ]; then
  if [ "$(readlink "$conf")" != "$folder/slurm.conf" ]; then
    fail "$conf is there already: this machine belongs to another cluster, which stays as it is"
  fi
  if sinfo >/dev/null 2>&1; then
    echo "start-test-slurm: is running already ($folder)"
    exit 0
  fi
  stop
fi

missing=""
for pair in sbatch:slurm-client slurmctld:slurmctld slurmd:slurmd munged:munge; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "install these first:$missing"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

rm -rf "$folder"
mkdir -p "$folder/run" "$folder/state" "$folder/spool" "$folder/log" /etc/slurm
# munge insists that no one else may write to the folders of its key, log and socket, and that everyone may reach the socket
chmod 755 "$folder" "$folder/run" "$folder/log"
trap 'code=$?; if [ $code != 0 ]; then tail -n 5 "$folder"/log/*.log >&2 2>/dev/null || true; stop; fi' EXIT

dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none
chmod 600 "$folder/munge.key"
munged --key-file "$folder/munge.key" --socket "$folder/run/munge.socket" --pid-file "$folder/run/munged.pid" \
  --log-file "$folder/log/munged.log" --seed-file "$folder/run/munged.seed"

host=$(hostname -s)
port=${DEEPNULL_GWAS_SLURM_PORT:-16817}
cat >"$folder/slurm.conf" <<CONF
ClusterName=deepnull-gwas-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
SwitchType=switch/none
MpiDefault=none
# neither systemd nor control groups: memory is watched by sampling, once a second
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
ReturnToService=2
# finished jobs stay visible to squeue this long; the executor plugin wants three times its interval between looks
MinJobAge=600
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
GresTypes=gpu
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$cpus RealMemory=$memory
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$cpus RealMemory=$memory Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=node2 MaxTime=INFINITE State=UP
CONF
# a GPU in name only: jobs that ask for one are counted and placed as with a real one
echo "NodeName=node2 Name=gpu File=/dev/null" >"$folder/gres.conf"
ln -s "$folder/slurm.conf" "$conf"
# daemons look for gres.conf beside the configuration that they are told of, not behind the link
export SLURM_CONF="$folder/slurm.conf"

slurmctld -i
for node in 1 2; do
  # -b: forgets what an earlier cluster left behind
  slurmd -b -N "node$node"
done

tries=600
until [ "$(sinfo --noheader --states=idle --partition main --format %D 2>/dev/null)" = 2 ]; do
  tries=$((tries - 1))
  [ $tries -gt 0 ] || fail "the nodes did not come up within two minutes; the logs above say why"
  sleep 0.2
done
echo "start-test-slurm: two nodes of $cpus cores and $memory MB are up; stop them with: $0 stop"
