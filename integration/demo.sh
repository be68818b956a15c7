#!/bin/sh
# A tour of processmanager that checks what it shows.
#
#   integration/demo.sh BIN     BIN: directory of processmanager and pmclient
#
# It starts a daemon of its own, with state and socket in a temporary directory,
# and ends it again. Exit code 0: everything shown was so. It needs a shell,
# coreutils, grep, sed and setsid. Processes are looked for in /proc itself, so
# that nobody has to believe the manager's own word.
set -eu

bin=$(cd "${1:?the directory of the two programs is missing}" && pwd)
dir=$(mktemp -d)
tree=tree-$$ late=late-$$ tick=tick-$$ web=web-$$ # the processes, by names that nobody else has
daemon=

say()  { printf '\n%s\n' "--- $*"; }
ok()   { printf 'ok: %s\n' "$*"; }
die()  { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# pm shows a command line and carries it out, as its reader would.
pm() {
	printf '$ pmclient'
	for word; do
		case $word in
		"$script") printf ' "$script"' ;;
		*[!A-Za-z0-9._-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	echo
	quiet_pm "$@"
}
quiet_pm() { "$bin/pmclient" -socket "$dir/pm.sock" -secret-file "$dir/secret" "$@"; }

# json NAME KEY prints one figure of a status.
json() { quiet_pm status "$1" -format json | grep -o "\"$2\":[^,}]*" | sed '1!d; s/^[^:]*://; s/"//g'; }

# marked VARIABLE=VALUE prints the pids that have it in their environment.
marked() { grep -alszx "$1" /proc/[0-9]*/environ | sed 's:^/proc/::; s:/environ$::'; }

# wait_for WHAT COMMAND … waits until the command succeeds, 10 s at most.
wait_for() {
	what=$1
	shift
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || die "$what: not so after 10 s"
		sleep 0.1
	done
}

# Conditions.
is()       { [ "$(json "$1" "$2" || true)" = "$3" ]; }
at_least() { n=$(json "$1" "$2" || true); [ "${n:-0}" -ge "$3" ]; }
alive()    { [ "$(marked "$1" | wc -l)" -eq "$2" ]; }
grown() {
	alive "$1" $all || return 1
	[ "$(for pid in $(marked "$1"); do cat "/proc/$pid/comm"; done 2>/dev/null | grep -cx sleep)" = $((all - 1)) ]
}
answers() {
	kill -0 $daemon 2>/dev/null || die 'the daemon could not start'
	quiet_pm list >"$dir/out" 2>&1
}
ran_twice() {
	n=$(quiet_pm status "$tick" -format json | sed -n 's/.*"last_run":{"run":\([0-9]*\).*/\1/p')
	[ "${n:-0}" -ge 2 ]
}

clean_up() {
	code=$?
	trap - EXIT
	for pid in $(marked "DEMO=$$"); do kill -s KILL "$pid" 2>/dev/null || true; done
	if [ -n "$daemon" ]; then
		kill -s TERM "$daemon" 2>/dev/null || true
		wait "$daemon" || true
		echo '--- what the daemon said' >&2
		cat "$dir/daemon.err" >&2
	fi
	umount "$dir/state/run/cgroup" 2>/dev/null || true # mounted where the host has no cgroup v2
	rm -rf --one-file-system "$dir"
	exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The first child burns CPU and is gone soon. Of the others one stays a child, three
# leave the session and the process group, and of these two lose their parent too.
script='
(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done)   # works, and ends
sleep 600 &                                           # a child
setsid sleep 600 &                                    # a session of its own
(setsid sh -c "sleep 600 & exec sleep 600" &)         # a daemon with a child
wait'
all=5 left=3

say 'A script that forks and calls setsid'
printf '%s\n' "$script" | sed '/^$/d; s/^/    /'

say 'Ended the usual way: a signal to its process group'
DEMO=$$ setsid sh -c "$script" &
leader=$!
wait_for 'the tree has grown' grown "DEMO=$$"
echo "\$ kill -TERM -$leader"
kill -s TERM -- "-$leader"
wait $leader 2>/dev/null || true # without the shell's "Terminated"
wait_for "$left of the tree are left" alive "DEMO=$$" $left
for pid in $(marked "DEMO=$$"); do
	printf 'pid %s, parent %s: %s\n' "$pid" "$(sed -n 's/^PPid:\t//p' "/proc/$pid/status")" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
done
ok "$left of $all are left behind, and nobody knows whose they are"
for pid in $(marked "DEMO=$$"); do kill -s KILL "$pid"; done

say 'A daemon of our own'
(umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' ' >"$dir/secret")
set -- -state "$dir/state" -socket "$dir/pm.sock" -secret-file "$dir/secret"
if [ "$(id -u)" = 0 ]; then
	set -- "$@" -cgroup "/demo-$$" # at the top, so that no process of others has to move
fi
echo '$ processmanager -state … -socket … -secret-file … &'
"$bin/processmanager" "$@" 2>"$dir/daemon.err" &
daemon=$!
wait_for 'the daemon answers' answers
cat "$dir/daemon.err"

say 'The same script, under management: one cgroup holds the whole tree'
pm start -name "$tree" -command "$script"
wait_for 'the tree has grown' grown "PROCESSMANAGER_NAME=$tree"
wait_for 'its CPU time is counted' at_least "$tree" cpu_usec 1000
pm list
pm status "$tree"
is "$tree" pids $all || die "the manager does not show $all processes"
is "$tree" cpu_source cgroup || die 'the CPU time does not come from the cgroup'
at_least "$tree" memory_bytes 1 || die 'there is no memory figure'
ok "/proc shows the same $all processes; the CPU time is that of the child that has ended"

# The group's directory, as the kernel tells it: below the mount of cgroup v2.
path=$(sed -n 's/^0:://p' "/proc/$(json "$tree" pid)/cgroup")
mount=$(sed -n 's/^[^ ]* [^ ]* [^ ]* \([^ ]* [^ ]*\) .* - cgroup2 .*/\1/p' /proc/self/mountinfo | sed 1q)
top=${mount% *}
group=${mount#* }${path#"${top%/}"}
[ -d "$group" ] || die "the group $group of the tree is not there"

say 'A deadline of one second'
pm start -name "$late" -command 'setsid sleep 600 & sleep 600' -deadline 1
wait_for 'the deadline ends it' is "$late" cause deadline
alive "PROCESSMANAGER_NAME=$late" 0 || die 'the deadline left somebody behind'
ok 'it ended with the cause "deadline", and nobody is left'

say 'A cron job, every second'
pm start -name "$tick" -cron '@every 1s' -command 'echo "run $PROCESSMANAGER_RUN at $(date +%T)"' -log
wait_for 'it has run twice' ran_twice
pm logs "$tick"
pm list

say 'A crash comes back'
pm start -name "$web" -command 'exec sleep 600' -restart on-failure
crashed=$(json "$web" pid)
echo "\$ kill -KILL $crashed"
kill -s KILL "$crashed"
wait_for 'the next attempt is announced' is "$web" status backoff
pm status "$web"
wait_for 'it runs again' is "$web" status running
pm status "$web"
is "$web" restarts 1 || die 'the restart is not counted'
again=$(json "$web" pid)
[ "$again" != "$crashed" ] && alive "PROCESSMANAGER_NAME=$web" 1 || die 'nothing of it runs'
ok "it was killed as pid $crashed, and runs as pid $again, started by itself after a second"

say 'The end'
pm stop "$tree"
pm stop "$tick"
pm stop "$web"
for name in "$tree" "$late" "$tick" "$web"; do
	alive "PROCESSMANAGER_NAME=$name" 0 || die "somebody of $name is alive"
done
[ ! -d "$group" ] || die "the group $group is still there"
ok 'no process of theirs is in /proc, and the group of the tree is gone'
for name in "$tree" "$late" "$tick" "$web"; do pm delete "$name"; done
rest=$(quiet_pm list -format json)
[ "$rest" = '[]' ] || die "the list is not empty: $rest"
echo "\$ kill -TERM $daemon"
kill -s TERM $daemon
wait $daemon || die "the daemon ended with code $?"
daemon=
if [ ! -d "${group%/p/*}" ]; then
	ok 'the daemon has ended, and its own group is gone too'
elif [ "$(id -u)" != 0 ]; then
	ok 'the daemon has ended; its group stays for those who had to move into it'
else
	die "the daemon left its group ${group%/p/*} behind"
fi

say 'Everything shown here was checked'
