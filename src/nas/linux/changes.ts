/**
 * What changes a plain Linux box with tgt. Each is one script, which finds the folder, tgt's control number and the folder
 * of its configuration in `$folder`, `$control` and `$config`, and may be repeated.
 */

/** A file that shares all blocks with another, whole or not at all; `$mode` 0400 for one that nobody is to write to. */
export const shareBlocks = `
mkdir -p "$(dirname "$to")"
if ! test -e "$to"; then
  cp --reflink=always "$from" "$to.part"
  chmod "$mode" "$to.part"
  printf 'uuid=%s\\nparent=%s\\ndescription=%s\\n' "$uuid" "$parent" "$description" > "$to.recover"
  mv "$to.part" "$to"
  sync "$to" "$to.recover"
fi
`

/** A file full of holes, whole or not at all. */
export const makeEmpty = `
if ! test -e "$to"; then
  rm -f "$to.part"
  truncate -s "$bytes" "$to.part"
  chmod 0600 "$to.part"
  printf 'uuid=%s\\nparent=\\ndescription=%s\\n' "$uuid" "$description" > "$to.recover"
  mv "$to.part" "$to"
  sync "$to" "$to.recover"
fi
`

/** What stands beside a file, whole or not at all. */
export const describeFile = `
printf 'uuid=%s\\nparent=%s\\ndescription=%s\\n' "$uuid" "$parent" "$description" > "$to.note"
mv "$to.note" "$to.recover"
sync "$to.recover"
`

/**
 * A target that leads to one file alone, now and after tgt was started again. Cut off anywhere, it leaves none that a
 * restart of tgt would take away, and none that lets anybody in to a disk by another serial number than its own.
 */
export const makeTarget = `
tgt() { tgtadm -C "$control" --lld iscsi "$@"; }
number() { tgt --op show --mode target | sed -n "s/^Target \\([0-9]*\\): $iqn\\$/\\1/p"; }
cat > "$config/recover-$name.conf.part" <<CONFIG
<target $iqn>
  <backing-store $file>
    lun 1
    scsi_sn $uuid
  </backing-store>
  initiator-address ALL
</target>
CONFIG
mv "$config/recover-$name.conf.part" "$config/recover-$name.conf"
sync "$config/recover-$name.conf"
tid=$(number)
if test -z "$tid"; then
  tid=$(($(tgt --op show --mode target | sed -n 's/^Target \\([0-9]*\\): .*/\\1/p' | sort -n | tail -n 1) + 1))
  tgt --op new --mode target --tid "$tid" -T "$iqn"
fi
if ! tgt --op show --mode target | grep -qxF "            Backing store path: $file"; then
  tgt --op new --mode logicalunit --tid "$tid" --lun 1 -b "$file"
fi
tgt --op update --mode logicalunit --tid "$tid" --lun 1 --params "scsi_sn=$uuid"
# Refused where it is so already.
tgt --op bind --mode target --tid "$tid" -I ALL 2>/dev/null || tgt --op show --mode target | grep -qxF '        ALL'
`

/** Nobody gets in any more, and who was in is out; `$connections` are `SESSION:CONNECTION`, with blanks between. */
export const setTargetState = `
tgtadm -C "$control" --lld iscsi --op update --mode target --tid "$tid" --name state --value "$state"
for pair in $connections; do
  # One may have ended by itself.
  tgtadm -C "$control" --lld iscsi --op delete --mode conn --tid "$tid" --sid "\${pair%:*}" --cid "\${pair#*:}" || true
done
`

/** The mapping, then the file with what stands beside it and its snapshots, then the target. */
export const removeLun = `
tgt() { tgtadm -C "$control" --lld iscsi "$@"; }
if test -n "$tid"; then tgt --op delete --mode logicalunit --tid "$tid" --lun "$unit"; fi
rm -rf "$folder/.snapshots/$uuid"
rm -f "$file" "$file.recover"
`

/** A target that leads nowhere, and before it what would bring it back; `$tid` is empty where tgt does not know it. */
export const removeTarget = `
rm -f "$config/recover-$name.conf" "$config/recover-$name.conf.part"
if test -n "$tid"; then tgtadm -C "$control" --lld iscsi --op delete --mode target --tid "$tid"; fi
`

/** One snapshot. */
export const removeSnapshot = `
rm -f "$file" "$file.recover"
`
