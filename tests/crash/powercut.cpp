// Real power cuts: a child writes into a collection on ext4 or XFS, the file system is cut off from its disk at a random moment, and what is left is compared
// with what the child was told.

#include "crash/concurrent_writers.hpp"
#include "crash/loop_disk.hpp"
#include "crash/story.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <iomanip>
#include <iostream>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

using namespace quiver;
using namespace quiver::test;

namespace {

/// The machine's file system, with one sync left out where that is wanted: what shows that the cuts bite.
class CutFileSystem : public PosixFileSystem {
 public:
  static inline std::optional<SyncSite> skipped;
  static IoResult sync_file(File& file, SyncSite site) { return site == skipped ? IoResult{} : PosixFileSystem::sync_file(file, site); }
  static IoResult sync_folder(const Folder& in, SyncSite site) { return site == skipped ? IoResult{} : PosixFileSystem::sync_folder(in, site); }
};
using CutCollection = Collection<BasicMMapPolicy<CutFileSystem>>;

/// What the child tells: 'i' the batch begins, 'a' its call returned, 'd' it returned and all so far is durable; of one thread of several: 'I' its batch
/// begins, 'A' it returned and is durable; 'e' an error, and its text up to the end.
struct Message {
  char kind = 0;
  std::uint8_t thread = 0;
  std::int32_t batch = 0;
};

/// What the parent heard.
struct Heard {
  std::int32_t begun = -1, returned = -1, durable = -1;
  ConcurrentWriters::Heard writers{};
  bool failed = false;
  std::string error;

  /// Reads what there is now. `count_returns`: an acknowledgement counts only if it came before the power was cut.
  void listen(int pipe, bool count_returns) {
    for (Message message;;) {
      if (failed) {
        char text[256];
        const auto count = ::read(pipe, text, sizeof text);
        if (count <= 0) return;
        error.append(text, static_cast<std::size_t>(count));
        continue;
      }
      if (::read(pipe, &message, sizeof message) != sizeof message) return;
      failed = message.kind == 'e';
      if (message.kind == 'i') begun = message.batch;
      if (message.kind == 'I') writers.at(message.thread).begun = message.batch;
      if (!count_returns) continue;
      if (message.kind == 'A') writers.at(message.thread).durable = message.batch;
      if (message.kind == 'a' || message.kind == 'd') returned = message.batch;
      if (message.kind == 'd') durable = message.batch;
    }
  }
};

struct Tally {
  std::uint64_t cuts = 0, of_many = 0, violations = 0, lost = 0, batches = 0;
};

/// The child: goes on with the story, or lets several threads write, until it is killed. `exists`: it opens, else it creates first.
[[noreturn]] void write_on(Story story, const std::optional<ConcurrentWriters>& writers, const std::filesystem::path& path, bool exists, int pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto tell = [pipe](char kind, std::int32_t batch, unsigned thread = 0) {
    const Message message{kind, static_cast<std::uint8_t>(thread), batch};
    if (::write(pipe, &message, sizeof message) != sizeof message) ::_exit(1);
  };
  const auto failed = [&](const std::exception& e) {
    tell('e', 0);
    const std::string_view text(e.what());
    [[maybe_unused]] const auto ignored = ::write(pipe, text.data(), text.size());
    ::_exit(1);
  };
  try {
    std::int32_t batch = 0;
    if (!exists) tell('i', batch);
    auto collection = std::make_unique<CutCollection>(exists ? CutCollection::open(path) : CutCollection::create(path, crash_schema()));
    tell('d', batch);
    if (writers) writers->write(*collection, tell, failed);
    for (;;) {
      const auto step = story.next();
      if (step.is_batch()) tell('i', ++batch);
      carry_out(step, collection, path);
      tell(step.is_durable() ? 'd' : 'a', batch);
    }
  } catch (const std::exception& e) {
    failed(e);
  }
  ::_exit(1);
}

class PowerCuts {
 public:
  PowerCuts(std::string type, std::string options, std::uint64_t seed, std::filesystem::path keep)
      : type_(std::move(type)), options_(std::move(options)), random_(seed), keep_(std::move(keep)) {}

