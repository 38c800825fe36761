// Every crash of a script, and every crash of the recoveries from a part of them.
#pragma once

#include "crash/oracle.hpp"
#include "crash/script.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <unordered_set>
#include <utility>

namespace quiver::test {

/// What was looked at, and the first thing that was wrong, with all that repeats it.
struct Tally {
  std::uint64_t scripts = 0, points = 0, states = 0, distinct = 0, doubled = 0, violations = 0;
  std::uint64_t tripled = 0;  // recoveries from a second crash that were crashed too
  std::string first;
  InodePtr image;  // the disk of the first violation
  Strings calls;   // of a run that cannot be repeated, if there was a violation

  Tally& operator+=(const Tally& other) {
    scripts += other.scripts, points += other.points, states += other.states, distinct += other.distinct, doubled += other.doubled, tripled += other.tripled;
    if (violations == 0) first = other.first, image = other.image, calls = other.calls;
    violations += other.violations;
    return *this;
  }
};

struct ExploreOptions {
  Budget budget{};
  std::uint64_t double_every = 64;    // of so many distinct states one has its recovery crashed too; 0: none
  std::uint64_t triple_every = 4096;  // of so many states after a second crash one has that recovery crashed as well
  bool stop_at_first = false;
  std::size_t from = 0;                                                            // the first crash point
  std::size_t most = never;                                                        // so many crash points, and the last
  std::function<void(const InodePtr& disk, const std::string& digest)> look = {};  // at each distinct disk of a first crash that holds a collection
};

/// Explores one run. Only distinct disks are opened; a disk counts again where something else is legal on it.
class Explorer {
 public:
  Explorer(const History& run, const ExploreOptions& options)
      : run_(run), options_(options), random_(detail::checksum(detail::as_bytes(run.name()), run.seed())) {}

  [[nodiscard]] Tally explore() {
    tally_.scripts = 1;
    const auto base = empty_disk();
    const auto& log = run_.log();
    const auto durable = durable_at(log);
    for (auto k = options_.from; k <= log.size(); ++k) {
      if (k - options_.from >= options_.most && k != log.size()) continue;
      ++tally_.points;
      const auto window = run_.window(k);
      const bool on = for_each_crash(log, durable, k, options_.budget, random_, [&](const Fates& fates) {
        ++tally_.states;
        const auto disk = disk_after(base, log, fates);
        if (!is_new(*disk, window)) return true;
        const auto verdict = check(disk, window, [&] { return " --k " + std::to_string(k) + " --fates " + to_string(fates); });
        if (stopped()) return false;
        if (options_.look && verdict.fault.empty() && verdict.found >= 0) options_.look(disk, run_.digest(verdict.found));
        if (options_.double_every != 0 && tally_.distinct % options_.double_every == 0 && verdict.fault.empty())
          crash_again(disk, verdict, window, " --k " + std::to_string(k) + " --fates " + to_string(fates));
        return !stopped();
      });
      if (!on) break;
    }
    return std::move(tally_);
  }

 private:
  [[nodiscard]] bool stopped() const noexcept { return options_.stop_at_first && tally_.violations != 0; }
  [[nodiscard]] bool is_new(const Inode& disk, History::Window window) {
    const auto sum = hash_tree(disk, static_cast<std::uint64_t>(window.least) * 1000003 + static_cast<std::uint64_t>(window.most));
    if (!seen_.insert(sum).second) return false;
    ++tally_.distinct;
    return true;
  }
  template <class Where>
  Verdict check(const InodePtr& disk, History::Window window, Where&& where) {
    auto verdict = Oracle(run_, window).check(disk);
    if (!verdict.fault.empty() && tally_.violations++ == 0) {
      tally_.first = run_.name() + where() + "\n  " + verdict.fault;
      tally_.image = disk;
    }
    return verdict;
  }
  // Every crash of the recovery that `first` tells of; `where` says how its disk came to be.
  void crash_again(const InodePtr& disk, const Verdict& first, History::Window window, const std::string& where, bool again_too = true) {
    const auto& log = first.recovery;
    const auto durable = durable_at(log);
    // Torn writes are most of the disks: a recovery in four has them.
    const Budget budget{64, 8, 8, ++recoveries_ % 4 == 0};
    for (std::size_t k = 0; k <= log.size() && !stopped(); ++k) {
      // Once the open returned, what it served must stay.
      const History::Window now{k == log.size() ? first.found : window.least, window.most};
      (void)for_each_crash(log, durable, k, budget, random_, [&](const Fates& fates) {
        ++tally_.states;
        const auto again = disk_after(disk, log, fates);
        if (!is_new(*again, now)) return true;
        ++tally_.doubled;
        const auto there = [&] { return where + ", then its recovery cut after " + std::to_string(k) + " ops, fates " + to_string(fates); };
        const auto verdict = check(again, now, there);
        if (again_too && random_() % options_.triple_every == 0 && verdict.fault.empty()) {
          ++tally_.tripled;
          crash_again(again, verdict, now, there(), false);
        }
        return !stopped();
      });
    }
  }

