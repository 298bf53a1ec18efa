/**
 * The two programs that run in Jobs next to the data. POSIX shell, so that any image with rsync and coreutils (or
 * busybox) can run them; their whole verdict fits into the container's termination message.
 */

/** Exit codes of {@link copyProgram} that are no accident. */
export const copyRefusals = { sourceEmpty: 41, destinationNotOurs: 42, differs: 43 } as const

/** Exit code of {@link measureProgram} when a file could not be read: a hash of the rest would prove nothing. */
export const unreadable = 40

/** What {@link measureProgram} says of a volume. */
export interface Measurement {
  files: number
  bytes: number
  /** SHA-256 over the sorted lines `hash  ./path` of every file, as `sha256sum` prints them. */
  sha256: string
}

/**
 * Hashes every regular file under /data. lost+found is the file system's own, and the marker is ours. Sorted by bytes,
 * so that no locale changes the result.
 */
export const measureProgram = `set -eu
cd /data
export LC_ALL=C
list() { find . -xdev -type f ! -path './lost+found/*' ! -name .recover-copy -print0 | sort -z; }
sums=$(mktemp)
list | xargs -0 -r sha256sum > "$sums" || { printf 'a file could not be read' > /dev/termination-log; exit ${unreadable}; }
sum=$(sha256sum < "$sums" | cut -d' ' -f1)
files=$(list | tr -dc '\\0' | wc -c)
bytes=$(list | xargs -0 -r stat -c %s | awk '{ sum += $1 } END { printf "%.0f", sum }')
rm "$sums"
printf '{"files":%d,"bytes":%d,"sha256":"%s"}' "$files" "$bytes" "$sum" > /dev/termination-log`

/**
 * Copies /src to /dst and compares both by content. Refuses an empty source and a destination that holds anything but
 * this run's own unfinished copy: nothing is ever deleted from data that we did not write.
 */
export const copyProgram = `set -eu
say() { printf '%s' "$1" > /dev/termination-log; }
[ -n "$(ls -A /src | grep -vx lost+found || true)" ] || { say 'the source is empty'; exit ${copyRefusals.sourceEmpty}; }
differences() { rsync -aHAXS --numeric-ids --delete --checksum --dry-run --itemize-changes --exclude=/lost+found --exclude=/.recover-copy /src/ /dst/; }
if [ -n "$(ls -A /dst | grep -vx lost+found || true)" ] && [ "$(cat /dst/.recover-copy 2>/dev/null)" != "$RUN" ]; then
  # A copy that was finished, and whose Job was swept away before anybody looked, is recognised by its content.
  [ -n "$(differences)" ] || { say copied; exit 0; }
  say 'the destination holds data that this run did not write'; exit ${copyRefusals.destinationNotOurs}
fi
printf '%s' "$RUN" > /dst/.recover-copy
rsync -aHAXS --numeric-ids --delete --delete-after --exclude=/lost+found --exclude=/.recover-copy /src/ /dst/
left=$(differences)
[ -z "$left" ] || { say 'the copy differs from its source'; exit ${copyRefusals.differs}; }
sync
rm /dst/.recover-copy
say copied`

/** Reads what {@link measureProgram} left behind; undefined when it is not that. */
export function parseMeasurement(text: string): Measurement | undefined {
  try {
    const { files, bytes, sha256 } = JSON.parse(text) as Record<string, unknown>
    if (typeof files !== 'number' || typeof bytes !== 'number' || !/^[0-9a-f]{64}$/.test(String(sha256)))
      return undefined
    return { files, bytes, sha256: String(sha256) }
  } catch {
    return undefined
  }
}
