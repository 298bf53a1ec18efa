import { isShareFolder, nasOwn } from './programs.ts'

/** The program of the Job that restores a backup, and what it says. POSIX shell, for restic's own image. */

/** Exit codes of {@link restoreProgram} that are no accident. */
export const restoreRefusals = {
  destinationNotOurs: 52,
  repositoryRefuses: 53,
  snapshotEmpty: 54,
  incomplete: 55,
  differs: 56,
  destinationTooSmall: 57,
} as const

/** Where the Job mounts the new volume: the folder of the snapshot comes to lie exactly there. */
export const restoreRoot = '/restore'

/**
 * Restores one folder (FOLDER) of one snapshot (SNAPSHOT) into the volume that is mounted at /restore and that folder's path,
 * so that restic needs no path of its own making and sets the folder's owner and mode as well. Repository, password and
 * whatever else restic wants are in the environment (https://restic.readthedocs.io/en/stable/040_backup.html#environment-variables).
 * Refuses a volume that holds anything but this run's own unfinished work, which is begun again from nothing: before 0.17 restic
 * stumbles over links that are there. A volume without a mark that has all that the snapshot lists, as it lists it, and the
 * very bytes of every file, was restored before: nothing is written to it. Says every PAUSE seconds how far it is. `--verify`
 * reads every file back and compares it with the repository; then files, links and bytes are counted and compared with the
 * snapshot's own list. The repository is not locked and not written to.
 */