  const History& run_;
  ExploreOptions options_;
  std::mt19937_64 random_;
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t recoveries_ = 0;
  Tally tally_;
};

[[nodiscard]] inline Tally failed_script(const std::string& name, const std::string& what) {
  Tally tally;
  tally.violations = tally.scripts = 1;
  tally.first = name + "\n  the script itself: " + what;
  return tally;
}

/// One state by itself, as a violation names it: a crash after `k` ops with these fates. Empty: it is as promised.
[[nodiscard]] inline std::string look_again(const std::string& script, std::uint64_t seed, std::size_t k, const std::string& fates, InodePtr& disk) {
  const ScriptRun run(script, seed);
  const auto all = parse_fates(fates);
  if (k > run.log().size() || all.size() != k)
    throw std::invalid_argument("the script has " + std::to_string(run.log().size()) + " ops; " + std::to_string(all.size()) + " fates are no crash after " +
                                std::to_string(k));
  disk = disk_after(empty_disk(), run.log(), all);
  return Oracle(run, run.window(k)).check(disk).fault;
}

[[nodiscard]] inline Tally explore(const std::string& script, std::uint64_t seed, const ExploreOptions& options = {}) {
  try {
    const ScriptRun run(script, seed);
    return Explorer(run, options).explore();
  } catch (const std::exception& e) {
    return failed_script(name_of(script, seed), e.what());
  }
}

/// Runs the script with a fault at its first, second ... call until none strikes, and crashes what follows each. Counts the injections. `short_first`: the
/// calls are writes, of which the first moves half.
[[nodiscard]] inline Tally explore_faults(const std::string& script, std::uint64_t seed, int error, bool for_ever, std::uint64_t& injections,
                                          bool short_first = false) {
  Tally all;
  for (std::size_t at = 1; all.violations < 20; ++at) {
    const auto name = name_of(script, seed) + " --fault " + std::to_string(at) + " --errno " + std::to_string(error) + (for_ever ? " --for-ever" : "") +
                      (short_first ? " --short-first" : "");
    try {
      Fault fault{.at = at, .error = error, .for_ever = for_ever, .short_first = short_first};
      if (short_first) fault.only = IoCall::write;
      const ScriptRun run(script, seed, fault);
      if (!run.fault_fired()) break;
      ++injections;
      // From the failed call on: the power may fail before the process is gone, during the recovery, or after it.
      auto tally = Explorer(run, {.budget = {16, 4, 4, false}, .double_every = 0, .from = run.failed_at(), .most = 12}).explore();
      if (tally.violations != 0) tally.first = name + "\n  " + tally.first;
      all += tally;
    } catch (const std::exception& e) {
      all += failed_script(name, e.what());
    }
  }
  RecordedFaults::clear();
  return all;
}

/// The shortest script that still fails, by leaving out letters of one that does.
[[nodiscard]] inline std::string shrink(std::string script, std::uint64_t seed, ExploreOptions options) {
  options.stop_at_first = true;
  for (std::size_t i = 0; i < script.size();) {
    auto shorter = script;
    shorter.erase(i, 1);
    if (explore(shorter, seed, options).violations != 0)
      script = std::move(shorter);
    else
      ++i;
  }
  return script;
}

}  // namespace quiver::test
