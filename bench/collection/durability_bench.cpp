// What durability costs: single inserts that sync, alone and from 16 threads, against bare writes and syncs of as many bytes beside them; inserts that do not
// sync; and the opening of a collection whose writer was killed. On the disk that QUIVER_BENCH_FOLDER or the current folder is on.
#include "support/stores.hpp"

#include <sys/wait.h>

#include <fcntl.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace {

using namespace bench;
using Store = quiver::Collection<quiver::MMapPolicy>;

constexpr std::size_t group = 16;  // threads that write at once

/// What the log gets of a document with a key of `key` bytes, `columns` bytes of scalars and a vector, as a batch of its own.
[[nodiscard]] std::size_t record_bytes(std::size_t key, std::size_t columns, std::size_t elements, std::size_t documents = 1) {
  return static_cast<std::size_t>(quiver::detail::wal_record_size(8 + documents * (8 + 4 + key + columns + elements * sizeof(float))));
}

[[nodiscard]] std::string key_of(std::size_t i) {
  auto digits = std::to_string(i);
  return std::string(8 - digits.size(), '0') + digits;
}

[[nodiscard]] std::vector<quiver::Document> vectors_only(std::size_t count) {
  Rows rows(5);
  std::vector<quiver::Document> all;
  std::vector<float> vector(dimension);
  for (std::size_t i = 0; i < count; ++i) {
    rows.next(vector.data());
    all.push_back(quiver::Document{key_of(i), {{"vector", vector}}});
  }
  return all;
}

[[nodiscard]] Store vectors_store(const std::filesystem::path& folder) {
  return Store::create(folder / "new.qvr", quiver::Schema{quiver::VectorField("vector", dimension)}, {.flush_bytes = std::size_t{1} << 30});
}

/// A file with room for all that will be written, and what is least to do to make records of one size durable in it.
class BareLog {
 public:
  BareLog(const std::filesystem::path& path, std::size_t record, std::size_t count) : record_(record, char{1}) {
    file_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (file_ < 0 || ::posix_fallocate(file_, 0, static_cast<::off_t>(record * count)) != 0 || ::fsync(file_) != 0)
      throw std::runtime_error("cannot make " + path.string());
  }
  BareLog(const BareLog&) = delete;
  BareLog& operator=(const BareLog&) = delete;
  ~BareLog() { ::close(file_); }

  void append_and_sync() {
    append();
    sync();
  }
  /// The same for many threads: they append one after another, and one syncs for all that did.
  void append_and_share_a_sync() {
    std::uint64_t mine = 0;
    {
      const std::lock_guard guard(writing_);
      append();
      mine = written_;
    }
    std::unique_lock lock(waiting_);
    while (durable_ < mine) {
      if (syncing_) {
        changed_.wait(lock);
        continue;
      }
      syncing_ = true;
      lock.unlock();
      const auto upto = [&] {
        const std::lock_guard guard(writing_);
        return written_;
      }();
      sync();
      lock.lock();
      syncing_ = false;
      durable_ = upto;
      changed_.notify_all();
    }
  }

 private:
  void append() {
    if (::pwrite(file_, record_.data(), record_.size(), static_cast<::off_t>(written_ * record_.size())) != static_cast<::ssize_t>(record_.size()))
      throw std::runtime_error("a write failed");
    ++written_;
  }
  void sync() const {
    if (::fdatasync(file_) != 0) throw std::runtime_error("a sync failed");
  }

  std::vector<char> record_;
  int file_ = -1;
  std::uint64_t written_ = 0, durable_ = 0;
  std::mutex writing_, waiting_;
  std::condition_variable changed_;
  bool syncing_ = false;
};

/// Runs each(i) for every i of [first, first + count) on `threads` threads and returns how many it did in a second of wall clock.
template <class Each>
[[nodiscard]] double rate(std::size_t threads, std::size_t first, std::size_t count, Each&& each) {
  const double start = wall_seconds();
  if (threads == 1) {
    for (std::size_t i = first; i < first + count; ++i) each(i);
  } else {
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < threads; ++t)
      all.emplace_back([&, t] {
        for (std::size_t i = first + t; i < first + count; i += threads) each(i);
      });
    for (auto& thread : all) thread.join();
  }
  return static_cast<double>(count) / (wall_seconds() - start);
}

