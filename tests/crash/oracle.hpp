// Whether a disk that a crash left is one that quiver promised to live with.
#pragma once

#include "crash/history.hpp"
#include "support/crash_states.hpp"
#include "support/stray_files.hpp"

#include <string>
#include <utility>
#include <vector>

namespace quiver::test {

/// What became of one state.
struct Verdict {
  std::string fault;         // empty: as promised
  long found = -1;           // the last batch that is there; -1: no collection
  std::vector<Op> recovery;  // what the open that may write did to the disk
};

/// Opens the disk as a reader and as a writer, twice, compares all that is there with the history's states, verifies every file, writes on, cuts the power
/// again so that only what is certain stays, and looks whether that write is there.
class Oracle {
 public:
  Oracle(const History& run, History::Window window) : run_(run), window_(window) {}

  [[nodiscard]] Verdict check(const InodePtr& disk) {
    verdict_ = {};
    try {
      look(disk);
    } catch (const Error& e) {
      verdict_.fault = stage_ + ": " + e.what();
    } catch (const std::exception& e) {
      verdict_.fault = stage_ + ": not even a quiver::Error but " + e.what();
    }
    return std::move(verdict_);
  }

 private:
  void look(const InodePtr& disk) {
    RecordingFileSystem::mount(copy_tree(disk));
    stage_ = "open for reading";
    const auto seen = read();
    verdict_.found = batch_of(seen);
    if (!verdict_.fault.empty()) return;
    if (RecordingFileSystem::log_size() != 0) return complain("an open for reading wrote");

    stage_ = "open for writing";
    if (seen.exists) {
      auto c = RecordedCollection::open(crash_path);
      verdict_.recovery = RecordingFileSystem::log();
      if (digest_of_collection(c) != seen.digest) return complain("an open for writing shows other documents than one for reading");
      stage_ = "verify";
      if (const auto report = c.verify(); !report.ok()) return complain(report.problems.front().path.string() + ": " + report.problems.front().what);
      if (const auto strays = stray_files<RecordedPolicy>(crash_path); !strays.empty()) return complain("nobody needs " + strays);
    }
    stage_ = seen.exists ? "the second open for writing" : "create";
    auto c = seen.exists ? RecordedCollection::open(crash_path) : RecordedCollection::create(crash_path, crash_schema());
    if (digest_of_collection(c) != (seen.exists ? seen.digest : digest_of(State{}))) return complain("other documents are there");

    stage_ = "writing on";
    auto after = run_.states()[static_cast<std::size_t>(std::max(verdict_.found, 0L))];
    const Row tail{"tail", "of the story", 7, {1, 2}};
    after.push_back(tail);
    c.insert(document_of(tail));
    const auto log = RecordingFileSystem::log();
    RecordingFileSystem::mount(disk_after(disk, log, durable_fates(durable_at(log), log.size())));
    stage_ = "open after writing on and another crash";
    if (digest_of_collection(RecordedCollection::open(crash_path, {.mode = OpenMode::read_only})) != digest_of(after))
      return complain("what was written after the recovery is lost, or more");
  }

  struct Seen {
    bool exists = false;
    std::string digest;
  };
  static Seen read() {
    try {
      return {true, digest_of_collection(RecordedCollection::open(crash_path, {.mode = OpenMode::read_only}))};
    } catch (const Error& e) {
      if (e.code() != Errc::not_found) throw;
      return {};
    }
  }
  long batch_of(const Seen& seen) {
    if (!seen.exists) {
      if (window_.least >= 0) complain("a collection whose create returned is gone");
      return -1;
    }
    const auto all = static_cast<long>(run_.states().size());
    for (auto last = std::min(window_.most, all - 1); last >= std::max(window_.least, 0L); --last)
      if (run_.digest(last) == seen.digest) return last;
    for (long other = 0; other < all; ++other)
      if (run_.digest(other) == seen.digest) {
        complain("the state after batch " + std::to_string(other) + " is there; " + std::to_string(window_.least) + " to " + std::to_string(window_.most) +
                 " would be legal");
        return other;
      }
    complain("what is there never was:\n" + seen.digest);
    return -1;
  }
  void complain(const std::string& what) {
    if (verdict_.fault.empty()) verdict_.fault = stage_ + ": " + what;
  }

  const History& run_;
  History::Window window_;
  std::string stage_;
  Verdict verdict_;
};

}  // namespace quiver::test
