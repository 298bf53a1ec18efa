#!/bin/bash
# Process 1 of the tree in which the tests of test/real run: its own network, mounts and processes are fresh, and all of
# them end with it. Runs its arguments, and collects what they leave behind.
set -eu
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs -o mode=755 netns /run/netns
# tgtd is spoken to by sockets there, which another run of these tests would share.
mkdir -p /run/tgtd
mount -t tmpfs -o mode=755 tgtd /run/tgtd
mount -t tmpfs -o mode=755,size=75% hosts "$1"
shift
ip link set lo up
"$@"
