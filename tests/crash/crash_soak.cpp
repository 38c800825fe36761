// The long run of the crash harness: more scripts than a test has time for, in several processes, to be continued where the last run stopped.

#include "crash/killers.hpp"
#include "crash/two_writers.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace {

/// What one process has done so far, in all its runs.
struct Progress {
  /// Of the scripts that hold a letter.
  struct Seen {
    std::uint64_t distinct = 0, doubled = 0;
  };
  std::uint64_t next = 0, scripts = 0, points = 0, states = 0, distinct = 0, doubled = 0, injections = 0, tripled = 0;
  std::array<Seen, crash_letters.size()> letters{};

  void add(const Tally& tally, const std::string& script) {
    scripts += tally.scripts, points += tally.points, states += tally.states, distinct += tally.distinct, doubled += tally.doubled, tripled += tally.tripled;
    for (std::size_t i = 0; i < letters.size(); ++i)
      if (script.find(crash_letters[i]) != std::string::npos) letters[i].distinct += tally.distinct, letters[i].doubled += tally.doubled;
  }
  template <class Visit>
  void each_number(Visit&& visit) {
    for (auto* number : {&next, &scripts, &points, &states, &distinct, &doubled, &injections}) visit(*number);
    for (auto& letter : letters) visit(letter.distinct), visit(letter.doubled);
    visit(tripled);
  }
  Progress& operator+=(Progress other) {
    std::vector<std::uint64_t> theirs;
    other.each_number([&](std::uint64_t number) { theirs.push_back(number); });
    each_number([&, at = theirs.begin()](std::uint64_t& number) mutable { number += *at++; });
    return *this;
  }
  void load(const std::filesystem::path& file) {
    std::ifstream in(file);
    each_number([&](std::uint64_t& number) { in >> number; });
  }
  void save(const std::filesystem::path& file) {
    const auto draft = file.string() + ".tmp";
    std::ofstream out(draft);
    each_number([&](std::uint64_t number) { out << number << ' '; });
    out.close();
    std::filesystem::rename(draft, file);
  }
};

double percent(std::uint64_t part, std::uint64_t of) { return of == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(of); }

std::ostream& operator<<(std::ostream& out, const Progress& p) {
  return out << p.scripts << " scripts, " << p.points << " crash points, " << p.states << " states, " << p.distinct << " distinct, " << p.doubled
             << " of them after a second crash or a third (" << p.tripled << " recoveries), " << p.injections << " failed calls";
}

/// What was seen of each kind of call: many states in all say nothing of one that few scripts hold.
void print_letters(const Progress& p) {
  std::cout << "distinct states of scripts that hold a letter, and how many of them come from a second crash:\n" << std::fixed << std::setprecision(1);
  for (std::size_t i = 0; i < p.letters.size(); ++i)
    std::cout << "  " << crash_letters[i] << "  " << std::left << std::setw(32) << crash_letter_names[i] << std::right << std::setw(12) << p.letters[i].distinct
              << std::setw(7) << percent(p.letters[i].doubled, p.letters[i].distinct) << " %\n";
  std::cout << "  " << std::left << std::setw(35) << "all" << std::right << std::setw(12) << p.distinct << std::setw(7) << percent(p.doubled, p.distinct)
            << " %\n";
}

void report_disk(const Tally& tally, const std::filesystem::path& image) {
  std::cout << "VIOLATION: " << tally.first << '\n';
  std::filesystem::create_directories(image.parent_path());
  if (tally.image) {
    write_tree(*tally.image, image);
    std::cout << "  the disk: " << image.string() << '\n';
  }
  if (tally.calls.empty()) return;
  std::ofstream calls(image.string() + ".calls");
  for (std::size_t i = 0; i < tally.calls.size(); ++i) calls << i + 1 << ' ' << tally.calls[i] << '\n';
  std::cout << "  all operations: " << image.string() << ".calls" << std::endl;
}

void report(const Tally& tally, const std::string& script, std::uint64_t seed, const std::filesystem::path& folder) {
  report_disk(tally, folder / ("crash-" + script + "-" + std::to_string(seed)));
  std::cout << "  shortest script: " << shrink(script, seed, {}) << std::endl;
}

