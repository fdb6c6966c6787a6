#!/usr/bin/env bash
# Fetches the scripts of others that the console serves, with their licences,
# from npm into static/. The versions stand here; what came stands in git, so
# that neither a build nor a browser asks anybody.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/static"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# vendor PACKAGE VERSION FILE NAME: FILE of the package becomes NAME.
vendor() {
	local package=$1 version=$2 file=$3 name=$4 tarball
	tarball=$(npm pack --silent --pack-destination "$work" "$package@$version")
	tar -xzf "$work/$tarball" -C "$work"
	cp "$work/package/$file" "$name"
	cp "$work/package/LICENSE" "${name%.js}.LICENSE"
	rm -rf "$work/package"
}

vendor htmx.org 2.0.11 dist/htmx.min.js htmx.js
vendor htmx-ext-sse 2.2.4 dist/sse.min.js sse.js
vendor idiomorph 0.8.0 dist/idiomorph-ext.min.js idiomorph.js
