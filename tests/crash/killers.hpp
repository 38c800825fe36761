// What notices a mutant.
#pragma once

#include "crash/scripts.hpp"

#include <string>

namespace quiver::test {

/// What two writers at once see; empty: the second one is refused.
[[nodiscard]] inline std::string let_two_writers_in() {
  RecordingFileSystem::mount(empty_disk());
  const auto first = RecordedCollection::create(crash_path, crash_schema());
  try {
    const auto second = RecordedCollection::open(crash_path);
    return "the second writer was let in";
  } catch (const Error& e) {
    return e.code() == Errc::locked ? std::string() : std::string(e.what());
  }
}

/// What a violation says, without how to repeat it.
[[nodiscard]] inline std::string reason(const Tally& tally) {
  const auto begin = tally.first.rfind("\n  ");
  return begin == std::string::npos ? tally.first : tally.first.substr(begin + 3, tally.first.find('\n', begin + 3) - begin - 3);
}

/// What is found by that which finds the mutant soonest; empty: nothing.
[[nodiscard]] inline std::string attack(const MutantCase& mutant) {
  if (mutant.error == EAGAIN) return let_two_writers_in();
  std::uint64_t injections = 0;
  const std::string script(mutant.script);
  return reason(mutant.error == 0 ? explore(script, 1, {.budget = {64, 8, 8}, .double_every = 0, .stop_at_first = true})
                                  : explore_faults(script, 1, mutant.error, false, injections));
}

/// What kills the mutant, and by what it is seen; empty if nothing does. Chooses it, and leaves it chosen.
[[nodiscard]] inline std::string killer_of(const MutantCase& mutant) {
  RecordedMutants::choose(mutant.mutant);
  const auto error = mutant.error == EIO ? " with EIO" : mutant.error == EINTR ? " with EINTR" : "";
  if (const auto found = attack(mutant); !found.empty()) return (mutant.error == EAGAIN ? "two writers" : std::string(mutant.script) + error) + ": " + found;
  std::uint64_t injections = 0;
  for (const auto& script : kept_scripts()) {
    if (const auto tally = explore(script, 1, {.stop_at_first = true}); tally.violations != 0) return script + ": " + reason(tally);
    if (script.size() > 5) continue;
    if (const auto tally = explore_faults(script, 1, EIO, true, injections); tally.violations != 0) return script + " with EIO: " + reason(tally);
  }
  return {};
}

}  // namespace quiver::test
