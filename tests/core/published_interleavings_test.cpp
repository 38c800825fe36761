#include <quiver/core/published.hpp>

#include "support/interleavings.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <deque>

using namespace quiver;
using namespace quiver::test;

namespace {

/// Stays where it is when its last owner lets it go, and knows then that it is gone.
class Thing : public std::enable_shared_from_this<Thing> {
 public:
  explicit Thing(std::uint64_t number) : number_(number) {
    unowned_.write();
    owned_.write();
  }
  /// Whoever has only a pointer to it may be stopped at any moment before it is an owner.
  [[nodiscard]] std::shared_ptr<const Thing> shared_from_this() const {
    unowned_.read();
    Interleavings::here->step();
    unowned_.read();
    return weak_from_this().lock();
  }
  [[nodiscard]] std::uint64_t number() const {
    owned_.read();
    return number_;
  }
  /// An owner lets it go; who ends it knows of that by the count of owners.
  void leave() const { left_.add(knowledge()); }
  /// Who sets must know by the slots alone that nobody is about to take it: the count of owners does not say so. Others were owners, and so was who set it.
  void end(unsigned setter) const {
    if (Interleavings::here->self() == setter) unowned_.free();
    knowledge().add(left_);
    if (Interleavings::here->self() != setter) unowned_.free();
    owned_.free();
  }
  [[nodiscard]] bool ended() const noexcept { return owned_.freed(); }

 private:
  static Knowledge& knowledge() { return Interleavings::here->memory().knowledge(Interleavings::here->self()); }
  mutable Plain unowned_, owned_;  // as those see it who come by the pointer, and by a shared_ptr
  mutable Knowledge left_;
  std::uint64_t number_;
};

/// Thread 0 sets `sets` times, the others get `gets` times each.
template <unsigned readers, unsigned gets, unsigned sets, std::size_t slots>
class Shelf {
 public:
  static constexpr unsigned threads = 1 + readers;

  Shelf() { set(); }

  void run(unsigned thread) {
    if (thread == 0) {
      for (unsigned i = 0; i < sets; ++i) set();
      return;
    }
    std::uint64_t least = 0;
    for (unsigned i = 0; i < gets; ++i) {
      least = std::max(least, shown_);
      const auto thing = shelf_.get();
      if (!thing) return Interleavings::here->fault("get() returned nothing");
      const auto number = thing->number();
      if (number < least) Interleavings::here->fault("get() returned " + std::to_string(number) + " after " + std::to_string(least));
      least = number;
      thing->leave();
    }
  }
  void end() {
    // Whatever slowed readers held back goes with the next set.
    set();
    for (const auto& thing : things_)
      if (thing.ended() != (&thing != &things_.back())) Interleavings::here->fault("it does not keep just the last that was set");
  }

 private:
  void set() {
    const auto number = things_.size();
    shelf_.set(std::shared_ptr<const Thing>(&things_.emplace_back(number), [](const Thing* old) { old->end(0); }));
    shown_ = number;
  }

  std::deque<Thing> things_;
  std::uint64_t shown_ = 0;
  detail::Published<const Thing, ModelAtomics, slots> shelf_;
};

struct OneReader : Shelf<1, 2, 2, 1> {
  static constexpr const char* name = "one reader";
};
struct TwoReaders : Shelf<2, 1, 2, 2> {
  static constexpr const char* name = "two readers";
};
struct OneSlot : Shelf<2, 1, 1, 1> {
  static constexpr const char* name = "two readers of one slot";
};
struct ThreeReaders : Shelf<3, 1, 1, 2> {
  static constexpr const char* name = "three readers of two slots";
};

}  // namespace

BOOST_AUTO_TEST_SUITE(published_interleavings)

BOOST_AUTO_TEST_CASE(in_every_order_a_reader_gets_what_is_alive_and_was_set_last) {
  check_schedules<OneReader, TwoReaders, OneSlot>({.preemptions = test::slow ? 2 : 3, .old_values = 1});
  check_schedules<ThreeReaders>({.preemptions = 1, .old_values = 0});
}

BOOST_AUTO_TEST_CASE(there_is_room_for_what_a_slot_holds_back_while_its_reader_names_another) {
  check_schedules<OneReader>({.preemptions = 5, .old_values = 0});
}

// Without optimisation this takes long, and shows no more.
BOOST_AUTO_TEST_CASE(every_operation_is_needed_as_it_is, *boost::unit_test::enable_if<!test::slow>()) {
  check_mutants<OneReader, OneSlot, TwoReaders>("quiver/core/published.hpp", {.preemptions = 3, .old_values = 1},
                                                {{"get: load 1 weaker", "a guess, which the second look confirms"},
                                                 {"get: load 1 relaxed", "the same"},
                                                 {"get: load 1 removed", "the same"},
                                                 {"get: store 2 later", "a slot is free a step later"}});
}

BOOST_AUTO_TEST_SUITE_END()
