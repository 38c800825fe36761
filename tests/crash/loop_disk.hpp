// Real file systems on images in memory, whose power can be cut.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

namespace quiver::test {

/// What the system refuses here, with its reason.
[[noreturn]] inline void refused(const std::string& what) { throw std::system_error(errno, std::generic_category(), "cannot " + what); }

/// Gives this process mounts of its own and an empty file system in memory over the folder for temporary files. The kernel takes all of it back when the last
/// process in it ends, however that happens: mounts, loop devices, images.
inline void enter_own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) refused("have mounts of its own");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) refused("keep its mounts to itself");
  if (::mount("none", std::filesystem::temp_directory_path().c_str(), "tmpfs", 0, "size=2g") != 0) refused("mount a file system in memory");
}

/// One file system on an image; unmounted at the end. Not copied.
class LoopDisk {
 public:
  /// Makes the file system anew. `type`: ext4 or xfs; `options`: as mount -o takes them.
  LoopDisk(std::string type, std::string options)
      : type_(std::move(type)),
        options_(std::move(options)),
        image_(std::filesystem::temp_directory_path() / (type_ + ".img")),
        folder_(std::filesystem::temp_directory_path() / type_) {
    std::filesystem::remove(image_);
    std::ofstream(image_).close();
    std::filesystem::resize_file(image_, std::uint64_t{320} << 20);
    std::filesystem::create_directories(folder_);
    const auto make = "PATH=\"$PATH:/usr/sbin:/sbin\"; mkfs." + type_ + " -q " + (type_ == "xfs" ? "-f " : "-F ") + image_.string();
    if (std::system(make.c_str()) != 0) throw std::runtime_error("'" + make + "' failed");
    mount();
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;
  ~LoopDisk() {
    if (mounted_) (void)::umount2(folder_.c_str(), MNT_DETACH);
  }

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

  /// From now on nothing reaches the image any more, not even the journal.
  void cut_power() const {
    const int fd = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) refused("open " + folder_.string());
    std::uint32_t without_flush = 2;
    const int result = ::ioctl(fd, _IOR('X', 125, std::uint32_t), &without_flush);
    const int error = errno;
    ::close(fd);
    errno = error;
    if (result != 0) refused("shut " + type_ + " down");
  }
  /// What the image holds, after the file system's own recovery.
  void power_on() {
    unmount();
    mount();
  }

 private:
  void mount() {
    // A device of its own each time: nothing of what the system remembered of the last one is left.
    const int device = attach();
    const auto name = "/dev/loop" + std::to_string(number_);
    const int result = ::mount(name.c_str(), folder_.c_str(), type_.c_str(), MS_NOATIME, options_.c_str());
    const int error = errno;
    ::close(device);  // the mount keeps it, and it goes with the mount
    errno = error;
    if (result != 0) refused("mount " + name + " as " + type_ + " (" + options_ + ")");
    mounted_ = true;
  }
  void unmount() {
    // The system may still be busy with a process that has just died.
    for (int tries = 0; ::umount2(folder_.c_str(), 0) != 0; ++tries) {
      if (errno != EBUSY || tries == 500) refused("unmount " + type_);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    mounted_ = false;
  }
  int attach() {
    for (int tries = 0;; ++tries) {
      const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
      if (control < 0) refused("open /dev/loop-control");
      number_ = ::ioctl(control, LOOP_CTL_GET_FREE);
      ::close(control);
      if (number_ < 0) refused("find a free loop device");
      const auto name = "/dev/loop" + std::to_string(number_);
      const int device = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
      if (device < 0) refused("open " + name);
      const int image = ::open(image_.c_str(), O_RDWR | O_CLOEXEC);
      if (image < 0) refused("open " + image_.string());
      ::loop_config config{};
      config.fd = static_cast<std::uint32_t>(image);
      config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
      const int result = ::ioctl(device, LOOP_CONFIGURE, &config);
      const int error = errno;
      ::close(image);
      if (result == 0) return device;
      ::close(device);
      errno = error;
      if (error != EBUSY || tries == 100) refused("attach an image to " + name);  // EBUSY: another process was quicker
    }
  }

  std::string type_, options_;
  std::filesystem::path image_, folder_;
  int number_ = -1;
  bool mounted_ = false;
};

}  // namespace quiver::test