  /// A new disk after every tenth cut, and after every violation.
  Tally run(std::uint64_t cuts) {
    while (tally_.cuts < cuts) {
      LoopDisk disk(type_, options_);
      path_ = disk.folder() / "store";
      story_ = Story(random_());
      exists_ = false;
      for (int on_this_disk = 0; on_this_disk < 10 && tally_.cuts < cuts; ++on_this_disk) {
        const auto heard = cut_while_writing(disk);
        ++tally_.cuts;
        tally_.of_many += writers_ ? 1u : 0u;
        tally_.batches += static_cast<std::uint64_t>(std::max(heard.begun, 0));
        for (const auto& writer : heard.writers) tally_.batches += static_cast<std::uint64_t>(writer.begun);
        const auto fault = look(disk, heard);
        if (fault.empty()) continue;
        ++tally_.violations;
        report(fault);
        break;
      }
    }
    return tally_;
  }

 private:
  Heard cut_while_writing(LoopDisk& disk) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) refused("make a pipe");
    (void)::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const auto wait = std::chrono::microseconds(3'000 + random_() % 57'000);
    writers_.reset();
    if (random_() % 3 == 0) writers_.emplace(random_());
    const auto end = std::chrono::steady_clock::now() + wait;
    const auto child = ::fork();
    if (child < 0) refused("start a child");
    if (child == 0) write_on(story_, writers_, path_, exists_, ends[1]);
    ::close(ends[1]);

    Heard heard;
    if (exists_) heard.begun = heard.returned = heard.durable = 0;
    while (std::chrono::steady_clock::now() < end) {
      ::pollfd readable{ends[0], POLLIN, 0};
      (void)::poll(&readable, 1, 1);
      heard.listen(ends[0], true);
    }
    ::kill(child, SIGSTOP);
    heard.listen(ends[0], true);
    const bool failed_before = heard.failed;
    disk.cut_power();
    ::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, 0);
    heard.listen(ends[0], false);  // a call that began just before the cut
    ::close(ends[0]);
    heard.failed = failed_before;
    disk.power_on();
    return heard;
  }

  /// Empty: as promised. Then the story goes on from what is there.
  std::string look(LoopDisk& disk, const Heard& heard) {
    if (heard.failed) return "a call failed before the power did: " + heard.error;
    copy_store();
    stage_ = "open for reading";
    try {
      if (!read()) {
        exists_ = false;
        return heard.durable >= 0 ? "a collection whose create returned is gone" : "";
      }
      exists_ = true;
      if (auto fault = writers_ ? find_batches(heard) : find_batch(heard); !fault.empty()) return fault;
      if (auto fault = open_twice(); !fault.empty()) return fault;
      // Whatever was served is durable, and a synced batch behind it too.
      if (random_() % 2 == 0) {
        stage_ = "writing on";
        auto collection = std::make_unique<CutCollection>(CutCollection::open(path_));
        carry_out(story_.insert(Durability::sync), collection, path_);
      }
      disk.cut_power();
      disk.power_on();
      copy_store();
      stage_ = "open after the second cut";
      if (!read() || digest_ != digest_of(story_.state())) return "after a second cut something else is there";
    } catch (const std::exception& e) {
      return stage_ + ": " + e.what();
    }
    return {};
  }
  bool read() {
    try {
      const auto collection = CutCollection::open(path_, {.mode = OpenMode::read_only});
      digest_ = digest_of_collection(collection);
      keys_.clear();
      for (const Document& document : collection.scan()) keys_.push_back(document.key());
      return true;
    } catch (const Error& e) {
      if (e.code() != Errc::not_found) throw;
      return false;
    }
  }
  /// The last batch after which the story was as the collection is now.
  std::string find_batch(const Heard& heard) {
    auto later = story_;
    std::int32_t found = -1;
    State state;
    for (std::int32_t batch = 0;;) {
      if (digest_of(later.state()) == digest_) found = batch, state = later.state();
      if (batch >= heard.begun) break;
      while (!later.next().is_batch()) {
      }
      ++batch;
    }
    const auto legal = "; batches " + std::to_string(std::max(heard.durable, 0)) + " to " + std::to_string(heard.begun) + " would be legal";
    if (found < 0) return "what is there never was" + legal;
    if (found < heard.durable) return "the state after batch " + std::to_string(found) + " is there" + legal;
    if (found < heard.returned) ++tally_.lost;
    story_ = std::move(later);  // with keys that were never used
    story_.go_back_to(std::move(state));
    return {};
  }
  /// What several threads left.
  std::string find_batches(const Heard& heard) {
    auto state = story_.state();
    if (auto fault = writers_->find(keys_, heard.writers, state); !fault.empty()) return fault;
    if (digest_of(state) != digest_) return "a batch that is there is not the one that was written";
    story_.go_back_to(std::move(state));
    return {};
  }
  std::string open_twice() {
    stage_ = "open for writing";
    {
      const auto collection = CutCollection::open(path_);
      if (digest_of_collection(collection) != digest_) return "an open for writing shows other documents than one for reading";
      stage_ = "verify";
      if (const auto report = collection.verify(); !report.ok()) return report.problems.front().path.string() + ": " + report.problems.front().what;
    }
    stage_ = "the second open for writing";
    if (digest_of_collection(CutCollection::open(path_)) != digest_) return "a second open shows other documents";
    return {};
  }

  /// As it was before anything opened it.
  void copy_store() {
    const auto copy = std::filesystem::temp_directory_path() / "copy";
    std::filesystem::remove_all(copy);
    if (std::filesystem::exists(path_)) std::filesystem::copy(path_, copy, std::filesystem::copy_options::recursive);
  }
  void report(const std::string& fault) {
    if (tally_.violations > 3) return;
    const auto to = keep_ / (type_ + "-" + std::to_string(tally_.cuts));
    std::cout << "VIOLATION on " << type_ << " at cut " << tally_.cuts << ": " << fault << std::endl;
    std::error_code failed;
    std::filesystem::remove_all(to, failed);
    std::filesystem::copy(std::filesystem::temp_directory_path() / "copy", to, std::filesystem::copy_options::recursive, failed);
  }

  std::string type_, options_;
  std::mt19937_64 random_;
  std::filesystem::path keep_, path_;
  Story story_{0};
  std::optional<ConcurrentWriters> writers_;  // who write until the next cut, instead of the story
  std::vector<std::string> keys_;
  bool exists_ = false;
  std::string digest_, stage_;
  Tally tally_;
};

