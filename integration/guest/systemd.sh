#!/bin/busybox sh
# PID 1 of a guest machine until systemd is. GUEST and LIMIT come from the kernel's command line.
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	insmod "$module"
done
mount -t ext4 /dev/vdc /mnt
# A second boot has been asked for by a test, with the file reboot, or comes from a panic.
if [ -e /mnt/tests/reboot ]; then
	rm /mnt/tests/reboot
	umount /proc
	exec switch_root /mnt /sbin/init --unit=guest.target
elif [ -e /mnt/tests ]; then
	poweroff -f
fi
tar -xf /dev/vda -C /mnt
mkdir -p /mnt/results /mnt/tests
echo guest >/mnt/etc/hostname
echo 'c0ffee00c0ffee00c0ffee00c0ffee00' >/mnt/etc/machine-id
printf '127.0.0.1 localhost guest\n::1 localhost\n' >/mnt/etc/hosts
echo 'tester:x:1000:1000:tester:/home/tester:/bin/sh' >>/mnt/etc/passwd
echo 'tester:x:1000:' >>/mnt/etc/group
echo 'tester:*:19000:0:99999:7:::' >>/mnt/etc/shadow # without it PAM lets no session begin
mkdir -p /mnt/home/tester && chown 1000:1000 /mnt/home/tester

cat >/mnt/etc/systemd/system/guest.target <<END
[Unit]
Description=Tests
Requires=basic.target
Wants=guest-tests.service dbus.service systemd-logind.service
AllowIsolate=yes
END
cat >/mnt/etc/systemd/system/guest-tests.service <<END
[Unit]
Description=Tests
After=dbus.service
[Service]
Type=exec
ExecStart=/bin/sh /tests/run.sh
Environment=CI=true RESULTS=/results GUEST=$GUEST LIMIT=$LIMIT HOME=/root USER=root LOGNAME=root SHELL=/bin/sh LANG=C.UTF-8
Delegate=yes
KillMode=process
TasksMax=infinity
END
cat >/mnt/tests/run.sh <<'END'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PM_BIN=/usr/local/bin/processmanager PMCLIENT_BIN=/usr/local/bin/pmclient
now() {
	read -r uptime _ </proc/uptime
	echo "$uptime"
}
limit=$LIMIT
unset LIMIT
up=$(now)
[ -e /tests/began ] || echo $(($(date +%s) - ${up%.*})) >/tests/began
read -r began </tests/began
mark() {
	printf '\n##%s\n' "$*" >/dev/ttyS1
}
stty -F /dev/ttyS1 raw -echo
mark "UP $(now) $(uname -r)"
. /tests/arguments
while read -r number package; do
	cd "/tests/$number"
	[ -e done ] && continue
	start=$(now)
	left=$((limit - $(date +%s) + began))
	[ "$left" -gt 0 ] || break
	mark "RUN $start $package"
	setsid ./test "-test.timeout=${left}s" "$@" </dev/null >/dev/ttyS1 2>&1
	code=$?
	mark "RC=$code $(now) $package"
	touch done
done </tests/packages
journalctl --no-pager -o short-monotonic >/results/journal
tar -cf /dev/vdb -C /results .
sync
mark DONE
systemctl poweroff --force --force
END
umount /proc
exec switch_root /mnt /sbin/init --unit=guest.target
