/**
 * The programs that run in Jobs next to the data. POSIX shell, so that any image with rsync and coreutils (or
 * busybox) can run them; their whole verdict fits into the container's termination message.
 */

/** Exit codes of {@link copyProgram} that are no accident. */
export const copyRefusals = {
  sourceEmpty: 41,
  destinationNotOurs: 42,
  differs: 43,
  incomplete: 44,
  destinationFull: 45,
  keepsFailing: 46,
  destinationTooSmall: 47,
  attributesRefused: 48,
} as const

/** Exit code of {@link measureProgram} when a file could not be read: a hash of the rest would prove nothing. */
export const unreadable = 40

/** What {@link measureProgram} says of a volume. */
export interface Measurement {
  files: number
  bytes: number
  /** SHA-256 over the sorted lines `hash  ./path` of every file, as `sha256sum` prints them. */
  sha256: string
  /** The file system that the kernel found there: `btrfs`. */
  fsType?: string
}

/**
 * What a Synology keeps for itself at the root of a share: its recycle bin (which the CSI driver has it make in every share),
 * its index, and its view of snapshots. By NFS they are folders like any other, and are no data of the claim's.
 */
export const nasOwn = ['#recycle', '@eaDir', '#snapshot'] as const

/** A shell function that tells whether a folder is a share: on a disk of one's own a folder of such a name is the person's. */
export const isShareFolder = `is_share() { case $(stat -f -c %T "$1" 2>/dev/null) in nfs*) return 0 ;; esac; return 1; }`

/**
 * Hashes every regular file under /data. lost+found is the file system's own, what is the NAS's own on a share its, and the
 * marker is ours. Sorted by bytes, so that no locale changes the result. Says which file system the kernel has mounted there.
 */
export const measureProgram = `set -euf
cd /data
export LC_ALL=C
${isShareFolder}
own=
if is_share .; then own='${nasOwn.map(name => `! -path ./${name}/*`).join(' ')}'; fi
list() { find . -xdev -type f ! -path './lost+found/*' $own ! -name .recover-copy -print0 | sort -z; }
sums=$(mktemp)
list | xargs -0 -r sha256sum > "$sums" || { printf 'a file could not be read' > /dev/termination-log; exit ${unreadable}; }
sum=$(sha256sum < "$sums" | cut -d' ' -f1)
files=$(list | tr -dc '\\0' | wc -c)
bytes=$(list | xargs -0 -r stat -c %s | awk '{ sum += $1 } END { printf "%.0f", sum }')
rm "$sums"
kind=$(awk '$2 == "/data" { kind = $3 } END { print kind }' /proc/self/mounts)
[ -z "$kind" ] || kind=$(printf ',"fsType":"%s"' "$kind")
printf '{"files":%d,"bytes":%d,"sha256":"%s"%s}' "$files" "$bytes" "$sum" "$kind" > /dev/termination-log`

/** What of a file a person may give up where its destination does not carry it: words of WITHOUT in the environment. */
export const givable = ['acls', 'attributes'] as const

/** Everything of a file but its birth, holes included; what is the file system's own, or ours, is left out. */
const everything = '$kinds --numeric-ids --exclude=/lost+found --exclude=/.recover-copy --no-human-readable'

/**
 * Copies SRC to DST (/src and /dst, unless the environment says otherwise) and compares both in a second pass: contents by
 * checksum, owners, modes, times, links and attributes, with rsync's own counts as the verdict. Refuses an empty source and
 * a destination that holds anything but this run's own unfinished copy: nothing is ever deleted from data that we did not
 * write. What rsync says of a torn line or a full disk (exits 10, 11, 12, 30, 35) is tried again, three times; files that
 * could not be read or vanished (23, 24) are errors: a clone loses nothing. ACLs and attributes that the destination does
 * not take (NFS) are told apart from these: they are left out only where WITHOUT names them. Its log tells how far it is.
 * What the NAS keeps for itself on a share is neither copied from one nor touched on one.
 */
