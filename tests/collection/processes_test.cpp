// Real processes: a writer that flushes and compacts and is killed again and again, and readers beside it that refresh and open all the while.
#include <quiver/collection/collection.hpp>

#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <random>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace processes {
namespace {

/// What the processes tell each other.
struct Board {
  std::atomic<std::int64_t> acknowledged{0};  // the last batch whose call returned
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> refreshes{0};
  std::atomic<bool> optimizing{false};
  std::atomic<std::uint64_t> optimized{0};
  std::atomic<std::uint64_t> merged{0};  // versions that a background thread published
  std::atomic<bool> complained{false};
  std::array<char, 500> complaint{};

  void complain(const std::string& text) {
    if (!complained.exchange(true)) text.copy(complaint.data(), complaint.size() - 1);
  }
};

class SharedBoard {
 public:
  SharedBoard() {
    void* const at = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    board_ = new (at) Board;
  }
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* operator->() const noexcept { return board_; }
  Board& operator*() const noexcept { return *board_; }

 private:
  Board* board_;
};

/// Runs `body` in a process of its own, which ends with it; what it throws goes to the board.
::pid_t start(Board& board, const std::function<void()>& body) {
  const auto child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child != 0) return child;
  try {
    body();
  } catch (const std::exception& e) {
    board.complain(e.what());
  }
  ::_exit(0);
}

/// A process that is killed leaves to the kernel what it has written, so a sync that does nothing hides no fault of this kind; and on a busy disk a writer that
/// syncs dies at a sync nearly always, seldom between the other steps.
struct UnsyncedFileSystem : PosixFileSystem {
  static IoResult sync_file(File&, SyncSite) { return {}; }
  static IoResult sync_folder(const Folder&, SyncSite) { return {}; }
};

Schema tiny_schema() { return Schema{Field::int64("n"), VectorField("v", 4)}; }
Document document(std::string key, std::int64_t n) { return Document{std::move(key), {{"n", n}, {"v", {static_cast<float>(n % 1000), 1.0f, 2.0f, 3.0f}}}}; }
std::string extra(std::int64_t n) { return "extra " + std::to_string(n); }

/// Batch n: three documents are replaced, one comes, and one that came eight batches ago is replaced for the last time; then that one is erased, as a batch of
/// its own. Every few batches a flush, and less often all is merged; in the background after nearly each flush, as most rows of the one before have been
/// replaced by then.
template <class P>
void write_on(const std::filesystem::path& path, Board& board, bool background) {
  auto c = Collection<P>::open(path, {.background_compaction = background});
  auto version = c.stats().version;
  auto n = c.fetch("a")->template get<std::int64_t>("n").value();
  for (;;) {
    ++n;
    c.upsert({document("a", n), document("b", n), document("c", n), document(extra(n), n)},
             {.durability = n % 7 == 0 ? Durability::sync : Durability::buffered});
    board.acknowledged = n;
    (void)c.erase(extra(n - 8), {.durability = Durability::buffered});
    if (n % 5 != 0) continue;
    c.flush();
    const auto now = c.stats();
    board.merged += now.version - version - 1;  // the flush made one
    if (!now.background_error.empty()) return board.complain(std::string(P::name) + ": in the background: " + now.background_error);
    if (n % 3 == 0) {
      board.optimizing = true;
      c.optimize();
      board.optimizing = false;
      ++board.optimized;
    }
    version = c.stats().version;
  }
}

/// Every policy that keeps files, with and without a thread that compacts, and both over disks that sync and that do not.
void write_in_turn(int round, const std::filesystem::path& path, Board& board) {
  const bool background = round / 4 % 2 == 1;
  switch (round % 4) {
    case 0:
      return write_on<MMapPolicy>(path, board, background);
    case 1:
      return write_on<BasicMMapPolicy<UnsyncedFileSystem>>(path, board, background);
    case 2:
      return write_on<CheckedMMapPolicy>(path, board, background);
    default:
      return write_on<BasicCheckedMMapPolicy<UnsyncedFileSystem>>(path, board, background);
  }
}

