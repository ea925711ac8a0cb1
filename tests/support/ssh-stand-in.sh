#!/bin/sh
# Stands in for ssh: reads its arguments as ssh does, then runs the command here, in a shell as sshd would.
# Every line goes to $SSH_LOG. The host "refused.test" refuses, "silent.test" never answers.
fail() {
  echo "ssh: $1" >&2
  exit 255
}
batch=no user=- port=-
while [ $# -gt 0 ]; do
  case "$1" in
    -T) shift ;;
    -o)
      case "$2" in
        BatchMode=yes) batch=yes ;;
        ConnectTimeout=[0-9]* | ServerAliveInterval=[0-9]* | ServerAliveCountMax=[0-9]*) ;;
        *) fail "Bad configuration option: $2" ;;
      esac
      shift 2
      ;;
    -p) port=$2 && shift 2 ;;
    -l) user=$2 && shift 2 ;;
    --) shift && break ;;
    *) fail "unknown option or host before --: $1" ;;
  esac
done
[ $# -ge 2 ] || fail "a host and a command are expected behind --"
host=$1
shift
[ -z "$SSH_LOG" ] || echo "host=$host user=$user port=$port batch=$batch command=$*" >>"$SSH_LOG"
case "$host" in
  refused.test)
    echo "Warning: Permanently added '$host' to the list of known hosts." >&2
    fail "connect to host $host port 22: Connection refused"
    ;;
  silent.test) exec sleep 600 ;;
esac
# the far end gets words joined by blanks, and its shell splits them again
exec sh -c "$*"
