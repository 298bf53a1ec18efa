import { type CopyVerdict, copyProgram, copyRefusals, parseCopyVerdict } from './programs.ts'

/** What a copy from one LUN to another needs to know on the machine that makes it. */
export interface HostCopy {
  run: string
  /** `ADDRESS:PORT` of the NAS. */
  portal: string
  /** A clone of the old disk, and the snapshot that it was made of. */
  from: { iqn: string; uuid: string; snapshot: string }
  /** The new disk. */
  to: { iqn: string; uuid: string }
  /** File system of the new disk, as mount and mkfs name it. */
  fsType: string
  /** What the StorageClass tells mkfs beside that; empty for nothing. */
  formatOptions: string
}

/** File systems that can be made and grown on a machine. */
export const hostFileSystems = ['ext4', 'xfs', 'btrfs'] as const

/** Exit codes of {@link hostCopyProgram} beside those of the copying program that it carries. */
export const hostCopyRefusals = { loginFailed: 51, diskMissing: 52, notMounted: 53, notLetGo: 54 } as const

/** Where a machine keeps the mounts and the words of the copy of one volume; gone with the next boot. */
export function hostCopyFolder(id: string): string {
  return `/run/recover/copy-${id}`
}

/**
 * Reads what {@link hostCopyProgram} proved of that disk; undefined when it is nothing, of another disk, or of files as another
 * snapshot has them: what was copied before a snapshot was taken anew is not what is to be brought back.
 */
export function parseHostCopyVerdict(
  text: string | undefined,
  { disk, snapshot }: { disk: string; snapshot: string },
): CopyVerdict | undefined {
  const [proved, verdict = ''] = (text ?? '').split('\n')
  return proved === `${disk} ${snapshot}` ? parseCopyVerdict(verdict) : undefined
}

/**
 * Programs that a machine must have for it. Flatcar brings them all: its release image has open-iscsi, rsync, e2fsprogs,
 * btrfs-progs and xfsprogs (flatcar/scripts, coreos-base/coreos/coreos-0.0.1.ebuild).
 */
export function hostCopyNeeds(fsType: string): string[] {
  return ['systemd-run', 'iscsiadm', 'blkid', 'rsync', `mkfs.${fsType}`]
}