/// Runs of two writers, which no script says.
Tally run_threads(std::uint64_t runs, std::uint64_t seed, const std::filesystem::path& folder) {
  Tally all;
  for (std::uint64_t run = 0; run < runs && all.violations == 0; ++run) {
    all += explore_threads(seed + run, {.budget = {64, 8, 8}, .double_every = 512, .stop_at_first = true});
    if (all.violations != 0) report_disk(all, folder / ("crash-threads-" + std::to_string(seed + run)));
  }
  return all;
}

/// Of a part of a row of scripts. Another row has another file.
std::filesystem::path progress_file(const std::filesystem::path& folder, std::size_t letters, std::uint64_t part, std::uint64_t parts) {
  return folder / ("progress-" + std::to_string(letters) + "-letters-" + std::to_string(part) + "-of-" + std::to_string(parts));
}

/// One process: its scripts of the endless row, until the time is up. Of each 16th script every call is failed as well, of each 64th two threads write after
/// it.
int run_part(std::uint64_t part, std::uint64_t parts, std::size_t letters, const ExploreOptions& how, double seconds, const std::filesystem::path& folder) {
  const auto file = progress_file(folder, letters, part, parts);
  Progress progress;
  progress.load(file);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    const auto number = progress.next * parts + part;
    const auto script = script_number(number, letters);
    auto tally = explore(script, number, how);
    if (tally.violations == 0 && progress.next % 16 == 0 && script.size() <= 8)
      tally += explore_faults(script, number, number % 32 == 0 ? EIO : ENOSPC, number % 3 == 0, progress.injections);
    if (tally.violations != 0) {
      report(tally, script, number, folder);
      return 1;
    }
    if (progress.next % 64 == 8) {
      const auto threads = run_threads(1, number, folder);
      if (threads.violations != 0) return 1;
      progress.add(threads, {});
    }
    progress.add(tally, script);
    ++progress.next;
    progress.save(file);
  }
  return 0;
}

int run_processes(std::uint64_t parts, std::size_t letters, const ExploreOptions& how, double seconds, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::vector<::pid_t> children;
  for (std::uint64_t part = 0; part < parts; ++part) {
    const auto child = ::fork();
    if (child == 0) ::_exit(run_part(part, parts, letters, how, seconds, folder));
    if (child < 0) throw std::runtime_error("cannot start process " + std::to_string(part));
    children.push_back(child);
  }
  bool good = true;
  for (const auto child : children) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) good = false;
  }
  Progress all;
  for (std::uint64_t part = 0; part < parts; ++part) {
    Progress one;
    one.load(progress_file(folder, letters, part, parts));
    all += one;
  }
  print_letters(all);
  std::cout << "all runs so far: " << all << (good ? ", 0 violations" : "; VIOLATIONS, see above") << std::endl;
  return good ? 0 : 1;
}

int run_script(const std::string& script, std::uint64_t seed, bool faults, const std::filesystem::path& folder) {
  auto tally = explore(script, seed);
  Progress progress;
  for (const int error : {EIO, ENOSPC})
    for (const bool for_ever : {false, true})
      if (faults) tally += explore_faults(script, seed, error, for_ever, progress.injections);
  progress.add(tally, script);
  std::cout << progress << ", " << tally.violations << " violations" << std::endl;
  if (tally.violations != 0) report(tally, script, seed, folder);
  return tally.violations == 0 ? 0 : 1;
}

int run_writers(std::uint64_t runs, std::uint64_t seed, const std::filesystem::path& folder) {
  const auto tally = run_threads(runs, seed, folder);
  Progress progress;
  progress.add(tally, {});
  std::cout << progress << ", " << tally.violations << " violations" << std::endl;
  return tally.violations == 0 ? 0 : 1;
}

int run_state(const std::string& script, std::uint64_t seed, std::size_t k, const std::string& fates, const std::filesystem::path& folder) {
  InodePtr disk;
  const auto fault = look_again(script, seed, k, fates, disk);
  const auto image = folder / ("crash-" + script + "-" + std::to_string(seed) + "-" + std::to_string(k));
  std::filesystem::remove_all(image);
  std::filesystem::create_directories(folder);
  write_tree(*disk, image);
  std::cout << (fault.empty() ? "as promised" : fault) << "\n  the disk: " << image.string() << std::endl;
  return fault.empty() ? 0 : 1;
}

bool report(const std::string& mutant, std::uint64_t reached, const std::string& killer, std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << std::left << std::setw(38) << mutant << std::fixed << std::setprecision(1) << took.count() << " s, "
            << (reached == 0     ? "NEVER REACHED"
                : killer.empty() ? "SURVIVED"
                                 : "killed by " + killer.substr(0, 160))
            << std::endl;
  return reached != 0 && !killer.empty();
}

