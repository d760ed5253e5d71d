#!/bin/sh
# Clone a repository of the team's.
# lockgate run --role engineer -- sh clone.sh handbook [DIRECTORY]
exec git clone "https://git.example/team/$1.git" "${2:-$1}"
