/** Programs on which a way to install, or a way to look, depends. */
export const factTools = [
  'kexec',
  'efibootmgr',
  'flatcar-reset',
  'flatcar-install',
  'systemd-run',
  'systemctl',
  'lsblk',
  'blkid',
  'dd',
  'curl',
  'wget',
  'gpg',
  'gpgv',
  'bzip2',
  'lbzip2',
  'sha256sum',
  'sgdisk',
  'cryptsetup',
  'lvm',
  'mdadm',
  'iscsiadm',
  'rsync',
  'mkfs.ext4',
  'mkfs.xfs',
  'mkfs.btrfs',
  'k0s',
] as const

/** Units whose state is told. */
export const factUnits = ['k0scontroller', 'k0sworker', 'update-engine', 'locksmithd'] as const

/**
 * How {@link factScript} is started, the script itself coming by standard input: as root, through sudo where it asks
 * for no password, otherwise as whoever we are. The script says which it was. Its arguments follow a `$0`.
 */
export const factShell =
  'if [ "$(id -u)" = 0 ]; then exec sh -s -- "$@"; elif sudo -n true 2>/dev/null; then exec sudo -n sh -s -- "$@"; else exec sh -s -- "$@"; fi'

/**
 * Gathers everything in one round trip, by reading only. Ends in a mark, so that a line that broke is not taken for a
 * machine without disks. Plain POSIX sh and sysfs, with `lsblk`, `blkid`, `ip` and LVM's programs where they are: a
 * system that runs from memory may have none of them. Without udev, lsblk knows no file systems (2.38): blkid reads them.
 * What could hang on a dead disk is bounded. Every program that is started costs a machine a millisecond and more, LVM’s ten:
 * small files are read by the shell itself, and what has no physical volumes is not asked for logical ones.
 */
