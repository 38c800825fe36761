// A copy is written, so its policy must write; one sentence says so.
// expect: quiver: copy_to needs a writable storage policy to copy to
// expect 2: quiver: backup needs a writable storage policy
#include <quiver/collection/collection.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

using namespace quiver;

void use(const Collection<MMapPolicy>& written, const Collection<MMapReadPolicy>& read) {
#ifndef MUST_FAIL
  written.backup("backup");
  read.copy_to<MMapPolicy>("copy");
#elif MUST_FAIL == 1
  written.copy_to<MMapReadPolicy>("copy");
#else
  read.backup("backup");
#endif
}