export const restoreProgram = `set -uf
export LC_ALL=C TZ=UTC0
root=\${ROOT:-${restoreRoot}}
dst=$root$FOLDER
dst=\${dst%/}
say() { printf '%s' "$1" > "\${VERDICT:-/dev/termination-log}"; }
end() { say "$2"; rm -rf "$work"; exit "$1"; }
work=$(mktemp -d)
errors=$work/errors
said() { grep -v '^$' "$errors" | head -n 1 | head -c 300; }
mark=$dst/.recover-restore
${isShareFolder}
own=lost+found
if is_share "$dst"; then own='lost+found ${nasOwn.join(' ')}'; fi
kept() { for name in $own; do printf ' ! -%s %s' "$1" "$2$name$3"; done; }
list() { (cd "$dst" && find . -mindepth 1 -xdev $(kept path ./ '') $(kept path ./ '/*') ! -path ./.recover-restore "$@"); }
ask() { restic --no-lock --no-cache "$@" 2> "$errors"; }
count() {
  files_now=$(list -type f -exec printf '.%.0s' {} + | wc -c)
  links_now=$(list -type l -exec printf '.%.0s' {} + | wc -c)
  bytes_now=$(list -type f -exec stat -c %s {} + | awk '{ sum += $1 } END { printf "%.0f", sum }')
  [ "$files $links $bytes" = "$files_now $links_now $bytes_now" ]
}
proved() { say "{\\"files\\":$files,\\"links\\":$links,\\"bytes\\":$bytes}"; rm -rf "$work"; exit 0; }
# One form for what restic's long list says and what stat does: kind, mode, owner, size, time to the second, name, where a link leads.
facts() {
  awk -v above="$1" '
    match($0, /^[^ ]+ +[0-9]+ +[0-9]+ +[0-9]+ [0-9-]+ [0-9:.]+ ([+-][0-9]+ )?[.]?\\//) {
      path = substr($0, RLENGTH + (above ? length(ENVIRON["FOLDER"]) : 0))
      kind = /^d/ ? "d" : /^[lL]/ ? "l" : "-"
      if (path == "" || (kind == "d" && path == "/lost+found")) next
      mode = substr($1, length($1) - 8)
      gsub(/[st]/, "x", mode)
      gsub(/[ST]/, "-", mode)
      print kind mode, $2, $3, (kind == "-" ? $4 : 0), $5, substr($6, 1, 8), path
      next
    }
    { print }' | sort
}
stated() {
  list ! -type l -exec stat -c '%A %u %g %s %y %n' {} +
  list -type l -exec sh -c 'for link; do printf "%s -> %s\\n" "$(stat -c "%A %u %g %s %y %n" "$link")" "$(readlink "$link")"; done' sh {} +
}
contents() { list -type f -print0 | tr / '\\001' | sort -z | tr '\\001' / | (cd "$dst" && xargs -0 -r cat); }
same() {
  [ ! -e "$mark" ] && count || return 1
  ask -q ls --long --recursive "$SNAPSHOT" "\${FOLDER:-/}" | facts there > "$work/there"
  stated | facts '' > "$work/here"
  cmp -s "$work/there" "$work/here" || return 1
  echo "compared 0 of $bytes"
  # The archive has the files one after another in the order of their folders' names.
  [ "$(ask dump --archive tar "$SNAPSHOT" "\${FOLDER:-/}" | tar -xOf - | sha256sum)" = "$(contents | sha256sum)" ]
}
ask ls --json --recursive "$SNAPSHOT" "\${FOLDER:-/}" > "$work/list" ||
  end ${restoreRefusals.repositoryRefuses} "the repository does not give the snapshot: $(said)"
# A quote inside of a name is escaped in JSON: these patterns match fields alone.
files=$(grep -c ',"type":"file",' "$work/list" || true)
links=$(grep -c ',"type":"symlink",' "$work/list" || true)
bytes=$(sed -n '/,"type":"file",/s/.*,"size":\\([0-9]*\\),.*/\\1/p' "$work/list" | awk '{ sum += $1 } END { printf "%.0f", sum }')
[ "$files" -gt 0 ] || end ${restoreRefusals.snapshotEmpty} "there is no file below \${FOLDER:-/} in the snapshot"
if [ -n "$(find "$dst" -mindepth 1 -maxdepth 1 $(kept name '' ''))" ] && [ "$(cat "$mark" 2>/dev/null)" != "$RUN" ]; then
  # A restore that was finished, and whose verdict was lost before anybody looked.
  if same; then proved; fi
  end ${restoreRefusals.destinationNotOurs} 'the volume holds data that this run did not write'
fi
need=$((bytes / 1024))
room=$(($(df -Pk "$dst" | awk 'NR == 2 { print $4 }') + $(du -skx "$dst" | cut -f1)))
[ $((need + need / 20)) -le "$room" ] || end ${restoreRefusals.destinationTooSmall} "the volume is too small: the files take $need KiB, and it has room for $room KiB"
printf '%s' "$RUN" > "$mark" || end ${restoreRefusals.incomplete} 'nothing can be written to the volume'
find "$dst" -mindepth 1 -maxdepth 1 $(kept name '' '') ! -name .recover-restore -exec rm -rf {} +
words=$work/words
: > "$words"
# restic itself tells a pipe nothing before its version 0.17. The kernel counts what it writes, and reads back.
began=
tell() {
  read_now=$(sed -n 's/^rchar: //p' "/proc/$restoring/io" 2> /dev/null)
  written=$(sed -n 's/^wchar: //p' "/proc/$restoring/io" 2> /dev/null)
  [ -n "$read_now" ] && [ -n "$written" ] || return 0
  if grep -q '^verifying' "$words"; then
    began=\${began:-$read_now}
    echo "compared $((read_now - began)) of $bytes"
  else
    echo "restored $written of $bytes"
  fi
}
# What restic takes there is a pattern, and a folder may have any name.
include=$(printf '%s' "\${FOLDER:-/}" | sed 's/[][*?\\\\]/\\\\&/g')
restic --no-lock --no-cache restore "$SNAPSHOT" --target "$root" --include "$include" --verify > "$words" 2> "$errors" &
restoring=$!
while kill -0 "$restoring" 2> /dev/null && ! grep -qs '^State:.*Z' "/proc/$restoring/status"; do
  tell
  sleep "\${PAUSE:-2}"
done
code=0
wait "$restoring" || code=$?
cat "$words" "$errors"
[ "$code" = 0 ] || end ${restoreRefusals.incomplete} "not every file was restored: $(said)"
count ||
  end ${restoreRefusals.differs} "the snapshot lists $files files, $links links and $bytes bytes; the volume has $files_now, $links_now and $bytes_now"
sync
rm "$mark" 2> "$errors" || end ${restoreRefusals.incomplete} "the mark .recover-restore cannot be removed from the volume: $(said)"
proved`

/** How far a restore is, by the log of {@link restoreProgram}; undefined before it has said anything. */
export function parseRestoreProgress(
  log: string,
): { bytes: number; total: number; phase: 'restored' | 'compared' } | undefined {
  const last = [...log.matchAll(/^(restored|compared) (\d+) of (\d+)$/gm)].at(-1)
  if (!last) return undefined
  const total = Number(last[3])
  // What restic says to a repository is counted, too.
  return { bytes: Math.min(Number(last[2]), total), total, phase: last[1] as 'restored' | 'compared' }
}

/** What {@link restoreProgram} proved. */
export interface RestoreVerdict {
  files: number
  links: number
  bytes: number
}

/** Reads the verdict that {@link restoreProgram} left behind; undefined when it is none. */
export function parseRestoreVerdict(text: string): RestoreVerdict | undefined {
  try {
    const { files, links, bytes } = JSON.parse(text) as Record<string, unknown>
    const verdict = { files, links, bytes }
    return Object.values(verdict).every(n => typeof n === 'number') ? (verdict as RestoreVerdict) : undefined
  } catch {
    return undefined
  }
}