export const copyProgram = `set -u
export LC_ALL=C
${isShareFolder}
src=\${SRC:-/src} dst=\${DST:-/dst}
kinds=-aHS
case " \${WITHOUT:-} " in *' acls '*) ;; *) kinds=\${kinds}A ;; esac
case " \${WITHOUT:-} " in *' attributes '*) ;; *) kinds=\${kinds}X ;; esac
own='${nasOwn.join(' ')}'
for name in $own; do
  ! is_share "$src" || kinds="$kinds --filter=H_/$name"
  ! is_share "$dst" || kinds="$kinds --filter=P_/$name"
done
say() { printf '%s' "$1" > "\${VERDICT:-/dev/termination-log}"; }
end() { say "$2"; rm -rf "$work"; exit "$1"; }
content() { if is_share "$1"; then ls -A "$1" | grep -vxE 'lost\\+found|${nasOwn.join('|')}'; else ls -A "$1" | grep -vx lost+found; fi || true; }
takes() {
  all=$(du -skx "$1/" | cut -f1)
  if is_share "$1"; then for name in $own; do [ ! -d "$1/$name" ] || all=$((all - $(du -skx "$1/$name" | cut -f1))); done; fi
  echo "$all"
}
work=$(mktemp -d)
errors=$work/errors report=$work/report
differences() {
  rsync ${everything} --delete --checksum --dry-run --itemize-changes --stats "$src/" "$dst/" > "$report" 2> "$errors" || return 1
  # The folder that our mark lay in was changed by its going, and on a share has whatever mode the CSI driver gives it at a mount.
  [ -z "$(grep -vx '\\.d\\.\\.[.t][.p]\\.\\.\\.\\.\\. \\./' "$report" | head -n 1)" ]
}
count() { sed -n "s/^Number of files: .*[( ]$1: \\([0-9]*\\).*/\\1/p" "$report"; }
copied() {
  files=$(count reg) folders=$(count dir) links=$(count link) devices=$(count dev) specials=$(count special)
  bytes=$(sed -n 's/^Total file size: \\([0-9]*\\) .*/\\1/p' "$report")
  end 0 "{\\"files\\":\${files:-0},\\"folders\\":\${folders:-0},\\"links\\":\${links:-0},\\"specials\\":$((\${devices:-0} + \${specials:-0})),\\"bytes\\":\${bytes:-0}}"
}
[ -n "$(content "$src")" ] || end ${copyRefusals.sourceEmpty} 'the source is empty'
if [ -n "$(content "$dst")" ] && [ "$(cat "$dst/.recover-copy" 2>/dev/null)" != "$RUN" ]; then
  # A copy that was finished, and whose verdict was swept away before anybody looked, is recognised by its content.
  if differences; then copied; fi
  end ${copyRefusals.destinationNotOurs} 'the destination holds data that this run did not write'
fi
need=$(takes "$src")
room=$(($(df -Pk "$dst" | awk 'NR == 2 { print $4 }') + $(takes "$dst")))
[ $((need + need / 20)) -le "$room" ] || end ${copyRefusals.destinationTooSmall} "the destination is too small: the files take $need KiB, and it has room for $room KiB"
echo "total $((need * 1024))"
# What an earlier attempt left over is looked for only where there was one.
stale= torn=
[ ! -e "$dst/.recover-copy" ] || stale='--delete --delete-after' torn=yes
if ! (printf '%s' "$RUN" > "$dst/.recover-copy") 2> "$errors"; then
  said="nothing can be written to the destination: $(head -n 1 "$errors" | sed 's/.*: //' | head -c 200)"
  if grep -q 'No space left on device' "$errors"; then end ${copyRefusals.destinationFull} "$said"; fi
  if is_share "$dst"; then said="$said (the NFS rules of a share must make nobody else of root: no mapping)"; fi
  end ${copyRefusals.keepsFailing} "$said"
fi
tries=0
while :; do
  code=0
  rsync ${everything} $stale --partial-dir=.recover-partial --info=progress2 "$src/" "$dst/" 2> "$errors" || code=$?
  cat "$errors"
  said=$(head -n 1 "$errors" | head -c 300)
  tries=$((tries + 1))
  stale='--delete --delete-after'
  case $code in
    0) break ;;
    23 | 24)
      if grep -Eiq '(acl|attr).*(not supported|EOPNOTSUPP)' "$errors"; then end ${copyRefusals.attributesRefused} "the destination does not take what files have beside their mode and owner: $said"; fi
      end ${copyRefusals.incomplete} "files could not be copied (rsync $code): $said" ;;
    10 | 11 | 12 | 30 | 35)
      torn=yes
      if [ $tries -gt 3 ]; then
        if grep -q 'No space left on device' "$errors"; then end ${copyRefusals.destinationFull} "the destination is full: $said"; fi
        end ${copyRefusals.keepsFailing} "rsync failed $tries times (exit $code): $said"
      fi
      sleep "\${PAUSE:-10}" ;;
    *) end ${copyRefusals.keepsFailing} "rsync failed (exit $code): $said" ;;
  esac
done
# What a torn attempt kept of a file, and the one after it had no use for, rsync itself never deletes.
[ -z "$torn" ] || find "$dst" -xdev -depth -type d -name .recover-partial -exec rm -rf {} +
differences || end ${copyRefusals.differs} "the copy differs from its source: $(cat "$errors" "$report" | head -n 1 | head -c 300)"
sync
rm "$dst/.recover-copy" 2> "$errors" || end ${copyRefusals.keepsFailing} "the mark .recover-copy cannot be removed from the destination: $(head -n 1 "$errors" | head -c 300)"
touch -r "$src" "$dst" || true
copied`