/// Rounds of both in turn, ABBAAB…; the first of each is not counted.
void sync_inserts(benchmark::State& state, std::size_t threads) {
  const std::size_t rounds = sized<std::size_t>(41, 3), count = threads * sized<std::size_t>(100, 2);
  const auto documents = vectors_only((rounds + 1) * count);
  for (auto _ : state) {
    const ScratchFolder folder("durability");
    auto collection = vectors_store(folder.path());
    BareLog bare(folder.path() / "bare", record_bytes(8, 0, dimension), documents.size());
    std::vector<double> ours, theirs, ratios;
    for (std::size_t round = 0; round <= rounds; ++round) {
      double a = 0, b = 0;
      const auto insert = [&] { a = rate(threads, round * count, count, [&](std::size_t i) { collection.insert(documents[i]); }); };
      const auto write = [&] {
        b = rate(threads, round * count, count, [&](std::size_t) {
          if (threads == 1)
            bare.append_and_sync();
          else
            bare.append_and_share_a_sync();
        });
      };
      if (round % 2 == 0) insert();
      write();
      if (round % 2 != 0) insert();
      if (round == 0) continue;
      ours.push_back(a);
      theirs.push_back(b);
      ratios.push_back(a / b);
    }
    state.counters["inserts_per_second"] = median(ours);
    state.counters["bare_per_second"] = median(theirs);
    if (threads == 1)
      at_least(state, "inserts that sync, 128 float32, against pwrite and fdatasync of as many bytes [ratio of rates]", 0.90, median(ratios));
    else
      at_least(state, "the same from 16 threads, against 16 that share each fdatasync [ratio of rates]", 0.80, median(ratios));
  }
}
BENCHMARK_CAPTURE(sync_inserts, alone, 1)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(sync_inserts, sixteen, group)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);

void buffered_inserts(benchmark::State& state) {
  const std::size_t rounds = sized<std::size_t>(7, 1), count = sized<std::size_t>(20'000, 100);
  const auto documents = vectors_only(count);
  std::vector<double> rates;
  for (auto _ : state)
    for (std::size_t round = 0; round < rounds; ++round) {
      const ScratchFolder folder("durability");
      auto collection = vectors_store(folder.path());
      rates.push_back(rate(1, 0, count, [&](std::size_t i) { collection.insert(documents[i], {quiver::Durability::buffered}); }));
    }
  state.counters["inserts_per_second"] = median(rates);
}
BENCHMARK(buffered_inserts)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);

/// Writes a store in a process that dies with all of it in the log; returns the bytes of its records.
double write_and_die(const std::filesystem::path& path, std::size_t elements, std::size_t count) {
  constexpr std::size_t batch = 100;
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start a process to write in");
  if (child == 0) {
    using namespace quiver;
    const Schema schema{Field::int32("group"), Field::int64("number"), VectorField("vector", elements)};
    static auto collection = Store::create(path, schema, {.durability = Durability::buffered, .flush_bytes = std::size_t{4} << 30});
    std::vector<Document> documents(batch);
    std::vector<float> vector(elements);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t e = 0; e < elements; ++e) vector[e] = static_cast<float>((i * 31 + e * 7) % 251);
      documents[i % batch] = Document{key_of(i), {{"group", static_cast<std::int32_t>(i % 100)}, {"number", static_cast<std::int64_t>(i)}, {"vector", vector}}};
      if (i % batch == batch - 1) collection.insert(documents);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error("the process that writes failed");
  return static_cast<double>(count / batch * record_bytes(8, 5 + 9, elements, batch));
}

/// Of the log into memory: opened for reading, which writes nothing. `read_write_by_wall` has the copy of the log in it that a writer makes and syncs.
void open_after_a_kill(benchmark::State& state, std::size_t elements, std::size_t count) {
  const ScratchFolder folder("durability");
  const auto store = folder.path() / "store.qvr";
  const double bytes = write_and_die(store, elements, sized<std::size_t>(count, 1000));
  std::vector<double> reading, by_wall, writing;
  for (auto _ : state) {
    const double start = wall_seconds(), cpu = cpu_seconds();
    {
      const auto collection = open_store<quiver::MMapPolicy>(store);
      reading.push_back(bytes / 1e6 / (cpu_seconds() - cpu));
      by_wall.push_back(bytes / 1e6 / (wall_seconds() - start));
      if (collection.count() == 0) throw std::runtime_error("the log was not read");
    }
    state.SetIterationTime(wall_seconds() - start);
  }
  const auto copy = folder.path() / "copy.qvr";
  for (int round = 0; round < 3; ++round) {
    std::filesystem::remove_all(copy);
    std::filesystem::copy(store, copy, std::filesystem::copy_options::recursive);
    const double start = wall_seconds();
    const auto collection = Store::open(copy);
    writing.push_back(bytes / 1e6 / (wall_seconds() - start));
  }
  state.counters["log_MB"] = bytes / 1e6;
  state.counters["by_wall"] = median(by_wall);
  state.counters["read_write_by_wall"] = median(writing);
  at_least(state, "log into memory at the open after a kill, " + std::to_string(elements) + " float32 and two columns [MB per processor second]", 200,
           median(reading));
}
BENCHMARK_CAPTURE(open_after_a_kill, wide, 128, 100'000)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(7);
BENCHMARK_CAPTURE(open_after_a_kill, narrow, 4, 600'000)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(7);

}  // namespace

BENCHMARK_MAIN();
