#!/bin/sh
# The version of packages of these sources, of which $1 is the release: just that where its tag
# is, such as v1.2.0. Sources between two releases have the number of commits behind it, so that
# a package of later sources is a later one, and the commit.
tag=$(git --git-dir=.git tag --points-at HEAD --list "v$1" 2>/dev/null)
commits=$(git --git-dir=.git rev-list --count HEAD 2>/dev/null)
commit=$(git --git-dir=.git describe --always --dirty=.dirty --abbrev=7 --exclude='*' 2>/dev/null)
if [ -n "$tag" ] && [ "${commit%.dirty}" = "$commit" ] || [ -z "$commits" ]; then
	echo "$1"
else
	echo "$1+$commits.g$commit"
fi
