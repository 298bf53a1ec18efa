import type { PodProgram } from './nodes.ts'

/** What a real machine runs in the place of the lab's nodes. POSIX shell, as root. */

const root = '/run/recover-lab'

/** Where a disk is mounted on the machine. */
export function mountPoint(handle: string): string {
  return `${root}/disks/${handle}`
}

interface Login {
  portal: string
  iqn: string
  handle: string
  initiator: string
}

/**
 * What the CSI driver and kubelet do to stage a LUN: login, a file system where blkid finds none, fsck, mount. One that
 * fails leaves nothing behind. Each initiator has an interface of its own, so that one machine stands for several.
 */
export function mountScript(disk: Login & { fsType: string; readOnly: boolean }): string {
  return `${settings(disk)}
FS=${quoted(disk.fsType)} RO=${disk.readOnly ? 'ro' : ''}
fail() { ${leaving}; printf '%s' "$1"; exit 1; }
if [ ! -e "/etc/iscsi/ifaces/$FACE" ]; then
  mkdir -p /etc/iscsi/ifaces
  printf '%s\\n' "iface.iscsi_ifacename = $FACE" 'iface.transport_name = tcp' "iface.initiatorname = $INITIATOR" >"/etc/iscsi/ifaces/$FACE"
fi
iscsiadm -m node -T "$IQN" -p "$PORTAL" -I "$FACE" -o new >/dev/null
words=$(iscsiadm -m node -T "$IQN" -p "$PORTAL" -I "$FACE" --login 2>&1) || fail "$(printf '%s' "$words" | tail -n 1)"
disk=
tries=0
while [ -z "$disk" ] && [ $tries -lt 100 ]; do
  for session in /sys/class/iscsi_session/session*; do
    read -r name <"$session/targetname" && [ "$name" = "$IQN" ] || continue
    for found in "$session"/device/target*/*/block/*; do
      [ ! -b "/dev/\${found##*/}" ] || disk=/dev/\${found##*/}
    done
  done
  tries=$((tries + 1))
  [ -n "$disk" ] || sleep 0.1
done
[ -n "$disk" ] || fail "the disk of $IQN does not appear"
serial=$(tail -c +5 "/sys/block/\${disk#/dev/}/device/vpd_pg80" | tr -d '\\000 ')
[ "$serial" = "$SERIAL" ] || fail "behind $IQN is a disk with the serial number $serial"
blkid -p "$disk" >/dev/null
if [ $? = 2 ]; then
  [ -z "$RO" ] || fail "wrong fs type, bad superblock on $disk"
  case $FS in ext4) flags='-F -m 0' ;; xfs | btrfs) flags=-f ;; *) flags= ;; esac
  words=$(mkfs.$FS -q $flags "$disk" 2>&1) || fail "$words"
elif [ -z "$RO" ] && [ "$FS" = ext4 ]; then
  fsck -a "$disk" >/dev/null
fi
mkdir -p "$AT"
words=$(mount \${FS:+-t "$FS"} -o "\${RO:-rw}" "$disk" "$AT" 2>&1) || fail "$words"
`
}

const leaving = `if grep -q " $AT " /proc/mounts; then umount "$AT" || exit 1; fi
iscsiadm -m node -T "$IQN" -p "$PORTAL" -I "$FACE" --logout >/dev/null 2>&1
iscsiadm -m node -T "$IQN" -p "$PORTAL" -I "$FACE" -o delete >/dev/null 2>&1`

/** Unmounts a disk and logs out of it, once nobody has its file system any more. */
export function unmountScript(disk: Login): string {
  return `${settings(disk)}
disk=$(sed -n "s|^/dev/\\([^ ]*\\) $AT .*|\\1|p" /proc/mounts)
if [ -n "$disk" ]; then
  sync -f "$AT"
  umount "$AT" || exit 1
  # A pod that began meanwhile has it in mounts of its own for a moment: what is not written yet would be lost.
  held() { [ -e "/sys/fs/ext4/$disk" ] || [ -e "/sys/fs/xfs/$disk" ] || ls /sys/fs/btrfs/*/devices/"$disk" >/dev/null 2>&1; }
  tries=0
  while held; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || exit 1
    sleep 0.1
  done
fi
${leaving}
exit 0
`
}