/// What a reader may see: whole batches, none lost that was acknowledged before the refresh or the open, none taken back.
template <class P>
void read_on(const std::filesystem::path& path, Board& board) {
  const auto open = [&] { return Collection<P>::open(path, {.mode = OpenMode::read_only}); };
  auto c = open();
  std::int64_t last = 0;
  for (int turn = 0; !board.stop; ++turn) {
    const std::int64_t least = board.acknowledged;
    if (turn % 8 == 7)
      c = open();
    else
      c.refresh();
    const auto now = c.snapshot();
    std::array<std::int64_t, 3> seen{};
    for (std::size_t i = 0; i < seen.size(); ++i)
      seen[i] = now.fetch(std::string(1, static_cast<char>('a' + i)), {"n"})->template get<std::int64_t>("n").value();
    const auto n = seen[0];
    const auto where = std::string(P::name) + ": batch " + std::to_string(n);
    if (seen[1] != n || seen[2] != n || (n > 0 && !now.fetch(extra(n)))) return board.complain(where + " is there in part");
    if (n < least) return board.complain(where + " after " + std::to_string(least) + " was acknowledged");
    if (n < last) return board.complain(where + " after " + std::to_string(last) + " was seen");
    // The erase of the batch before may be missing, as a batch of its own whose process died; older ones may be left by earlier deaths.
    std::size_t documents = 0;
    for (const Document& d : now.scan({.fields = {"n"}})) documents += d.template get<std::int64_t>("n").value() <= n ? 1 : 0;
    if (documents != now.count()) return board.complain(where + ": scan and count differ");
    last = n;
    ++board.refreshes;
  }
}

}  // namespace
}  // namespace processes

BOOST_AUTO_TEST_SUITE(processes)

BOOST_AUTO_TEST_CASE(readers_see_whole_batches_while_writers_are_killed) {
  const char* const asked = std::getenv("QUIVER_KILLS");
  const int kills = asked != nullptr ? std::atoi(asked) : slow ? 8 : 40;
  const FreshFolder folder;
  const SharedBoard board;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), tiny_schema());
    c.insert({document("a", 0), document("b", 0), document("c", 0)});
  }
  std::vector<::pid_t> readers;
  readers.push_back(start(*board, [&] { read_on<MMapReadPolicy>(folder.path(), *board); }));
  readers.push_back(start(*board, [&] { read_on<CheckedMMapPolicy>(folder.path(), *board); }));
  readers.push_back(start(*board, [&] { read_on<FileReadPolicy>(folder.path(), *board); }));
  readers.push_back(start(*board, [&] { read_on<MemoryPolicy>(folder.path(), *board); }));

  std::mt19937 random(7);
  // Where the disk is slow every writer may die before it has compacted: some more rounds then.
  const auto enough = [&](int kill) { return kill >= kills && ((board->optimized > 0 && board->merged > 0) || kill >= 10 * kills); };
  int kill = 0;
  for (; !enough(kill) && !board->complained; ++kill) {
    const auto writer = start(*board, [&] { write_in_turn(kill, folder.path(), *board); });
    // By the clock alone, or in every third round in the midst of a compaction if there is one before.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(5 + random() % (slow ? 400 : 60));
    while (std::chrono::steady_clock::now() < end && (kill % 3 != 0 || !board->optimizing)) std::this_thread::sleep_for(std::chrono::microseconds(200));
    board->optimizing = false;
    ::kill(writer, SIGKILL);
    BOOST_REQUIRE(::waitpid(writer, nullptr, 0) == writer);
  }
  board->stop = true;
  for (const auto reader : readers) {
    int status = 0;
    BOOST_REQUIRE(::waitpid(reader, &status, 0) == reader);
    BOOST_TEST(status == 0, "a reader ended with status " << status);
  }
  BOOST_TEST(!board->complained, board->complaint.data());

  const auto c = Collection<MMapPolicy>::open(folder.path());
  const auto n = c.fetch("a")->get<std::int64_t>("n").value();
  BOOST_TEST(n >= board->acknowledged);
  const auto report = c.verify();
  BOOST_TEST(report.ok(), (report.ok() ? "" : report.problems.front().what));
  BOOST_TEST_MESSAGE(kill << " kills, " << n << " batches, " << board->refreshes << " refreshes, " << board->optimized << " times optimized, " << board->merged
                          << " versions made in the background");
  BOOST_TEST(board->refreshes > 0u);
  BOOST_TEST(board->optimized > 0u);
  BOOST_TEST(board->merged > 0u);
  BOOST_TEST(n > 0);
}

BOOST_AUTO_TEST_SUITE_END()