/** The whole program for one copy: what is to be copied, and how. */
export function hostCopyScript(id: string, copy: HostCopy): string {
  const settings = {
    FOLDER: hostCopyFolder(id),
    RUN: copy.run,
    PORTAL: copy.portal,
    SRC_IQN: copy.from.iqn,
    SRC_SERIAL: copy.from.uuid,
    SRC_SNAPSHOT: copy.from.snapshot,
    DST_IQN: copy.to.iqn,
    DST_SERIAL: copy.to.uuid,
    FS: copy.fsType,
    OPTIONS: copy.formatOptions,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'`)
  return `${lines.join('\n')}\n${hostCopyProgram}`
}

/**
 * Copies one LUN to another on a machine that logs in to both, by the very program that copies in a Job. The old disk's
 * clone is mounted once, which replays its journal, and only read from then on; a new disk without a file system gets one,
 * and one that grew on the NAS is used whole. A disk is taken by the session of its IQN and by its serial number, which is
 * its uuid on the NAS. No discovery: it would leave records of every target of the NAS, which are logged in to at the next
 * boot. Whatever ends it, the disks are let go; what only a later start can end (SIGKILL), that start ends first.
 * Its words are in the folder: `log` while it copies, `said` when it failed, `verdict` (uuids of the new disk and the snapshot, then the
 * counts) once all is copied, compared and let go.
 */
export const hostCopyProgram = `set -uf
export LC_ALL=C PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
mkdir -p "$FOLDER/src" "$FOLDER/dst"
fail() { printf '%s' "$2" > "$FOLDER/said"; exit "$1"; }
session() {
  for found in $(ls /sys/class/iscsi_session 2>/dev/null); do
    if [ "$(cat "/sys/class/iscsi_session/$found/targetname" 2>/dev/null)" = "$1" ]; then echo "$found"; return 0; fi
  done
  return 1
}
mounted() { grep -q " $FOLDER/$1 " /proc/mounts; }
leave() {
  for at in src dst; do
    tries=0
    while mounted $at && [ $tries -lt 10 ]; do
      timeout 600 umount "$FOLDER/$at" || sleep 1
      tries=$((tries + 1))
    done
  done
  for iqn in "$SRC_IQN" "$DST_IQN"; do
    if session "$iqn" > /dev/null; then timeout 180 iscsiadm -m node -T "$iqn" -p "$PORTAL" --logout; fi
    timeout 60 iscsiadm -m node -T "$iqn" -p "$PORTAL" -o delete 2> /dev/null
  done
  ! mounted src && ! mounted dst && ! session "$SRC_IQN" > /dev/null && ! session "$DST_IQN" > /dev/null
}
enter() {
  timeout 60 iscsiadm -m node -T "$1" -p "$PORTAL" -o new > /dev/null || fail ${hostCopyRefusals.loginFailed} "iscsiadm takes no record of $1 at $PORTAL"
  timeout 60 iscsiadm -m node -T "$1" -p "$PORTAL" -o update -n node.startup -v manual
  words=$(timeout 180 iscsiadm -m node -T "$1" -p "$PORTAL" --login 2>&1)
  code=$?
  # 15: there is a session already.
  case $code in 0 | 15) ;; *) fail ${hostCopyRefusals.loginFailed} "iscsiadm could not log in to $1 at $PORTAL (exit $code): $(printf '%s' "$words" | tail -n 1)" ;; esac
}
disk() {
  tries=0
  while [ $tries -lt 30 ]; do
    if found=$(session "$1"); then
      for name in $(ls /sys/block); do
        case $(readlink -f "/sys/block/$name/device") in */"$found"/*) ;; *) continue ;; esac
        # After four bytes of its own the page has nothing but the serial number.
        serial=$(tail -c +5 "/sys/block/$name/device/vpd_pg80" 2> /dev/null | tr -d '\\000 ')
        if [ "$serial" = "$2" ] && [ -b "/dev/$name" ]; then echo "/dev/$name"; return 0; fi
      done
    fi
    sleep 1
    tries=$((tries + 1))
  done
  return 1
}
trap 'exit 75' TERM INT HUP
trap leave EXIT
rm -f "$FOLDER/verdict" "$FOLDER/said" "$FOLDER/log"
systemctl start iscsid 2> /dev/null
leave || fail ${hostCopyRefusals.notLetGo} 'what an earlier attempt left mounted or logged in could not be ended'
enter "$SRC_IQN"
enter "$DST_IQN"
old=$(disk "$SRC_IQN" "$SRC_SERIAL") || fail ${hostCopyRefusals.diskMissing} "behind $SRC_IQN is no disk with the serial number $SRC_SERIAL"
new=$(disk "$DST_IQN" "$DST_SERIAL") || fail ${hostCopyRefusals.diskMissing} "behind $DST_IQN is no disk with the serial number $DST_SERIAL"
type=$(blkid -p -s TYPE -o value "$new")
code=$?
if [ $code = 2 ]; then
  case $FS in ext4) flags='-F -m 0' ;; *) flags= ;; esac
  words=$(timeout 1800 mkfs.$FS -q $flags $OPTIONS "$new" 2>&1) || fail ${hostCopyRefusals.notMounted} "mkfs.$FS failed on the new disk: $(printf '%s' "$words" | tail -n 1)"
elif [ "$type" != "$FS" ]; then
  fail ${copyRefusals.destinationNotOurs} "the new disk holds \${type:-something} that this run did not make"
fi
words=$(timeout 900 mount -o ro "$old" "$FOLDER/src" 2>&1) || fail ${hostCopyRefusals.notMounted} "the clone of the old disk could not be mounted: $words"
words=$(timeout 900 mount -t "$FS" "$new" "$FOLDER/dst" 2>&1) || fail ${hostCopyRefusals.notMounted} "the new disk could not be mounted: $words"
case $FS in
  ext4) resize2fs "$new" ;;
  xfs) xfs_growfs "$FOLDER/dst" ;;
  btrfs) btrfs filesystem resize max "$FOLDER/dst" ;;
esac > /dev/null 2>&1
(
SRC=$FOLDER/src DST=$FOLDER/dst VERDICT=$FOLDER/said
${copyProgram}
) > "$FOLDER/log" 2>&1
code=$?
trap - EXIT
leave || fail ${hostCopyRefusals.notLetGo} 'the disks could not be unmounted or logged out of after the copy'
if [ $code = 0 ]; then
  printf '%s %s\\n%s' "$DST_SERIAL" "$SRC_SNAPSHOT" "$(cat "$FOLDER/said")" > "$FOLDER/said.part" && mv "$FOLDER/said.part" "$FOLDER/verdict" && rm "$FOLDER/said"
fi
exit $code
`