function settings({ portal, iqn, handle, initiator }: Login): string {
  return `set -u
export LC_ALL=C
PORTAL=${quoted(portal)} IQN=${quoted(iqn)} SERIAL=${quoted(handle)} INITIATOR=${quoted(initiator)}
FACE=lab-\${INITIATOR##*:} AT=${mountPoint(handle)}
# Nobody starts iscsid anew meanwhile.
exec 9>${root}/lock
flock -s 9`
}

/**
 * Runs a pod's program as a container does: its volumes at their paths and nothing of the others', the capabilities that it
 * is given, and a file for its last word. Prints that word and exits as the program does.
 */
export function podScript(
  name: string,
  {
    script,
    environment,
    capabilities,
    mounts,
  }: Pick<PodProgram, 'script' | 'environment' | 'capabilities' | 'mounts'>,
): string {
  const bound = Object.entries(mounts).flatMap(([path, { handle, readOnly }]) => [
    `mkdir -p ${quoted(path)}`,
    `mount --bind ${mountPoint(handle)} ${quoted(path)}`,
    ...(readOnly ? [`mount -o remount,bind,ro ${quoted(path)}`] : []),
  ])
  const bounding = ['-all', ...(capabilities ?? []).map(name => `+${name.toLowerCase()}`)].join(',')
  const drop = capabilities === undefined ? '' : `setpriv --bounding-set=${bounding} --inh-caps=-all `
  return `${inGroup(
    name,
    'unshare --mount --propagation private ',
    `set -e
umask 022
: >"$POD/word"
: >>/dev/termination-log
mount --bind "$POD/word" /dev/termination-log
${bound.join('\n')}
# What is mounted here as well cannot be unmounted there.
for at in ${root}/disks/* /run/recover/*/src /run/recover/*/dst; do umount "$at" 2>/dev/null || true; done
${Object.entries(environment)
  .map(([name, value]) => `export ${name}=${quoted(value)}`)
  .join('\n')}
exec ${drop}sh "$POD/script"`,
    script,
  )}
cat "$POD/word"
rm -rf "$POD"
exit $code
`
}

/** Runs the unit's script under the initiator's name of the machine that it was given to. */
export function copyScript(name: string, script: string, initiator: string): string {
  return `own=${quoted(`InitiatorName=${initiator}`)}
exec 9>${root}/lock
flock 9
if [ "$(cat /etc/iscsi/initiatorname.iscsi)" != "$own" ]; then
  printf '%s\\n' "$own" >/etc/iscsi/initiatorname.iscsi
  systemctl restart iscsid
fi
exec 9>&-
${inGroup(name, '', 'exec sh "$POD/script"', script)}
rm -rf "$POD"
exit $code
`
}

/** Runs a program as a group of processes that can be ended, and waits for it. */
function inGroup(name: string, within: string, enter: string, script: string): string {
  return `export POD=${root}/${name}
umask 077
mkdir -p "$POD"
${written('"$POD/script"', script)}
${written('"$POD/enter"', enter)}
code=0
setsid ${within}sh "$POD/enter" >"$POD/out" 2>&1 &
echo $! >"$POD/group"
wait $! || code=$?`
}

/** Ends and lets go whatever an earlier process of a lab at this portal left on the machine. */
export function freshScript(portal: string): string {
  return `for group in ${root}/*/group; do [ ! -e "$group" ] || kill -KILL -- "-$(cat "$group")"; done
for at in ${root}/disks/*; do
  ! grep -q " $at " /proc/mounts || umount "$at"
done
iscsiadm -m session 2>/dev/null | awk -v portal=${quoted(`${portal},`)} 'index($3, portal) == 1 { print $4 }' | while read -r iqn; do
  iscsiadm -m node -T "$iqn" -p ${quoted(portal)} --logout
done
rm -rf ${root}
mkdir -p ${root}
modprobe -a iscsi_tcp sd_mod btrfs xfs
systemctl start iscsid
`
}

/** Ends a program with everything that it started. */
export function endScript(name: string): string {
  return `group=$(cat ${root}/${name}/group 2>/dev/null) && kill -KILL -- "-$group"`
}

/** Writes a text of any kind into a file. */
function written(path: string, text: string): string {
  return `base64 -d >${path} <<'END'
${Buffer.from(text).toString('base64').replaceAll(/.{76}/g, '$&\n')}
END`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
