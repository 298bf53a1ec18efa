#!/bin/bash
# The power button behind ipmi_sim: `chassis.sh FOLDER get|set|check key [value]...`. FOLDER holds qemu.args, one argument
# a line, and what is known of the machine: its process and where it boots from next.
folder=$1 order=$2
shift 2
echo "$(date +%T.%3N) $order $*" >>"$folder/orders"

on() {
  local state
  [ -s "$folder/pid" ] || return 1
  state=$(awk '{ print $3 }' "/proc/$(cat "$folder/pid")/stat" 2>/dev/null) && [ "$state" != Z ]
}
start() {
  local boot=c args
  [ "$(cat "$folder/boot" 2>/dev/null)" != pxe ] || boot=order=c,once=n
  echo none >"$folder/boot"
  mapfile -t args <"$folder/qemu.args"
  setsid qemu-system-x86_64 "${args[@]}" -boot "$boot" </dev/null >>"$folder/qemu.out" 2>&1 &
  echo $! >"$folder/pid"
}
stop() {
  on && kill -9 "$(cat "$folder/pid")"
  for _ in {1..100}; do on || break; sleep 0.02; done
  rm -f "$folder/pid"
}
case $order in
check) ;;
get)
  for key in "$@"; do
    case $key in
    power) on && echo power:1 || echo power:0 ;;
    boot) echo "boot:$(cat "$folder/boot" 2>/dev/null || echo none)" ;;
    *) exit 1 ;;
    esac
  done
  ;;
set)
  while [ $# -gt 0 ]; do
    case $1 in
    power) if [ "$2" = 1 ]; then on || start; else stop; fi ;;
    reset) stop && start ;;
    boot) echo "$2" >"$folder/boot" ;;
    shutdown) stop ;;
    identify) ;;
    *) exit 1 ;;
    esac
    shift 2
  done
  ;;
*) exit 1 ;;
esac
exit 0
