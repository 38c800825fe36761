// Threads of control that hand the processor to each other by hand, all within one thread, so that a test decides who runs.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>

#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define QUIVER_TEST_ASAN_FIBERS 1
#elif defined(__SANITIZE_THREAD__)
#define QUIVER_TEST_TSAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUIVER_TEST_ASAN_FIBERS 1
#elif __has_feature(thread_sanitizer)
#define QUIVER_TEST_TSAN_FIBERS 1
#endif
#endif
#ifdef QUIVER_TEST_ASAN_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef QUIVER_TEST_TSAN_FIBERS
#include <sanitizer/tsan_interface.h>
#endif

namespace quiver::test {

/// One of them. The sanitizers are told of every change. Not copied, not moved; all of them in one thread.
class Fiber {
 public:
  /// Whoever runs already.
  Fiber() {
#ifdef QUIVER_TEST_TSAN_FIBERS
    known_ = __tsan_get_current_fiber();
#endif
  }
  /// Begins when it is first gone to. `body` must not return nor throw: it ends with leave_to().
  explicit Fiber(std::function<void()> body) : body_(std::move(body)), stack_(std::make_unique_for_overwrite<char[]>(stack_bytes)) {
    (void)::getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    ::makecontext(&context_, &Fiber::begin, 0);
    bottom_ = stack_.get();
    bytes_ = stack_bytes;
#ifdef QUIVER_TEST_TSAN_FIBERS
    known_ = __tsan_create_fiber(0);
#endif
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() {
#ifdef QUIVER_TEST_TSAN_FIBERS
    if (stack_) __tsan_destroy_fiber(known_);
#endif
  }

  /// Goes on there; returns when someone goes to this one. REQUIRES: this one runs.
  void go_to(Fiber& next) { change(next, &kept_); }
  /// The same, and nobody will come back.
  [[noreturn]] void leave_to(Fiber& next) {
    change(next, nullptr);
    std::abort();
  }

 private:
  static constexpr std::size_t stack_bytes = std::size_t{64} << 10;

  void change(Fiber& next, [[maybe_unused]] void** kept) {
    from_ = this;
    to_ = &next;
#ifdef QUIVER_TEST_ASAN_FIBERS
    __sanitizer_start_switch_fiber(kept, next.bottom_, next.bytes_);
#endif
#ifdef QUIVER_TEST_TSAN_FIBERS
    __tsan_switch_to_fiber(next.known_, 0);
#endif
    (void)::swapcontext(&context_, &next.context_);
    arrive();
  }
  void arrive() {
#ifdef QUIVER_TEST_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(kept_, &from_->bottom_, &from_->bytes_);
#endif
  }
  static void begin() {
    to_->arrive();
    to_->body_();
    std::abort();
  }

  static inline Fiber* from_ = nullptr;
  static inline Fiber* to_ = nullptr;
  std::function<void()> body_;
  std::unique_ptr<char[]> stack_;
  ::ucontext_t context_{};
  void* kept_ = nullptr;  // of AddressSanitizer, as are the next two
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void* known_ = nullptr;  // of ThreadSanitizer
};

}  // namespace quiver::test
