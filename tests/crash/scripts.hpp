// Which scripts are run: a list that is kept, every short one, and random ones.
#pragma once

#include "crash/explore.hpp"

#include <string>

namespace quiver::test {

/// Scripts that take the engine through what it can do; every bug that is found adds the one that shows it.
[[nodiscard]] inline const Strings& kept_scripts() {
  static const Strings all{"s",       "sbs",     "bf",       "sbfS",  "nbns",   "bfksf",        "Sxbf",      "sfbfsfbf", "bkbfrk",
                           "xfbSfx",  "skbks",   "su",       "sfd",   "sfudf",  "bpkdf",        "sfdkufx",   "nufpnd",   "sfsfo",
                           "sfudofk", "sfiodis", "sioifiks", "sfdvs", "bfsvkv", "sfisibdikivs", "siiisxiiii"};
  return all;
}

/// Script number `n` of an endless row: every script of up to `letters` letters, then random ones of 5 to 40.
[[nodiscard]] inline std::string script_number(std::uint64_t n, std::size_t letters) {
  std::uint64_t of_length = crash_letters.size();
  for (std::size_t length = 1; length <= letters; ++length, of_length *= crash_letters.size()) {
    if (n >= of_length) {
      n -= of_length;
      continue;
    }
    std::string script(length, ' ');
    for (auto& letter : script) letter = crash_letters[n % crash_letters.size()], n /= crash_letters.size();
    return script;
  }
  std::mt19937_64 random(n);
  std::string script(5 + random() % 36, ' ');
  for (auto& letter : script) letter = crash_letters[random() % crash_letters.size()];
  return script;
}

/// The first script that finds something wrong while `site` syncs nothing; empty if none does.
[[nodiscard]] inline std::string killer_of(SyncSite site) {
  RecordingFileSystem::skip(site);
  std::string killer;
  std::uint64_t injections = 0;
  for (const auto& script : kept_scripts()) {
    // Some syncs are needed only after a kill in the middle of a call.
    if (explore(script, 1, {.stop_at_first = true}).violations == 0 && explore_faults(script, 1, EIO, true, injections).violations == 0) continue;
    killer = script;
    break;
  }
  RecordingFileSystem::skip(std::nullopt);
  return killer;
}

}  // namespace quiver::test
