// Real processes: a writer that is killed again and again, and readers beside it that refresh all the while.
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

Schema tiny_schema() { return Schema{Field::int64("n"), VectorField("v", 4)}; }
Document document(std::string key, std::int64_t n) { return Document{std::move(key), {{"n", n}, {"v", {static_cast<float>(n % 1000), 1.0f, 2.0f, 3.0f}}}}; }
std::string extra(std::int64_t n) { return "extra " + std::to_string(n); }

/// Batch n: three documents are replaced, one comes, and one that came eight batches ago is replaced for the last time; then that one is erased, as a batch of
/// its own. Every few batches a flush.
void write_on(const std::filesystem::path& path, Board& board) {
  auto c = Collection<MMapPolicy>::open(path);
  auto n = c.fetch("a")->get<std::int64_t>("n").value();
  const std::array levels{Durability::buffered, Durability::buffered, Durability::sync};
  for (;;) {
    ++n;
    c.upsert({document("a", n), document("b", n), document("c", n), document(extra(n), n)}, {.durability = levels[static_cast<std::size_t>(n) % 3]});
    board.acknowledged = n;
    (void)c.erase(extra(n - 8), {.durability = Durability::buffered});
    if (n % 13 == 0) c.flush();
  }
}

/// What a reader may see: whole batches, none lost that was acknowledged before the refresh, none taken back.
template <class P>
void read_on(const std::filesystem::path& path, Board& board) {
  auto c = Collection<P>::open(path, {.mode = OpenMode::read_only});
  for (std::int64_t last = 0; !board.stop;) {
    const std::int64_t least = board.acknowledged;
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
  for (int kill = 0; kill < kills && !board->complained; ++kill) {
    const auto writer = start(*board, [&] { write_on(folder.path(), *board); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + random() % (slow ? 400 : 60)));
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
  BOOST_TEST_MESSAGE(kills << " kills, " << n << " batches, " << board->refreshes << " refreshes");
  BOOST_TEST(board->refreshes > 0u);
  BOOST_TEST(n > 0);
}

BOOST_AUTO_TEST_SUITE_END()