int run(std::uint64_t cuts, std::uint64_t seed, const std::vector<std::string>& disks, const std::filesystem::path& keep) {
  std::filesystem::create_directories(keep);
  // By descriptor: the mounts to come may hide the path.
  const int kept = ::open(keep.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (kept < 0) refused("open " + keep.string());
  enter_own_mounts();
  bool good = true;
  for (const auto& disk : disks) {
    const auto colon = disk.find(':');
    const auto begin = std::chrono::steady_clock::now();
    const auto tally = PowerCuts(disk.substr(0, colon), colon == std::string::npos ? "" : disk.substr(colon + 1), seed,
                                 "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(kept))
                           .run(cuts);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::cout << std::left << std::setw(22) << disk << tally.cuts << " cuts, " << tally.of_many << " of them under threads, " << tally.violations
              << " violations, " << tally.lost << " lost writes that were not synced, " << tally.batches << " batches, " << std::fixed << std::setprecision(1)
              << took.count() << " s" << std::endl;
    good = good && tally.violations == 0;
  }
  if (!good) std::cout << "the stores as the cuts left them: " << keep.string() << std::endl;
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Cuts the power of real file systems under a process that writes into a collection, and looks at what is left. Needs root."};
  std::uint64_t cuts = 20, seed = std::random_device()();
  std::vector<std::string> disks{"ext4", "xfs"};
  std::string skip;
  std::filesystem::path folder = "build/powercut";
  app.add_option("--cuts", cuts, "on each disk (20)");
  app.add_option("--seed", seed, "of the writes and the moments (random)");
  app.add_option("--disks", disks, "a file system each, with mount options: ext4 xfs ext4:data=writeback,commit=1 (ext4 xfs)");
  app.add_option("--skip", skip, "this sync does nothing, so that something must be found: draft_data log_data ...");
  app.add_option("--folder", folder, "for stores that show a violation (build/powercut)");
  CLI11_PARSE(app, argc, argv);
  if (::geteuid() != 0) {
    std::cout << "powercut: only root may mount file systems; nothing was tested\n";
    return 77;
  }
  try {
    if (!skip.empty()) {
      const auto site = std::find(sync_site_names.begin(), sync_site_names.end(), skip);
      if (site == sync_site_names.end()) throw std::invalid_argument("there is no sync '" + skip + "'");
      CutFileSystem::skipped = static_cast<SyncSite>(site - sync_site_names.begin());
    }
    std::cout << "seed " << seed << std::endl;
    return run(cuts, seed, disks, folder);
  } catch (const std::exception& e) {
    std::cerr << "powercut: " << e.what() << '\n';
    return 1;
  }
}