/** What {@link copyProgram} proved of a copy, by rsync's own counts. */
export interface CopyVerdict {
  files: number
  folders: number
  links: number
  /** Pipes, sockets and devices. */
  specials: number
  /** Of all files and links, as they are read: holes count. */
  bytes: number
}

/** Reads the verdict that {@link copyProgram} left behind; undefined when it is none. */
export function parseCopyVerdict(text: string): CopyVerdict | undefined {
  try {
    const { files, folders, links, specials, bytes } = JSON.parse(text) as Record<string, unknown>
    const verdict = { files, folders, links, specials, bytes }
    return Object.values(verdict).every(n => typeof n === 'number') ? (verdict as CopyVerdict) : undefined
  } catch {
    return undefined
  }
}

/** How far a copy is, by the log of {@link copyProgram}; undefined before it has said anything. */
export function parseCopyProgress(
  log: string,
): { bytes: number; total: number; files: number; left: number } | undefined {
  const total = Number(/^total (\d+)$/m.exec(log)?.[1] ?? 0)
  const last = log
    .trimEnd()
    .split(/[\r\n]+/)
    .findLast(line => /^\s*\d+\s+\d+%/.test(line))
  if (last === undefined) return undefined
  const [, bytes = '0', percent = '0'] = /^\s*(\d+)\s+(\d+)%/.exec(last) ?? []
  const [, files = '0', left = '0'] = /\(xfr#(\d+), (?:to|ir)-chk=(\d+)\/\d+\)/.exec(last) ?? []
  // The tail of a long log has lost its first line; rsync's own share of what it knows of so far has to do.
  const guess = Number(percent) > 0 ? Math.round((Number(bytes) * 100) / Number(percent)) : Number(bytes)
  return {
    bytes: Number(bytes),
    total: Math.max(total || guess, Number(bytes)),
    files: Number(files),
    left: Number(left),
  }
}

/** Reads what {@link measureProgram} left behind; undefined when it is not that. */
export function parseMeasurement(text: string): Measurement | undefined {
  try {
    const { files, bytes, sha256, fsType } = JSON.parse(text) as Record<string, unknown>
    if (typeof files !== 'number' || typeof bytes !== 'number' || !/^[0-9a-f]{64}$/.test(String(sha256)))
      return undefined
    return { files, bytes, sha256: String(sha256), ...(typeof fsType === 'string' ? { fsType } : {}) }
  } catch {
    return undefined
  }
}