export const factScript = `export LC_ALL=C PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
part() { printf '\\n=== %s\\n' "$1"; }
has() { command -v "$1" >/dev/null 2>&1; }
tell() { if [ -r "$1" ]; then while IFS= read -r v || [ -n "$v" ]; do printf '%s\\n' "$v"; done <"$1"; else return 1; fi 2>/dev/null; }
get() { v=; if [ -r "$1" ]; then IFS= read -r v <"$1"; fi 2>/dev/null; }
most() { if has timeout; then timeout "$@"; else shift; "$@"; fi 2>/dev/null </dev/null; }
tab='	'
part access; u=$(id -u 2>/dev/null); if [ "$u" != 0 ]; then echo none; elif [ -n "$SUDO_UID" ]; then echo sudo; else echo root; fi
part os-release; tell /etc/os-release || tell /usr/lib/os-release
part kernel; k=$(uname -rm); echo "\${k##* }"; echo "\${k%% *}"
part cmdline; tell /proc/cmdline
part memory; while read -r k n _; do case $k in MemTotal:|MemAvailable:) echo "$k $n";; esac; done </proc/meminfo
part boot-id; tell /proc/sys/kernel/random/boot_id
part hostname; tell /proc/sys/kernel/hostname
part machine; for f in product_serial product_uuid sys_vendor product_name; do get /sys/class/dmi/id/$f; printf '%s\\n' "$f $v"; done
part firmware; if [ -d /sys/firmware/efi ]; then echo uefi; fi
for f in /sys/firmware/efi/efivars/SecureBoot-*; do if [ -r "$f" ] && [ "$(tail -c 1 "$f" 2>/dev/null | tr '\\001' y)" = y ]; then echo secure-boot; fi; done
get /proc/sys/kernel/kexec_load_disabled; if [ "$v" = 1 ]; then echo kexec-disabled; fi
get /sys/kernel/security/lockdown; case $v in *'[integrity]'*|*'[confidentiality]'*) echo lockdown;; esac
part tools; for t in ${factTools.join(' ')}; do if has $t; then echo $t; fi; done
part links; for d in /sys/class/net/*; do get "$d/address"; a=$v; get "$d/operstate"; p=; if [ -e "$d/device" ]; then p=physical; fi; echo "\${d##*/} $a \${v:-unknown} $p"; done
part addresses; if has ip; then ip -o addr show 2>/dev/null; fi
part routes; tell /proc/net/route
part block; for d in /sys/class/block/*; do
get "$d/size"; s=$v; case $s in ''|0) continue;; esac
n=\${d##*/}; cd -P "$d" 2>/dev/null || continue; p=$PWD
get partition; i=$v; get ro; o=$v; get removable; r=$v; get dev; m=$v; get dm/name; dn=$v; get dm/uuid; du=$v; get md/level; l=$v; get loop/backing_file; b=$v
w=; for f in wwid device/wwid; do get $f; if [ -n "$v" ]; then w=$v; break; fi; done
x=; for f in serial device/serial; do get $f; if [ -n "$v" ]; then x=$v; break; fi; done
if [ -z "$x" ] && [ -r device/vpd_pg80 ]; then x=$(tail -c +5 device/vpd_pg80 2>/dev/null | tr -cd '[:print:]'); fi
get device/model; y=$v; h=; for f in slaves/*; do if [ -e "$f" ]; then h="$h \${f##*/}"; fi; done
printf '%s\\t' "$n" "$s" "$i" "$o" "$r" "$m" "$dn" "$du" "$l" "$b" "$w" "$x" "$y" "$h"; printf '%s\\n' "$p"; done; cd /
part lsblk; most 20 lsblk -P -b -o KNAME,TYPE,SERIAL,WWN,MODEL,TRAN,FSTYPE,LABEL,UUID,PARTLABEL,PARTTYPE || most 20 lsblk -P -b -o KNAME,TYPE,SERIAL,MODEL,FSTYPE,LABEL,UUID
part blkid; if ! has lsblk || ! [ -d /run/udev/data ]; then most 20 blkid -c /dev/null || most 20 blkid; fi
part by-id; for f in /dev/disk/by-id/*; do if [ -e "$f" ]; then printf '%s\\n' "\${f##*/} $(readlink "$f")"; fi; done
part mounts; while read -r _ _ m _ t rest; do r=\${rest#* - }; f=\${r%% *}; r=\${r#* }; s=\${r%% *}; case $m:$s in 0:*:/dev/*|[1-9]*) printf '%s\\n' "$m $t $f $s";; *) if [ "$t" = / ]; then printf '%s\\n' "$m $t $f $s"; fi;; esac; done </proc/self/mountinfo
part swaps; tell /proc/swaps
part pvs; p=; q=1; if has pvs; then q=; p=$(most 10 pvs --readonly --noheadings --separator '|' -o pv_name,vg_name) || q=1; printf '%s\\n' "$p"; fi
part lvs; if [ -n "$p$q" ] && has lvs; then most 10 lvs --readonly --noheadings --units b --nosuffix --separator '|' -o vg_name,lv_name,lv_size,devices; fi
part iscsi; for d in /sys/class/iscsi_session/session*; do if [ -e "$d" ]; then n=\${d##*/}; get "$d/targetname"; t=$v; get "$d/state"; s=$v; c=/sys/class/iscsi_connection/connection\${n#session}:0; get "$c/persistent_address"; a=$v; get "$c/persistent_port"; printf '%s\\n' "$n $t $a:$v $s"; fi; done
part run; tell /etc/recover/run.json
part units; set -- $(systemctl is-active ${factUnits.join(' ')} 2>/dev/null); for u in ${factUnits.join(' ')}; do printf '%s %s\\n' "$u" "$1"; if [ $# -gt 0 ]; then shift; fi; done
part k0s; if has k0s; then echo "version $(most 10 k0s version)"; fi
for u in k0scontroller k0sworker; do for f in /etc/systemd/system/$u.service /lib/systemd/system/$u.service; do if [ -r "$f" ]; then while IFS= read -r k; do case $k in ExecStart=*) printf '%s\\n' "$u $k";; esac; done <"$f"; break; fi; done; done
part initiator; tell /etc/iscsi/initiatorname.iscsi
part end`
