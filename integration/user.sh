#!/bin/bash
# Tests as an ordinary user: one who has no capability and a group that root delegates,
# as systemd does it. Root builds, makes the group, and becomes that user.
#
#	integration/user.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# What is tested: everything of a package, or the tests that match.
packages=(
	'./proc .'
	'./cgroup .'
	'./supervisor .'
	'./supervisor/keeper ^Test(KeepersDeath|RunInherits|WorkerIs|Shutdown|Exit|Spawn|OneUpgrade|UpgradeBrings|NothingIsLost|StartWithSettings|TheKeeperDoesNotWait)'
	'./supervisor/logs .'
	'./cmd/processmanager .'
	'./supervisor/config .'
	'./integration ^Test(TreeIsInItsGroup|ExitCodes|NobodySurvives|RunInherits|WorkerThatIsKilled|ExitWithoutAWorker|TreesOutlive|FIFOThat|StoreThatIs|TooFew|MoreRuns|RunsThatFit|LostStore|LeaderOutside|EmptyGroup|OutputAndErrors|Secret|TheSecond|Doctor|Restart|ARunGets|StartsThatFail|WhatVariables|ChangesOfThe|SocketFromThe|CheckShows|MistakesIn|ClosingTheTerminal)'
)
if [ "$(id -u)" != 0 ]; then
	echo 'integration/user.sh: this is an ordinary user, and the other tests are run by it'
	exit 0
fi
uid=20123 # nobody's
mount=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
group=$mount/pm-user-$$
dir=$(mktemp -d "${TMPDIR:-/tmp}/pm.XXX") # short: paths of sockets are

leave() {
	if [ -d "$group" ]; then
		echo $$ >"$mount/cgroup.procs" || true
		echo 1 >"$group/cgroup.kill"
		while ! find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
	fi
	rm -rf "$dir"
}
trap leave EXIT

mkdir "$dir/bin" "$dir/home" "$dir/t"
CGO_ENABLED=0 go build -o "$dir/bin/" ./cmd/processmanager ./cmd/pmclient
for line in "${packages[@]}"; do
	read -r package _ <<<"$line"
	CGO_ENABLED=0 go test -c -o "$dir/bin/${package//[.\/]/_}.test" "$package"
done
tar -c --exclude=.git --exclude=bin . | tar -x -C "$dir" --one-top-level=src
chown -R "$uid:$uid" "$dir"

mkdir "$group" "$group/tests"
for g in "$group" "$group/tests"; do
	chown "$uid:$uid" "$g" "$g"/cgroup.{procs,threads,subtree_control}
done

# The tests run below the group that is delegated, so that its processes can be cloned
# into groups beside their own.
status=0
for line in "${packages[@]}"; do
	read -r package run <<<"$line"
	echo "--- $package, user $uid"
	(
		echo $BASHPID >"$group/tests/cgroup.procs"
		cd "$dir/src/$package"
		exec env -i PATH="$PATH" HOME="$dir/home" TMPDIR="$dir/t" CI="${CI:-}" PM_CGROUP="$group" \
			PM_BIN="$dir/bin/processmanager" PMCLIENT_BIN="$dir/bin/pmclient" \
			setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all --bounding-set=-all \
			"$dir/bin/${package//[.\/]/_}.test" -test.short -test.timeout=5m "-test.run=$run" ${FLAGS:-}
	) || status=1
done
exit $status
