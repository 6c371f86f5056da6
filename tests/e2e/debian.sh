#!/usr/bin/env bash
# Unpacks a package of another Debian release and all it needs, down to the C library, into a
# folder. Nothing is installed; apt checks the archive's signature as ever.
# usage: debian.sh RELEASE PACKAGE[=VERSION] FOLDER
set -euo pipefail
release=$1 package=$2 folder=$3
state="$folder/apt"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Where this machine's own Debian comes from, other releases come from too.
archive() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p; }
[ -n "$(archive)" ] || apt-get update -qq
mkdir -p "$state/lists/partial" "$state/archives/partial"
: >"$state/status" # as if nothing were installed: so every dependency is fetched
echo "deb [signed-by=$keyring] $(archive) $release main" >"$state/sources.list"
apt=(apt-get -qq
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state"
    -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=-
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" install -y --download-only "$package"
for deb in "$state"/archives/*.deb; do dpkg -x "$deb" "$folder"; done
rm -r "$state"
