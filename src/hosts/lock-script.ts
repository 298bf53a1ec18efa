/**
 * Puts the text $1 at $2, whole or not at all, and not where something is; for `sh -c`. A line that is cut in between
 * leaves no lock without a name in it: as an argument the text comes with the command, and link(2) takes no name that is
 * taken.
 */
export const lockShell =
  't=$(mktemp "$2.XXXXXX") && printf %s "$1" >"$t" && chmod 644 "$t" && ln "$t" "$2"; rm -f "$t"'
