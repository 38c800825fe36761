#!/usr/bin/env bash
# The mutants that no file system can play: each is one edit of a copy of the headers, a build of the crash harness, and a script that must then find something;
# or, for what no crash shows, a build of a test file, whose cases must then fail.
# usage: tests/crash/engine_mutants.sh [name...]      without a name: all; about a minute and a half each
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
folder=$PWD/build/mutants
compiler="${CXX:-g++}"
command -v ccache >/dev/null && compiler="ccache $compiler"
bad=0

# build <source>...: a program, with the edited headers
build() {
  $compiler -std=c++20 -O1 -w -I"$folder/include" -Itests -DQUIVER_SOURCE_DIR="\"$PWD\"" "$@" -o "$folder/$name" -lxxhash >"$folder/$name.log" 2>&1
}

# mutant <name> <headers> <killer> <sed edit>; the killer is a script, "threads <runs>" of two writers,
# "faults <script>", each call of which fails once, or "tests/<room>/<file> <Boost.Test filter>"
mutant() {
  local name=$1 headers=$2 header unchanged= killer=$3 edit=$4 start=$SECONDS verdict
  local -a sources=(tests/crash/crash_soak.cpp)
  if [[ $wanted != "  " && $wanted != *" $name "* ]]; then return; fi
  rm -rf "$folder/include" && mkdir -p "$folder" && cp -r include "$folder/include"
  for header in $headers; do
    sed -i "$edit" "$folder/include/quiver/$header"
    if cmp -s "include/quiver/$header" "$folder/include/quiver/$header"; then unchanged+=" $header"; fi
  done
  [[ $killer == tests/* ]] && sources=("${killer%% *}" tests/support/main.cpp)
  if [[ -n $unchanged ]]; then
    verdict="NO LONGER APPLIES to$unchanged"
  elif ! build "${sources[@]}"; then
    verdict="DOES NOT COMPILE: $folder/$name.log"
  elif [[ $killer == tests/* ]]; then
    timeout 300 "$folder/$name" --run_test="${killer#* }" --color_output=no >"$folder/$name.log" 2>&1
    case $? in
      201) verdict="killed by ${killer%% *}: $(sed -n 's/.*error: in "\([^"]*\)".*/\1/p' "$folder/$name.log" | sort -u | tr '\n' ' ' | cut -c1-140)" ;;
      0) verdict=SURVIVED ;;
      *) verdict="FAILED: $folder/$name.log" ;;
    esac
  else
    local -a what=(--script "$killer")
    [[ $killer == faults* ]] && what=(--script "${killer#* }" --faults)
    [[ $killer == threads* ]] && what=(--threads "${killer#* }")
    timeout 300 "$folder/$name" "${what[@]}" --folder "$folder" >"$folder/$name.log" 2>&1
    case $? in
      1) verdict="killed by $killer: $(sed -n '/^VIOLATION/{n;/--script/n;s/^ *//;p;q}' "$folder/$name.log" | cut -c1-140)" ;;
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
  '/^      publish(std::move(manifest));$/d; s/^    if (!drafts.empty()) store_->publish(std::span(drafts));$/    publish(std::move(manifest));\n&/'
mutant recovery_serves_another_log collection/collection.hpp bk 's/if (!recovered\.log\.batches\.empty()) {/if (false) {/'
mutant garbage_takes_the_log collection/garbage.hpp sbs 's/logs{newest\.log\.number};/logs;/'
mutant manifest_is_said_too_early collection/state.hpp sf 's/^    next\.log = log->ref();$/&\n    log->mark();/'
mutant zeros_over_what_was_appended storage/directory_log.hpp sss 's/for (auto at = size_ + bytes; at/for (auto at = size_ - 40; at/'
mutant mark_vouches_for_what_came_later collection/log.hpp 'tests/collection/concurrent_writes_test.cpp *' 's/^    durable_ = upto;$/    durable_ = written_.load();/'
mutant sync_covers_what_came_meanwhile collection/commit.hpp 'threads 100' '/^      const auto upto = last_;$/d; s/^        durable_ = upto;$/        durable_ = last_;/'
mutant group_acknowledged_when_its_sync_begins collection/commit.hpp 'threads 100' 's/^      lock\.unlock();$/      durable_ = upto, advance(), changed_.notify_all();\n&/'
mutant a_record_for_each_half_of_a_batch collection/log.hpp 'threads 100' \
  's/^  void append(ByteSpan payload, Durability durability) {$/&\n    if (const auto deletes = load<std::uint32_t>(payload.data() + 4); deletes != 0 \&\& load<std::uint32_t>(payload.data()) != 0) {\n      Bytes puts(payload.begin(), payload.end() - deletes * 8), rest(payload.begin(), payload.begin() + 8);\n      store(puts.data() + 4, std::uint32_t{0}), store(rest.data(), std::uint32_t{0});\n      rest.insert(rest.end(), payload.end() - deletes * 8, payload.end());\n      return append(puts, durability), append(rest, durability);\n    }/'
