/**
 * Looks for data that lives on a machine's own disks, by reading only: paths of PersistentVolumes given as arguments,
 * and the places where k0s, k3s, kubelets, local-path, OpenEBS, Longhorn, Rook, NFS, Tang and open-iscsi keep theirs. Sizes are
 * measured for some seconds each and half a minute in all; a size that is missing was not known by then. On an overlay,
 * whose files are on another device than its folders, other mounts are not left out.
 *
 * Lines, with tabs: `data KIND PATH REALPATH BYTES`, `entry KIND PATH NAME`, `file KIND PATH BYTES`,
 * `pod NAMESPACE_NAME_UID` for each pod that a volume of the kubelet's is mounted in.
 */
export const dataScript = `export LC_ALL=C PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
most() { if has timeout; then timeout "$@"; else shift; "$@"; fi 2>/dev/null </dev/null; }
until=$(($(date +%s) + 30))
size() { if [ "$(date +%s)" -lt "$until" ]; then x=-x; case $(most 2 stat -f -c %T "$1") in overlay*) x=;; esac; s=$(most 6 du -sk $x "$1" | cut -f 1); if [ -n "$s" ]; then echo $((s * 1024)); fi; fi; }
seen=:
data() { k=$1; p=$2; case $seen in *":$k $p:"*) return 1;; esac; if ! [ -e "$p" ]; then return 1; fi; seen="$seen$k $p:"
printf 'data\\t%s\\t%s\\t%s\\t%s\\n' "$k" "$p" "$(readlink -f "$p")" "$(size "$p")"; }
entry() { printf 'entry\\t%s\\t%s\\t%s\\n' "$1" "$2" "$3"; }
file() { if [ -f "$2" ]; then printf 'file\\t%s\\t%s\\t%s\\n' "$1" "$2" "$(wc -c <"$2" 2>/dev/null | tr -d ' ')"; fi; }
inside() { k=$1; p=$2; if data "$k" "$p"; then n=0; for e in "$p"/$3*; do if [ -e "$e" ] && [ $n -lt 500 ]; then entry "$k" "$p" "\${e##*/}"; n=$((n + 1)); fi; done; fi; }
m=0
csi() { for f in "$1"/pods/*/volumes/kubernetes.io~csi/*/vol_data.json; do if [ -s "$f" ] && [ $m -lt 300 ]; then m=$((m + 1)); file kubelet "$f"; u=\${f#"$1"/pods/}
for l in /var/log/pods/*_"\${u%%/*}"; do if [ -d "$l" ]; then printf 'pod\\t%s\\n' "\${l##*/}"; fi; done; fi; done; }
for p do data volume "$p"; done
for p in /opt/local-path-provisioner /var/local-path-provisioner /var/lib/rancher/k3s/storage; do inside local-path $p; done
inside openebs /var/openebs/local; data openebs /var/openebs/sparse; data openebs /var/openebs/jiva
inside longhorn /var/lib/longhorn replicas/
inside rook /var/lib/rook
units=/etc/systemd/system
for d in /var/lib/k0s $(sed -n 's/^ExecStart=.*--data-dir[= ]"\\{0,1\\}\\([^ "]*\\).*/\\1/p' $units/k0scontroller.service $units/k0sworker.service 2>/dev/null) /var/lib/rancher/k3s/server; do
if [ -f $d/db/state.db ]; then data kine $d/db; for f in state.db state.db-wal state.db-shm; do file kine $d/db/$f; done; fi
for e in $d/etcd $d/db/etcd; do if [ -d $e/member ]; then data etcd $e; fi; done
for v in $d/kubelet/pods/*/volumes/kubernetes.io~local-volume/*; do if [ -e "$v" ]; then data kubelet $d/kubelet; entry kubelet $d/kubelet "\${v##*/}"; fi; done; csi $d/kubelet; done
if [ -d /var/lib/etcd/member ]; then data etcd /var/lib/etcd; fi
for v in /var/lib/kubelet/pods/*/volumes/kubernetes.io~local-volume/*; do if [ -e "$v" ]; then data kubelet /var/lib/kubelet; entry kubelet /var/lib/kubelet "\${v##*/}"; fi; done
csi /var/lib/kubelet
for f in /etc/k0s/*.yaml /etc/k0s/*.yml; do file k0s-config "$f"; done
for f in /etc/exports /etc/exports.d/*.exports; do if [ -s "$f" ]; then file exports "$f"; while read -r p _; do p=\${p#\\"}; p=\${p%\\"}; case $p in /*) data nfs "$p";; esac; done <"$f"; fi; done
for d in /var/db/tang /var/lib/tang /etc/tang; do for f in $d/*.jwk $d/.*.jwk; do if [ -f "$f" ]; then data tang $d; file tang "$f"; fi; done; done
for d in /etc/iscsi/nodes /var/lib/iscsi/nodes; do if [ -d $d ]; then n=0; for f in $d/*/* $d/*/*/*; do if [ -f "$f" ] && [ $n -lt 200 ]; then file iscsi "$f"; n=$((n + 1)); fi; done; fi; done
file iscsi /etc/iscsi/initiatorname.iscsi
printf 'end\\n'`