int run_mutants() {
  std::size_t bad = 0;
  std::set<std::pair<std::string_view, int>> innocent;
  for (std::size_t site = 0; site < sync_sites; ++site) {
    RecordingFileSystem::reset();
    const auto begin = std::chrono::steady_clock::now();
    const auto killer = killer_of(static_cast<SyncSite>(site));
    bad += report("no " + std::string(sync_site_names[site]), RecordingFileSystem::syncs()[site], killer, begin) ? 0 : 1;
  }
  for (const auto& mutant : mutant_cases) {
    RecordingFileSystem::reset();
    const auto begin = std::chrono::steady_clock::now();
    const auto killer = killer_of(mutant);
    bad += report(std::string(mutant.name), RecordedMutants::reached(), killer, begin) ? 0 : 1;
    RecordedMutants::choose(Mutant::none);
    // What killed it must find nothing where nothing is wrong.
    if (!innocent.emplace(mutant.script, mutant.error).second) continue;
    if (const auto fault = attack(mutant); !fault.empty()) ++bad, std::cout << "WITHOUT THE MUTANT TOO: " << fault << std::endl;
  }
  std::cout << sync_sites + mutant_cases.size() << " mutants, " << bad << " not as they must be" << std::endl;
  return bad == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Crashes collections at every op of scripts of API calls and looks at what is left. Letters of a batch: s synced, S synced with a long text, b "
      "buffered,\n"
      "n saved by nobody, u upsert, d erase, p update; f flush, o optimize, v back to the oldest version, x close and open, k kill and open, r open a reader "
      "beside. Without --script: scripts one "
      "after\n"
      "another, each run going on where the last one stopped."};
  double seconds = 60;
  std::uint64_t processes = 1, seed = 1, threads = 0;
  std::size_t k = 0, letters = 4;
  ExploreOptions how{.double_every = 16};
  std::string script, mutant, fates;
  std::filesystem::path folder = "build/soak";
  bool faults = false, mutants = false;
  app.add_option("--seconds", seconds, "for the scripts to run (60)")->check(CLI::Range(0.0, 1e7));
  app.add_option("--processes", processes, "that share the scripts (1)")->check(CLI::Range(1, 256));
  app.add_option("--letters", letters, "every script of so many comes before the random ones (4)")->check(CLI::Range(1, 8));
  app.add_option("--double-every", how.double_every, "of so many disks one has its recovery crashed too (16; 0: none)")->check(CLI::Range(0, 1'000'000));
  app.add_option("--folder", folder, "for the progress and for disks that show a violation (build/soak)");
  const auto known = [](const std::string& text) {
    return text.find_first_not_of(crash_letters) == std::string::npos ? std::string()
                                                                      : "its letters are " + std::string(crash_letters) + ", not '" + text + "'";
  };
  app.add_option("--script", script, "only this one")->check(known);
  app.add_option("--seed", seed, "of its documents (1)");
  auto* const point = app.add_option("--k", k, "only the crash after so many ops of it");
  app.add_option("--fates", fates, "of these ops, as a violation names them")->needs(point)->needs("--script");
  point->needs("--fates");
  app.add_option("--threads", threads, "so many runs of two threads that write at once, the first with this seed")->excludes("--script");
  app.add_flag("--faults", faults, "fail every call of it too");
  app.add_option("--mutant", mutant, "this one thing is done wrongly");
  app.add_flag("--mutants", mutants, "do one thing after another wrongly; something must notice each");
  CLI11_PARSE(app, argc, argv);
  try {
    if (mutants) return run_mutants();
    if (!mutant.empty()) {
      const auto chosen = std::find_if(mutant_cases.begin(), mutant_cases.end(), [&](const auto& m) { return m.name == mutant; });
      if (chosen == mutant_cases.end()) throw std::invalid_argument("there is no mutant '" + mutant + "'");
      RecordedMutants::choose(chosen->mutant);
    }
    if (threads != 0) return run_writers(threads, seed, folder);
    if (*point) return run_state(script, seed, k, fates, folder);
    return script.empty() ? run_processes(processes, letters, how, seconds, folder) : run_script(script, seed, faults, folder);
  } catch (const std::exception& e) {
    std::cerr << "crash_soak: " << e.what() << '\n';
    return 2;
  }
}
