#include "arqon/os/file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace arqon::os {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "arqon_os_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(Files, what_was_written_is_read_back_whole) {
  const std::string content("a\0b\n", 4);
  ASSERT_TRUE(write_file(folder_ / "x", content).has_value());
  EXPECT_EQ(read_file(folder_ / "x", 4).value(), content);
  const std::string large(300'000, 'y');
  ASSERT_TRUE(write_file(folder_ / "x", large).has_value());
  EXPECT_EQ(read_file(folder_ / "x", 1 << 20).value(), large);
  ASSERT_TRUE(write_file(folder_ / "x", "").has_value());
  EXPECT_EQ(read_file(folder_ / "x", 0).value(), "");
  ASSERT_TRUE(write_file(folder_ / "x", "abc").has_value());
  EXPECT_EQ(read_file(folder_ / "x", SIZE_MAX).value(), "abc");
}

TEST_F(Files, a_file_larger_than_the_bound_is_refused) {
  ASSERT_TRUE(write_file(folder_ / "x", "12345").has_value());
  EXPECT_EQ(read_file(folder_ / "x", 4).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(read_file("/dev/zero", 1 << 20).error().code, ErrorCode::kInvalidConfig)
      << "an endless device ends at the bound";
}

TEST_F(Files, missing_files_and_folders_are_unavailable) {
  EXPECT_EQ(read_file(folder_ / "none", 10).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(read_file(folder_, 10).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(write_file(folder_ / "no" / "x", "a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(AppendFile::open(folder_ / "no" / "x").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(FileLock::acquire(folder_ / "no" / "x").error().code, ErrorCode::kUnavailable);
}

TEST_F(Files, a_failed_write_keeps_the_old_content_and_leaves_nothing_behind) {
  fs::create_directory(folder_ / "taken");
  ASSERT_TRUE(write_file(folder_ / "taken" / "inside", "old").has_value());
  EXPECT_FALSE(write_file(folder_ / "taken", "new").has_value()) << "a folder cannot be replaced";
  EXPECT_EQ(read_file(folder_ / "taken" / "inside", 10).value(), "old");
  EXPECT_EQ(entries(), 1u) << "no temporary file";
}

TEST_F(Files, a_replaced_file_is_a_new_file) {
  ASSERT_TRUE(write_file(folder_ / "x", "old").has_value());
  fs::create_hard_link(folder_ / "x", folder_ / "reader");
  ASSERT_TRUE(write_file(folder_ / "x", "new").has_value());
  EXPECT_EQ(read_file(folder_ / "reader", 10).value(), "old")
      << "who has the old file open never sees half of the new one";
}

TEST_F(Files, appending_adds_at_the_end_and_survives_reopening) {
  {
    auto file = AppendFile::open(folder_ / "log");
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->append("one\n").has_value());
    ASSERT_TRUE(file->sync().has_value());
    AppendFile moved = std::move(*file);
    ASSERT_TRUE(moved.append("two\n").has_value());
  }
  auto again = AppendFile::open(folder_ / "log");
  ASSERT_TRUE(again.has_value());
  ASSERT_TRUE(again->append("three\n").has_value());
  EXPECT_EQ(read_file(folder_ / "log", 100).value(), "one\ntwo\nthree\n");
}

TEST_F(Files, a_lock_has_one_holder_at_a_time) {
  std::optional<FileLock> lock(FileLock::acquire(folder_ / "lock").value());
  EXPECT_EQ(FileLock::acquire(folder_ / "lock").error().code, ErrorCode::kConflict);
  FileLock moved = std::move(*lock);
  lock.reset();
  EXPECT_FALSE(FileLock::acquire(folder_ / "lock").has_value()) << "moved, not released";
  { FileLock gone = std::move(moved); }
  EXPECT_TRUE(FileLock::acquire(folder_ / "lock").has_value());
}

TEST_F(Files, a_lock_dies_with_its_process) {
  const fs::path path = folder_ / "lock";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = FileLock::acquire(path);
    ::_exit(lock ? 0 : 1);  // no destructor runs
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(FileLock::acquire(path).has_value());
}

}  // namespace
}  // namespace arqon::os
