/** Where a run writes down that it found no control plane's data on a machine before it put k0s there. */
export const k0sMark = '/etc/recover/kubernetes-run'

/**
 * Everything about k0s on a machine in one round trip, by reading only: what is installed, what runs, what it says of
 * itself, what it has left behind. Started as the fact script is. Arguments: k0s's data folder; an address of the API
 * that is to be reached from there, or nothing.
 */
export const k0sScript = `export LC_ALL=C PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
data=\${1:-/var/lib/k0s}; api=$2
part() { printf '\\n=== %s\\n' "$1"; }
most() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi 2>/dev/null </dev/null; }
part clock; date -u +%s
k=; for p in /opt/bin/k0s /usr/local/bin/k0s; do if [ -x "$p" ]; then k=$p; break; fi; done
part version; if [ -n "$k" ]; then most 20 "$k" version; fi
part leftovers; for f in /opt/bin/.upload-* /usr/local/bin/.upload-* /tmp/??????/.upload-* /tmp/??????/k0s_backup.tar.gz; do if [ -e "$f" ]; then echo "$f"; fi; done
part units; for u in k0scontroller k0sworker; do if [ -n "$(systemctl show -p FragmentPath $u.service 2>/dev/null | cut -d= -f2)" ]; then echo "$u $(systemctl show -p ActiveState $u.service | cut -d= -f2)"; fi; done
part processes; for f in $(grep -lsxz '\\(.*/\\)\\?k0s' /proc/[0-9]*/cmdline); do c=$(tr '\\000' ' ' <"$f" 2>/dev/null); case $c in *k0s' controller'*|*k0s' worker'*) p=\${f%/cmdline}; echo "\${p##*/} $c";; esac; done
part data; for f in db/state.db etcd/member pki/ca.key kubelet.conf; do if [ -e "$data/$f" ]; then echo "$data/$f"; fi; done
part mark; cat ${k0sMark} 2>/dev/null
part status; if [ -n "$k" ]; then most 8 "$k" status -o json; fi
part readyz; if [ -e "$data/pki/ca.key" ] && [ -n "$k" ]; then b=; if command -v timeout >/dev/null 2>&1; then b='timeout 15'; fi; $b "$k" kubectl get '--raw=/readyz?verbose' 2>&1 </dev/null; fi
part uid; if [ -e "$data/pki/ca.key" ] && [ -n "$k" ]; then most 15 "$k" kubectl get -n kube-system namespace kube-system -o 'template={{.metadata.uid}}'; fi
part api; if [ -n "$api" ]; then if command -v curl >/dev/null 2>&1; then curl -sk -o /dev/null -w '%{http_code}' --max-time 8 "$api/version"; else wget -q -O /dev/null -T 8 -t 1 --no-check-certificate "$api/version" && echo 200; fi; fi
part end`
