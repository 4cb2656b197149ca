#!/usr/bin/env bash
# Pins each `ARG …_IMAGE=name:tag` of a Dockerfile to the current digest of the tag: pin-images.sh DOCKERFILE
# A later call updates the digest.
set -euo pipefail
file=$1
for image in $(sed -nE 's/^ARG [A-Z]+_IMAGE=([^@]+)(@.*)?$/\1/p' "$file"); do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "$image: the registry gave no digest: $digest" >&2; exit 1; }
  sed -i -E "s|^(ARG [A-Z]+_IMAGE=)$image(@.*)?$|\1$image@$digest|" "$file"
  echo "$image@$digest"
done
