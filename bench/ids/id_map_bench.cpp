// The id map: from a key of 16 bytes to its document, in a store of keys and one integer, built without syncs, optimized and opened under mmap. Bytes per key,
// memory after an open, and what a lookup costs where all is in the page cache, beside a hash table in memory that holds the same keys.
#include "support/opening.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <memory>
#include <utility>

namespace {

using namespace bench;

/// Key i: 16 hexadecimal digits, other ones for every i and in no order. The finalizer of SplitMix64 (Steele, Lea, Flood 2014) is a bijection.
std::string key_of(std::uint64_t i) {
  i = (i ^ (i >> 30)) * 0xBF58476D1CE4E5B9ull;
  i = (i ^ (i >> 27)) * 0x94D049BB133111EBull;
  i ^= i >> 31;
  std::string key(16, '0');
  for (char& digit : key) {
    digit = "0123456789abcdef"[i % 16];
    i /= 16;
  }
  return key;
}

class KeyStore {
 public:
  explicit KeyStore(std::size_t count) : count_(count) {
    auto collection = quiver::Collection<quiver::MMapPolicy>::create(path(), {quiver::Field::int32("n")}, {.durability = quiver::Durability::buffered});
    std::vector<quiver::Document> batch;
    for (std::size_t i = 0; i < count; ++i) {
      batch.push_back(quiver::Document{key_of(i), {{"n", static_cast<std::int32_t>(i)}}});
      if (batch.size() < 10'000 && i + 1 < count) continue;
      collection.insert(batch);
      batch.clear();
    }
    collection.optimize();
    bytes_ = collection.stats().bytes.ids;
    collection.close();
  }

  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "store.qvr"; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] double bytes_per_key() const noexcept { return static_cast<double>(bytes_) / static_cast<double>(count_); }

 private:
  ScratchFolder folder_{"ids"};
  std::size_t count_;
  std::uint64_t bytes_ = 0;
};

/// One store at a time, and one table: the larger ones need gigabytes.
const KeyStore& store_of(std::size_t count) {
  static std::unique_ptr<const KeyStore> store;
  if (!store || store->count() != count) {
    store.reset();
    store = std::make_unique<const KeyStore>(count);
  }
  return *store;
}

std::string of_keys(std::size_t count) { return std::to_string(count) + " keys of 16 bytes"; }

std::size_t keys_of(const benchmark::State& state) { return sized<std::size_t>(static_cast<std::size_t>(state.range(0)), 20'000); }

void bytes_per_key(benchmark::State& state) {
  const auto& store = store_of(keys_of(state));
  for (auto _ : state) benchmark::DoNotOptimize(store.bytes_per_key());
  at_most(state, "id map of " + of_keys(store.count()) + " after optimize [bytes/key]", 16, store.bytes_per_key());
}

void resident_after_open(benchmark::State& state) {
  const auto& store = store_of(keys_of(state));
  std::vector<double> megabytes;
  for (auto _ : state) {
    const Opening opening = open_in_child(store.path());
    megabytes.push_back(opening.kib * 1024 / 1e6);
    state.SetIterationTime(opening.seconds);
  }
  at_most(state, "resident after the open of " + of_keys(store.count()) + " under mmap [MB]", 50, median(megabytes));
}

/// Keys in random order, asked for in slices: another one each round, the same for both sides of a round.
class Slices {
 public:
  explicit Slices(std::size_t keys) {
    std::mt19937_64 random(71);
    for (std::size_t i = 0; i < slice * slices; ++i) asked_.push_back(key_of(random() % keys));
  }
  template <class F>
  void next(std::size_t& turn, F&& f) const {
    const auto first = turn++ % slices * slice;
    for (std::size_t i = first; i < first + slice; ++i) f(asked_[i]);
  }
  static constexpr std::size_t slice = 100'000, slices = 10;

 private:
  std::vector<std::string> asked_;
};

Pair measure_hits(const KeyStore& store) {
  const auto collection = open_store<quiver::MMapPolicy>(store.path());
  boost::unordered_flat_map<std::string, std::uint64_t> table;
  for (std::size_t i = 0; i < store.count(); ++i) table.emplace(key_of(i), i);

  const Slices keys(store.count());
  std::size_t our_turn = 0, their_turn = 0, missed = 0;
  const auto ours = [&] { keys.next(our_turn, [&](const std::string& key) { missed += !collection.fetch(key, quiver::FieldNames::none()); }); };
  const auto theirs = [&] { keys.next(their_turn, [&](const std::string& key) { missed += table.find(key) == table.end(); }); };
  // Once through everything that will be asked for, so that no page is mapped while the clock runs.
  for (std::size_t i = 0; i < Slices::slices; ++i) ours();
  const Pair pair = interleave(sized<std::size_t>(31, 3), ours, theirs);
  if (missed != 0) throw std::runtime_error("a key that is there was not found");
  return pair;
}

/// Two lines of the table from one measurement.
void warm_hit(benchmark::State& state) {
  const auto& store = store_of(keys_of(state));
  static std::pair<std::size_t, Pair> measured;
  for (auto _ : state)
    if (measured.first != store.count()) measured = {store.count(), measure_hits(store)};
  const double micro = 1e6 / static_cast<double>(Slices::slice);
  state.counters["fetch_us"] = micro * measured.second.first;
  state.counters["flat_map_us"] = micro * measured.second.second;
  if (state.range(1) != 0)
    at_most(state, "fetch by key among " + of_keys(store.count()) + ", warm, time / boost::unordered_flat_map", 3, measured.second.ratio);
  else
    at_most(state, "fetch by key among " + of_keys(store.count()) + ", warm [us]", 2, micro * measured.second.first);
}

[[maybe_unused]] const bool registered = [] {
  // A short run makes one small store for all.
  for (const std::int64_t keys : short_run() ? std::vector<std::int64_t>{0} : std::vector<std::int64_t>{1'000'000, 10'000'000}) {
    benchmark::RegisterBenchmark("bytes_per_key", bytes_per_key)->Arg(keys)->Iterations(1);
    benchmark::RegisterBenchmark("resident_after_open", resident_after_open)->Arg(keys)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);
    benchmark::RegisterBenchmark("warm_hit", warm_hit)->Args({keys, 0})->Unit(benchmark::kMillisecond)->Iterations(1);
    benchmark::RegisterBenchmark("warm_hit", warm_hit)->Args({keys, 1})->Unit(benchmark::kMillisecond)->Iterations(1);
  }
  return true;
}();

}  // namespace

int main(int count, char** words) { return main_with_probe(count, words); }
