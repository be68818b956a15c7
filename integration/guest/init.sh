#!/bin/busybox sh
# PID 1 of a guest machine. GUEST and LIMIT come from the kernel's command line.
# The console shows what goes wrong here; ttyS1 carries the report.
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root USER=root LOGNAME=root SHELL=/bin/sh LANG=C.UTF-8 TMPDIR=/tmp
export CI=true RESULTS=/results
export -n LIMIT

mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
	echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control # as systemd does
done
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

for module in /modules/*.ko; do
	insmod "$module"
done
hostname guest
ip link set lo up
mount -t ext4 /dev/vdc /var/lib
tar -xf /dev/vda -C /
stty -F /dev/ttyS1 raw -echo

now() {
	read -r uptime _ </proc/uptime
	echo "$uptime"
}

# The marker stands on a line of its own, whatever was printed before it.
mark() {
	printf '\n##%s\n' "$*" >/dev/ttyS1
}

# Where the programs are, for tests that would build them elsewhere.
export PM_BIN=/usr/local/bin/processmanager PMCLIENT_BIN=/usr/local/bin/pmclient

mark "UP $(now) $(uname -r)"
. /tests/arguments
while read -r number package; do
	cd "/tests/$number"
	start=$(now)
	left=$((LIMIT - ${start%.*}))
	[ "$left" -gt 0 ] || break
	mark "RUN $start $package"
	setsid ./test "-test.timeout=${left}s" "$@" </dev/null >/dev/ttyS1 2>&1
	code=$?
	mark "RC=$code $(now) $package"
	kill -9 -1 # what a test left behind must not disturb the next one
done </tests/packages

tar -cf /dev/vdb -C /results .
sync
mark DONE
poweroff -f