/**
 * Looks into file systems that are not mounted, from a system that runs in the machine's memory. Arguments: `DEVICE:TYPE` of
 * each, `--`, paths of PersistentVolumes. Each is mounted where nobody else sees it, for reading alone: first through a
 * loop device that refuses to be written, which only works where no journal has to be played back; else without its
 * journal, and then what was written last may be missing. Nothing on it is executed. Where a system lies on it, the data
 * script runs with that one's folders in the place of the running system's, and with the running system's programs.
 *
 * Lines, with tabs: `opened DEVICE`, `unplayed DEVICE` where it was without its journal, `closed DEVICE` where it cannot be
 * mounted; then either `root DEVICE` and what the
 * data script prints, or `inside DEVICE NAME` for each thing that lies at its top.
 */
export const unmountedScript = `export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
data=$(cat <<'RECOVER-DATA'
${dataScript}
RECOVER-DATA
)
look=$(cat <<'RECOVER-LOOK'
d=$1; t=$2; data=$3; shift 3
only() { mount -t "$t" -o "ro,nosuid,nodev,noexec$1" "/dev/$d" /tmp 2>/dev/null; }
mount --make-rprivate / || exit
how=opened; only ,loop || { how=unplayed; case $t in
ext[234]) only ,noload;;
xfs) only ,norecovery;;
btrfs) only ,rescue=nologreplay || only ,nologreplay;;
*) exit;;
esac; } || exit
printf '%s\\t%s\\n' $how "$d"
if [ -d /tmp/etc ] && [ -d /tmp/var ] && [ -d /tmp/usr ]; then
for f in usr bin sbin lib lib32 lib64 proc dev; do if [ -d /$f ] && [ -d /tmp/$f ] && ! [ -L /tmp/$f ]; then mount --bind /$f /tmp/$f; fi; done
if chroot /tmp sh -c : 2>/dev/null; then printf 'root\\t%s\\n' "$d"; exec chroot /tmp sh -c "$data" sh "$@"; fi
fi
n=0; for f in /tmp/* /tmp/.[!.]*; do if [ -e "$f" ] && [ "\${f##*/}" != lost+found ] && [ $n -lt 500 ]; then printf 'inside\\t%s\\t%s\\n' "$d" "\${f##*/}"; n=$((n + 1)); fi; done
RECOVER-LOOK
)
all=; while [ $# -gt 0 ] && [ "$1" != -- ]; do all="$all $1"; shift; done; shift
for one in $all; do d=\${one%%:*}; found=$(timeout 90 unshare -m sh -c "$look" sh "$d" "\${one#*:}" "$data" "$@" 2>/dev/null </dev/null)
case $found in opened*|unplayed*) printf '%s\\n' "$found";; *) printf 'closed\\t%s\\n' "$d";; esac; done
printf 'end\\n'`

/**
 * Prints the files that are named as arguments, each as `file PATH` and its bytes in base64. One that grew too large
 * meanwhile is cut off at 64 MiB, and one that is gone is left out.
 */
export const fetchScript = `export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for p do if [ -f "$p" ] && [ -r "$p" ]; then printf 'file %s\\n' "$p"; head -c 67108864 "$p" | base64; fi; done
printf 'end\\n'`
