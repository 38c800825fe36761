#include <quiver/collection/collection.hpp>

#include "support/collection_model.hpp"
#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <map>

using namespace quiver;
using namespace quiver::test;
using namespace quiver::test::model;

namespace collection_model {
namespace {

struct Volatile {
  using Policy = MemoryPolicy;
  static constexpr bool in_memory = true;
};
template <class P>
struct InFiles {
  using Policy = P;
  static constexpr bool in_memory = false;
};
using Setups = std::tuple<InFiles<MMapPolicy>, InFiles<CheckedMMapPolicy>, InFiles<MemoryPolicy>, Volatile>;

/// One collection and its model through a run of random operations.
template <class Setup>
class Run {
 public:
  using P = typename Setup::Policy;

  explicit Run(std::uint64_t seed) : random_(seed), keys_(5 + random_() % 200), path_(folder_.path()) {
    const CreateOptions<P> options{.durability = Durability::buffered,
                                   .flush_bytes = random_() % 2 == 0 ? std::size_t{40'000} : std::size_t{1} << 30,
                                   .segment_rows = 20 + random_() % 400,
                                   .retain = {.versions = 1 + random_() % 4}};
    if constexpr (Setup::in_memory)
      c_.emplace(Collection<P>::create(schema(), options));
    else
      c_.emplace(Collection<P>::create(path_, schema(), options));
    states_.push_back(model_);
  }

  /// In what the collection differs from the model after one more operation.
  std::string step() {
    const auto what = random_() % 1000;
    if (what < 250) return insert();
    if (what < 530) return upsert();
    if (what < 700) return update();
    if (what < 830) return erase();
    if (what < 900) return erase_many();
    if (what < 930) return refused();
    if (what < 950) return hold_snapshot();
    if (what < 956) return flush();
    if (what < 958) return optimize();
    if (what < 960) return rollback();
    if constexpr (!Setup::in_memory) {
      if (what < 964) return reopen();
      if (what < 968) return kill();
      if (what < 972) return beside();
      if (what < 975) return older_versions();
    }
    return what < 980 ? check() : std::string();
  }
  std::string check() { return compare(*c_, model_); }

 private:
  std::string compare(const Collection<P>& c, const Model& model) {
    const auto stats = c.stats();
    if (stats.documents != model.rows.size() || stats.deleted != model.deleted())
      return "stats() say " + std::to_string(stats.documents) + " documents and " + std::to_string(stats.deleted) + " deleted";
    return difference(c, model, random_);
  }
  std::string key() { return "key-" + std::to_string(random_() % keys_); }
  Row some_row() {
    Row out{key(), {}, {}, random_vector(random_)};
    if (random_() % 4 != 0) out.title = std::string(random_() % 30, 't') + std::to_string(random_() % 100);
    if (random_() % 4 != 0) out.n = static_cast<int>(random_() % 1000) - 500;
    return out;
  }
  /// How durable the next write is to be.
  WriteOptions options() {
    const auto what = random_() % 100;
    strong_ = what >= 15;
    return what < 15 ? WriteOptions{Durability::none} : what < 18 ? WriteOptions{Durability::sync} : WriteOptions{};
  }
  /// After a write: what a kill may leave from now on, and the keys that it was about.
  std::string wrote(const Model& before, const std::vector<std::string>& keys) {
    if (model_.next != before.next || model_.rows.size() != before.rows.size()) {
      if (strong_) states_.clear();
      states_.push_back(model_);
    }
    if (c_->count() != model_.rows.size()) return "count() after a write";
    for (const auto& key : keys) {
      const auto found = c_->fetch(key);
      if (found.has_value() != model_.has(key)) return "fetch(" + key + ") after a write";
      if (found && (found->id().value != model_.ids.at(key) || row(*found) != model_.rows.at(found->id().value)))
        return "the document " + key + " after a write";
    }
    return {};
  }

  std::string insert() {
    std::vector<Document> batch;
    std::vector<std::string> keys;
    auto next = model_;
    bool taken = false;
    for (auto left = random_() % 4; left != 0; --left) {
      const auto row = some_row();
      taken = taken || next.has(row.key);
      next.upsert(row);
      keys.push_back(row.key);
      batch.push_back(document(row));
    }
    const auto before = model_;
    const auto code = code_of([&] { c_->insert(batch, options()); });
    if (code != (taken ? Errc::duplicate_key : Errc::none)) return "insert: " + std::string(to_string(code));
    if (!taken) model_ = next;
    return wrote(before, keys);
  }
  std::string upsert() {
    std::vector<Document> batch;
    std::vector<std::string> keys;
    const auto before = model_;
    for (auto left = random_() % 8; left != 0; --left) {
      auto row = some_row();
      if (!keys.empty() && random_() % 4 == 0) row.key = keys[random_() % keys.size()];
      model_.upsert(row);
      keys.push_back(row.key);
      batch.push_back(document(row));
    }
    c_->upsert(batch, options());
    return wrote(before, keys);
  }
  std::string update() {
    const auto before = model_;
    const auto key = this->key();
    const auto other = some_row();
    std::vector<NamedValue> fields;
    Row changed = model_.has(key) ? model_.rows.at(model_.ids.at(key)) : other;
    const auto which = random_() % 8;
    if (which & 1) fields.push_back({"title", other.title}), changed.title = other.title;
    if (which & 2) fields.push_back({"v", other.v}), changed.v = other.v;
    if (which & 4) fields.push_back({"n", other.n}), changed.n = other.n;
    if (c_->update(key, fields, options()) != model_.has(key)) return "update(" + key + ")";
    if (model_.has(key)) model_.upsert(changed);
    return wrote(before, {key});
  }
  std::string erase() {
    const auto before = model_;
    const auto key = this->key();
    if (c_->erase(key, options()) != model_.erase(key)) return "erase(" + key + ")";
    return wrote(before, {key});
  }
  std::string erase_many() {
    const auto before = model_;
    std::vector<std::string> keys;
    std::size_t erased = 0;
    for (auto left = random_() % 6; left != 0; --left) {
      keys.push_back(random_() % 5 == 0 ? "never-there" : key());
      erased += model_.erase(keys.back()) ? 1 : 0;
    }
    if (c_->erase(std::span<const std::string>(keys), options()) != erased) return "erase of many";
    return wrote(before, keys);
  }
  std::string refused() {
    const auto good = some_row(), more = some_row();
    auto bad = document(some_row());
    bad.set("v", {1.0f});
    if (code_of([&] { c_->upsert({document(good), document(more), bad}, options()); }) != Errc::dimension_mismatch) return "a bad document was taken";
    return wrote(model_, {good.key, more.key});
  }
  std::string flush() {
    c_->flush();
    states_.assign(1, model_);
    versions_.insert_or_assign(c_->stats().version, model_);
    return check();
  }
  std::string optimize() {
    c_->optimize();
    model_.drop_deleted();
    return flush();
  }
  std::string rollback() {
    std::vector<std::uint64_t> known;
    for (const auto& version : c_->versions())
      if (versions_.contains(version.number)) known.push_back(version.number);
    if (known.empty()) return {};
    const auto to = known[random_() % known.size()];
    c_->rollback_to(to);
    model_ = versions_.at(to).again(model_.next);
    if (const auto wrong = flush(); !wrong.empty()) return "after a rollback: " + wrong;
    return c_->verify().ok() ? "" : "verify() after a rollback";
  }
  std::string hold_snapshot() {
    held_.emplace_back(c_->snapshot(), model_);
    if (held_.size() < 4) return {};
    const auto which = static_cast<std::ptrdiff_t>(random_() % held_.size());
    auto wrong = difference(held_[static_cast<std::size_t>(which)].first, held_[static_cast<std::size_t>(which)].second, random_);
    held_.erase(held_.begin() + which);
    return wrong.empty() ? wrong : "a snapshot: " + wrong;
  }
  std::string reopen() {
    c_->close();
    c_.emplace(Collection<P>::open(path_));
    states_.assign(1, model_);
    if (const auto report = c_->verify(); !report.ok()) return "verify(): " + report.problems[0].what;
    return check();
  }
  /// Goes on from what a killed process leaves: a state no older than the last that was written with more than Durability::none.
  std::string kill() {
    const auto left = folder_.path("killed-" + std::to_string(++kills_));
    copy_store(path_, left);
    path_ = left;
    reader_.reset();
    c_.emplace(Collection<P>::open(path_));
    std::string wrong = "no state that could be left";
    for (auto state = states_.rbegin(); state != states_.rend() && !wrong.empty(); ++state) {
      wrong = compare(*c_, *state);
      if (wrong.empty()) model_ = Model(*state);
    }
    versions_.clear();
    states_.assign(1, model_);
    return wrong.empty() ? wrong : "after a kill: " + wrong;
  }
  std::string beside() {
    if (random_() % 3 != 0) {
      if (!reader_ || random_() % 8 == 0) reader_.emplace(Collection<MMapReadPolicy>::open(path_));
      reader_->refresh();
      return reads_a_state(*reader_);
    }
    return reads_a_state(Collection<P>::open(path_, {.mode = OpenMode::read_only}));
  }
  template <class C>
  std::string reads_a_state(const C& reader) {
    for (const auto& state : states_)
      if (difference(reader, state, random_).empty()) return {};
    return "a reader beside shows no state that it could: " + difference(reader, model_, random_);
  }
  std::string older_versions() {
    for (const auto& version : c_->versions()) {
      const auto known = versions_.find(version.number);
      if (known == versions_.end()) continue;
      const auto older = Collection<P>::open(path_, {.at_version = version.number});
      if (version.documents != known->second.rows.size()) return "versions() miscounts documents";
      if (auto wrong = compare(older, known->second); !wrong.empty()) return "version " + std::to_string(version.number) + ": " + wrong;
    }
    return {};
  }

  Random random_;
  std::uint64_t keys_;
  FreshFolder folder_;
  std::filesystem::path path_;
  std::optional<Collection<P>> c_;
  std::optional<Collection<MMapReadPolicy>> reader_;  // that stays and is refreshed
  Model model_;
  std::vector<Model> states_;  // what a kill may leave, oldest first
  std::map<std::uint64_t, Model> versions_;
  std::vector<std::pair<Snapshot<P>, Model>> held_;
  bool strong_ = true;
  int kills_ = 0;
};

}  // namespace
}  // namespace collection_model

BOOST_AUTO_TEST_SUITE(collection_model)

BOOST_AUTO_TEST_CASE_TEMPLATE(random_operations_leave_what_a_simple_model_holds, Setup, Setups) {
  // In memory the many, in files few: those wait for the disk. QUIVER_MODEL_RUNS asks for more.
  const char* asked = std::getenv("QUIVER_MODEL_RUNS");
  const std::uint64_t runs = asked != nullptr ? std::stoull(asked) : slow ? 2 : Setup::in_memory ? 80 : 3;
  const int steps = slow ? 200 : Setup::in_memory ? 1'500 : 700;
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    Run<Setup> run(seed);
    for (int step = 0; step < steps; ++step) {
      const auto wrong = run.step();
      BOOST_TEST_REQUIRE(wrong.empty(), "seed " << seed << ", step " << step << ": " << wrong);
    }
    const auto wrong = run.check();
    BOOST_TEST_REQUIRE(wrong.empty(), "seed " << seed << ", at the end: " << wrong);
  }
  BOOST_TEST_MESSAGE(runs * static_cast<std::uint64_t>(steps) << " operations");
}

BOOST_AUTO_TEST_SUITE_END()
