#!/bin/sh
# Download a package, without what it needs.
# lockgate run --role engineer -- sh download.sh tinylib [DIRECTORY]
exec pip download --index-url https://pypi.example/simple/ --no-deps --dest "${2:-.}" "$1"
