// Runs a few threads in every order of their atomic steps that a number of preemptions allows, with every value that their loads may return, and does one thing
// wrong at a time to see whether that is noticed.
//
// A scenario is a type with `threads`, `name`, run(thread) and end(), made anew for every schedule; what its threads share is built on ModelAtomics, and Plain
// stands for the memory behind it. Whatever is no atomic step runs undivided with the step before it. A schedule is written as the thread of each step, with a
// '-' behind it for each store that a load was behind the newest; replay() takes it back.
#pragma once

#include "support/model_atomics.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace quiver::test {

struct Outcome {
  std::uint64_t schedules = 0;
  std::string fault, scenario, schedule;  // the first that went wrong; empty: none did
  std::vector<Site> sites;                // all that a thread met
};

/// Runs one scenario in all its schedules, until one goes wrong. Adds to `out`.
template <class Scenario>
void explore_one(const Bounds& bounds, const Mutation& mutation, Outcome& out) {
  if (!out.fault.empty()) return;
  std::optional<Scenario> scenario;
  Interleavings search(
      Scenario::threads, [&](unsigned thread) { scenario->run(thread); }, bounds, mutation);
  do {
    search.begin();
    scenario.emplace();
    search.run_threads();
    scenario->end();
    scenario.reset();
    ++out.schedules;
  } while (search.fault().empty() && search.next());
  for (const auto& site : search.sites())
    if (std::find(out.sites.begin(), out.sites.end(), site) == out.sites.end()) out.sites.push_back(site);
  if (search.fault().empty()) return;
  out.fault = search.fault();
  out.scenario = Scenario::name;
  out.schedule = search.trace();
}

/// Runs scenarios in all their schedules, those with few preemptions first, until one goes wrong. Counts each schedule once.
template <class... Scenarios>
[[nodiscard]] Outcome explore(const Bounds& bounds, const Mutation& mutation = {}) {
  for (unsigned preemptions = 0;; ++preemptions) {
    Outcome out;
    (explore_one<Scenarios>({preemptions, bounds.old_values}, mutation, out), ...);
    if (preemptions == bounds.preemptions || !out.fault.empty()) return out;
  }
}

/// Runs a scenario once more in one schedule; returns what went wrong.
template <class Scenario>
[[nodiscard]] std::string replay(const std::string& schedule, const Mutation& mutation = {}) {
  std::optional<Scenario> scenario;
  Interleavings search(
      Scenario::threads, [&](unsigned thread) { scenario->run(thread); }, {~0u, ~0u}, mutation);
  search.begin(schedule);
  scenario.emplace();
  search.run_threads();
  scenario->end();
  scenario.reset();
  return search.fault();
}

/// Every way to do one atomic operation of a file wrong, by name, as "get: store 2 later": operations of one kind are counted along their function. None for
/// loads that are relaxed already: they promise nothing.
template <class... Scenarios>
[[nodiscard]] std::map<std::string, Mutation> mutants_of(std::string_view file) {
  auto sites = explore<Scenarios...>({.preemptions = 1, .old_values = 0}).sites;
  std::erase_if(sites, [&](const Site& site) { return !site.file.ends_with(file); });
  std::sort(sites.begin(), sites.end(), [](const Site& x, const Site& y) { return std::tie(x.line, x.kind, x.order) < std::tie(y.line, y.kind, y.order); });
  std::map<std::string, Mutation> out;
  std::map<std::string, unsigned> numbers;
  for (const auto& site : sites) {
    // A compiler may write the arguments of a template behind its name.
    auto name = std::string(site.function.substr(0, site.function.find('<')));
    name += site.kind == Site::Kind::load ? ": load " : site.kind == Site::Kind::store ? ": store " : ": update ";
    name += std::to_string(++numbers[name]);
    if (site.kind == Site::Kind::load && site.order == std::memory_order_relaxed) continue;
    if (site.order == std::memory_order_seq_cst) out[name + " weaker"] = {Mutation::Kind::weaker, site};
    if (site.order != std::memory_order_relaxed) out[name + " relaxed"] = {Mutation::Kind::relaxed, site};
    out[name + " removed"] = {Mutation::Kind::removed, site};
    if (site.kind == Site::Kind::store) out[name + " later"] = {Mutation::Kind::later, site};
  }
  return out;
}

/// Shows that the scenarios go right in all their schedules.
template <class... Scenarios>
void check_schedules(const Bounds& bounds) {
  const auto check = [](const char* name, const Outcome& outcome) {
    BOOST_TEST_MESSAGE(name << ": " << outcome.schedules << " schedules");
    BOOST_TEST(outcome.fault == "", outcome.fault << ": " << name << ", in schedule " << outcome.schedule);
  };
  (check(Scenarios::name, explore<Scenarios>(bounds)), ...);
}

/// Shows that some scenario notices every mutant of a file, but for those that do no harm, each with its reason; and that a schedule can be repeated.
template <class... Scenarios>
void check_mutants(std::string_view file, const Bounds& bounds, const std::map<std::string, std::string>& harmless) {
  std::uint64_t schedules = 0;
  const auto mutants = mutants_of<Scenarios...>(file);
  for (const auto& [name, mutation] : mutants) {
    const auto outcome = explore<Scenarios...>(bounds, mutation);
    schedules += outcome.schedules;
    BOOST_TEST(outcome.fault.empty() == harmless.contains(name), name << ": " << (outcome.fault.empty() ? "nothing notices it" : outcome.fault));
    std::string again;
    ((again += outcome.scenario == Scenarios::name ? replay<Scenarios>(outcome.schedule, mutation) : ""), ...);
    BOOST_TEST(again == outcome.fault, name << ": " << outcome.scenario << " goes otherwise when it is repeated in schedule " << outcome.schedule);
  }
  for (const auto& [name, reason] : harmless) BOOST_TEST(mutants.contains(name), name << ": there is no such mutant");
  BOOST_TEST_MESSAGE(mutants.size() << " mutants of " << file << ", " << harmless.size() << " of them harmless: " << schedules << " schedules");
}

}  // namespace quiver::test
