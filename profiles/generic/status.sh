#!/bin/sh
# Says of one Grid Engine job whether it is running, success or failed: status.sh <number>
# The accounting file gets its line a while after the job has left the queue; a job without one for so long is taken for failed.
number=$1
tries=${DEEPNULL_GWAS_QACCT_TRIES:-30}
while :; do
  if qstat -j "$number" >/dev/null 2>&1; then
    # in the error state it would wait for ever
    if qstat | awk -v n="$number" '$1 == n && $5 ~ /E/ { found = 1 } END { exit !found }'; then
      echo failed
    else
      echo running
    fi
    exit 0
  fi
  if account=$(qacct -j "$number" 2>/dev/null); then
    echo "$account" | awk '
      $1 == "failed" || $1 == "exit_status" { seen++; if ($2 != 0) bad = 1 }
      END { print (seen >= 2 && !bad) ? "success" : "failed" }'
    exit 0
  fi
  tries=$((tries - 1))
  if [ "$tries" -le 0 ]; then
    echo failed
    exit 0
  fi
  sleep 2
done
