#!/bin/sh
# sleep 1
echo "sleep 1"
sleeper 1
while true; do sleep 1; done
sleep 2
