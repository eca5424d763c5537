#include "arqon/os/mapped_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>

#include "arqon/os/file.h"

namespace arqon::os {
namespace {

namespace fs = std::filesystem;

class MappedFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "arqon_map.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path path() const { return folder_ / "page"; }
  fs::path folder_;
};

TEST_F(MappedFiles, a_new_one_is_zero_and_owner_only) {
  MappedFile file = MappedFile::open_or_create(path(), 4096).value();
  ASSERT_EQ(file.bytes().size(), 4096u);
  EXPECT_TRUE(std::all_of(file.bytes().begin(), file.bytes().end(),
                          [](std::byte b) { return b == std::byte{0}; }));
  struct stat entry {};
  ASSERT_EQ(::stat(path().c_str(), &entry), 0);
  EXPECT_EQ(entry.st_mode & 0777u, 0600u);
}

TEST_F(MappedFiles, two_mappings_of_one_file_share_their_bytes) {
  MappedFile first = MappedFile::open_or_create(path(), 64).value();
  MappedFile second = MappedFile::open_or_create(path(), 64).value();
  first.bytes()[63] = std::byte{7};
  EXPECT_EQ(second.bytes()[63], std::byte{7});
  MappedFile moved = std::move(second);
  first.bytes()[0] = std::byte{9};
  EXPECT_EQ(moved.bytes()[0], std::byte{9});
}

TEST_F(MappedFiles, another_size_or_kind_is_a_conflict_and_is_left_alone) {
  ASSERT_TRUE(write_file(path(), "seven b").has_value());
  EXPECT_EQ(MappedFile::open_or_create(path(), 64).error().code, ErrorCode::kConflict);
  EXPECT_EQ(read_file(path(), 100).value(), "seven b");
  EXPECT_EQ(MappedFile::open_or_create(folder_ / "no" / "page", 64).error().code,
            ErrorCode::kUnavailable);
  fs::create_symlink(path(), folder_ / "link");
  EXPECT_EQ(MappedFile::open_or_create(folder_ / "link", 7).error().code, ErrorCode::kConflict);
}

TEST_F(MappedFiles, a_deleted_or_replaced_file_is_noticed_and_the_bytes_stay) {
  MappedFile file = MappedFile::open_or_create(path(), 64).value();
  EXPECT_TRUE(file.still_there());
  fs::remove(path());
  EXPECT_FALSE(file.still_there());
  file.bytes()[0] = std::byte{1};
  const MappedFile other = MappedFile::open_or_create(path(), 64).value();
  EXPECT_FALSE(file.still_there());
  EXPECT_TRUE(other.still_there());
  EXPECT_EQ(other.bytes()[0], std::byte{0});
}

}  // namespace
}  // namespace arqon::os
