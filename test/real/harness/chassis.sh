#!/bin/bash
# The chassis of a virtual machine, behind whatever BMC: `chassis.sh FOLDER get|set|check key [value]...`, as ipmi_sim calls
# it. FOLDER holds qemu.args, one argument a line, and what is known of the machine: its process, what it boots from next,
# and the address of the CD in its drive.
folder=$1 order=$2
shift 2
echo "$(date +%T.%3N) $order $*" >>"$folder/orders"

on() {
  local state
  [ -s "$folder/pid" ] || return 1
  state=$(awk '{ print $3 }' "/proc/$(cat "$folder/pid")/stat" 2>/dev/null) && [ "$state" != Z ]
}
monitor() {
  for _ in {1..200}; do
    echo "$1" | socat -t 2 - "UNIX-CONNECT:$folder/monitor" >>"$folder/monitor.out" 2>&1 && return
    on || return
    sleep 0.05
  done
}
medium() { cat "$folder/cd" 2>/dev/null; }
start() {
  local args first=''
  case $(cat "$folder/boot" 2>/dev/null) in pxe) first=nic ;; cdrom) first=cd ;; esac
  echo none >"$folder/boot"
  mapfile -t args <"$folder/qemu.args"
  [ -z "$first" ] || args+=(-set "device.$first.bootindex=0")
  [ -z "$(medium)" ] || args+=(-set "drive.cd.file=$(medium)")
  setsid qemu-system-x86_64 "${args[@]}" </dev/null >>"$folder/qemu.out" 2>&1 &
  echo $! >"$folder/pid"
  # For this boot alone: a machine that starts over asks anew what comes first.
  [ -z "$first" ] || monitor "qom-set /machine/peripheral/$first bootindex 9"
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
    cd) echo "cd:$(medium)" ;;
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
    cd)
      echo "$2" >"$folder/cd"
      if [ -n "$2" ]; then on && monitor "change cd $2"; else on && monitor 'eject -f cd'; fi
      ;;
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
