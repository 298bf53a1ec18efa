/**
 * Puts $1 bytes of standard input at $2 with the mode $3, whole or not at all; for `sh -c`. A line that is cut ends the
 * input early, and to whoever reads it that looks like all of it: the bytes are counted. Where $4 is `anew`, what stands
 * there goes first: two of a large file do not fit into memory. What arrived in part is removed before a word is said of
 * it: whoever speaks to a line that is gone is ended (SIGPIPE).
 */
export const putShell =
  'p=$2.part; [ "$4" != anew ] || rm -f "$2"; install -D -m "$3" /dev/stdin "$p" || { rm -f "$p"; exit 1; }; [ "$(wc -c <"$p")" -eq "$1" ] || { rm -f "$p"; echo "only a part of it arrived" >&2; exit 1; }; mv -fT "$p" "$2"'
