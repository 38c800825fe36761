#!/usr/bin/env bash
# The mutants that no file system can play: each is one edit of a copy of the headers, a build of the crash harness, and a script that must then find something.
# usage: tests/crash/engine_mutants.sh [name...]      without a name: all; about a minute and a half each
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
folder=$PWD/build/mutants
compiler="${CXX:-g++}"
command -v ccache >/dev/null && compiler="ccache $compiler"
bad=0

# mutant <name> <header> <script> <sed edit>
mutant() {
  local name=$1 header=include/quiver/$2 script=$3 edit=$4 start=$SECONDS verdict
  if [[ $wanted != "  " && $wanted != *" $name "* ]]; then return; fi
  rm -rf "$folder/include" && mkdir -p "$folder" && cp -r include "$folder/include"
  sed -i "$edit" "$folder/$header"
  if cmp -s "$header" "$folder/$header"; then
    verdict="NO LONGER APPLIES to $header"
  elif ! $compiler -std=c++20 -O1 -w -I"$folder/include" -Itests -DQUIVER_SOURCE_DIR="\"$PWD\"" tests/crash/crash_soak.cpp -o "$folder/$name" -lxxhash >"$folder/$name.log" 2>&1; then
    verdict="DOES NOT COMPILE: $folder/$name.log"
  else
    timeout 300 "$folder/$name" --script "$script" --folder "$folder" >"$folder/$name.log" 2>&1
    case $? in
      1) verdict="killed by $script: $(sed -n '/^VIOLATION/{n;s/^ *//;p;q}' "$folder/$name.log" | cut -c1-140)" ;;
      0) verdict=SURVIVED ;;
      *) verdict="FAILED: $folder/$name.log" ;;
    esac
  fi
  rm -f "$folder/$name"
  printf '%-38s%4d s, %s\n' "$name" $((SECONDS - start)) "$verdict"
  [[ $verdict == killed* ]] || bad=$((bad + 1))
}

wanted=" $* "
mutant acknowledged_without_sync collection/state.hpp s 's/commits_\.push(next, durability == Durability::sync)/commits_.push(next, false)/'
mutant manifest_before_blocks collection/state.hpp sf \
  's/store_->publish(std::span(drafts));/store_->publish(std::move(manifest_draft)), store_->publish(std::span(drafts));/; /^ *store_->publish(std::move(manifest_draft));$/d'
mutant recovery_serves_another_log collection/collection.hpp bk 's/if (!recovered\.log\.batches\.empty()) {/if (false) {/'
mutant garbage_takes_the_log collection/recovery.hpp sbs 's/logs{newest\.log\.number};/logs;/'
mutant synced_is_said_too_early collection/log.hpp bb 's/sequence_ + 1, durable_, payload)/sequence_ + 1, written_ + before, payload)/'
mutant payload_checksum_not_checked wal/format.hpp S '/wal_checksum(id, begin, payload), load/d'
mutant torn_tail_is_damage wal/format.hpp bb '/cannot be evidence/d'
rm -rf "$folder/include"
echo "$bad not as they must be"
((bad == 0))