mutant synced_is_said_too_early collection/log.hpp bb 's/sequence_ + 1, durable_, payload)/sequence_ + 1, written_ + before, payload)/'
mutant payload_checksum_not_checked wal/format.hpp S '/wal_checksum(id, begin, payload), load/d'
mutant torn_tail_is_damage wal/format.hpp bb '/cannot be evidence/d'
mutant batch_split_in_two_records collection/log.hpp su \
  's/^  void append(ByteSpan payload, Durability durability) {$/&\n    if (const auto deletes = load<std::uint32_t>(payload.data() + 4); deletes != 0 \&\& load<std::uint32_t>(payload.data()) != 0) {\n      Bytes puts(payload.begin(), payload.end() - deletes * 8), rest(payload.begin(), payload.begin() + 8);\n      store(puts.data() + 4, std::uint32_t{0}), store(rest.data(), std::uint32_t{0});\n      rest.insert(rest.end(), payload.end() - deletes * 8, payload.end());\n      return append(puts, durability), append(rest, durability);\n    }/'
mutant old_files_removed_before_the_manifest collection/state.hpp sfsf \
  's/^      publish(std::move(manifest));$/      remove_pruned<P>(*store_, before.manifest, next);\n&/'
# An open that goes on in the log of an earlier one: what that one failed to sync is shown, and is not on the disk however often it is synced again.
opens='s/^        if (!recovered\.log\.batches\.empty()) {$/        if (!recovered.log.batches.empty()) log = std::make_unique<detail::LogWriter<P>>(*store, recovered.log);\n        if (false) {/
  s/^  \[\[nodiscard\]\] LogRef ref() const noexcept/  LogWriter(typename P::Store\& store, const ReadLog\& log)\n      : header_(log.place.header), sequence_(log.batches.back().sequence), written_(log.place.end.offset), durable_(log.place.end.offset),\n        log_(store.append_log(log_name(header_.number), ByteSpan(static_cast<const std::byte*>(nullptr), log.place.end.offset))) {}\n&/'
goes_on='s/^  Log log(this->shared_from_this(), path_ \/ name);$/&\n  if (first.data() == nullptr) {\n    must(Access::writing, "open", log.path_, [\&] { return FS::open_file(folder_, std::string(name), log.file_); });\n    log.size_ = log.allocated_ = first.size();\n    CUT\n    log.sync();\n    return log;\n  }/'
cut='FolderEntry entry; static_cast<void>(FS::describe(log.file_, entry)); const Bytes zeros(static_cast<std::size_t>(entry.size - log.size_)); auto at = log.size_; write_fully<FS>(log.file_, zeros, at, log.path_);'
mutant earlier_log_synced_and_appended_to "collection/collection.hpp collection/log.hpp storage/directory_log.hpp" 'faults ss' "$opens; ${goes_on/CUT/}"
mutant earlier_log_cut_synced_and_appended_to "collection/collection.hpp collection/log.hpp storage/directory_log.hpp" 'faults ss' "$opens; ${goes_on/CUT/$cut}"
missing="tests/collection/damage_test.cpp damage/a_missing_file*"
mutant empty_manifest_accepted manifest/codec.hpp "$missing" 's/^  const auto masks = check_frame(bytes, path);$/  if (bytes.empty()) return {};\n&/'
mutant garbage_removed_before_the_manifest_is_verified collection/collection.hpp "$missing" \
  's/^        auto recovered = detail::recover<P>(store);$/        detail::Version newest;\n        try {\n          newest = detail::read_manifest<P>(*store, detail::manifest_numbers<P>(*store).back()).version;\n        } catch (const Error\&) {\n        }\n        detail::collect_garbage<P>(*store, newest);\n&/'
# The cases that know the layout by heart are left out: what the checksum is for must show, not that it is another.
format="tests/wal/format_test.cpp !format/the_*"
mutant sequence_not_checked wal/format.hpp "$format" 's/if (record->sequence != expected)/if (false)/'
mutant length_outside_the_checksum wal/format.hpp "$format" 's/ByteSpan(to).subspan(begin)/ByteSpan(to).subspan(begin + 8)/; s/{from, 32}/{from + 8, 24}/'
mutant checksum_knows_no_place wal/format.hpp "$format" 's/return checksum(bytes, chunk_seed(id, offset))/return checksum(bytes, chunk_seed(id, 0))/'
mutant checksum_knows_no_log wal/format.hpp "$format" 's/return checksum(bytes, chunk_seed(id, offset))/return checksum(bytes, chunk_seed({}, offset))/'
mutant every_log_of_one_id collection/log.hpp 'tests/collection/log_test.cpp *' 's/WalHeader{random_file_id(), store_id,/WalHeader{store_id, store_id,/'
rm -rf "$folder/include"
echo "$bad not as they must be"
((bad == 0))
