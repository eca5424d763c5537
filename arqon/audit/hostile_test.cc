// Files that nobody of ours has written: a typed error or a finding, at once and in little memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "arqon/audit/tape.h"
#include "arqon/audit/testing/tamper.h"
#include "arqon/os/process.h"

namespace arqon::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kGigabyte = 1u << 30;
constexpr long kPeakKib = 64l << 10;

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("arqon_hostile_" + std::to_string(getpid()) + "_" + std::to_string(test->line()));
    fs::create_directories(folder_);
    peak_kib_ = peak_kib();
    begin_ = clock_.now();
  }
  void TearDown() override {
    EXPECT_LT(to_seconds(clock_.now() - begin_), 1);
#if !defined(__SANITIZE_ADDRESS__)
    EXPECT_LT(peak_kib() - peak_kib_, kPeakKib);
#endif
    fs::remove_all(folder_);
  }

  static long peak_kib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  }
  void write(const std::string& name, const std::string& text, std::uintmax_t size = 0) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    if (size > 0) fs::resize_file(folder_ / name, size);
  }
  // One whole segment.
  std::string segment() {
    testing::Chain chain(3);
    return *chain.file(1);
  }

  fs::path folder_;
  os::SystemDisk disk_;

 private:
  os::SystemClock clock_;
  TimePoint begin_{};
  long peak_kib_ = 0;
};

TEST_F(Hostile, a_segment_of_a_gigabyte_is_refused_with_its_name) {
  write("00000001.log", segment(), kGigabyte);
  const auto verified = verify(disk_, folder_, {});
  ASSERT_FALSE(verified.has_value());
  EXPECT_EQ(verified.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(verified.error().message.find("00000001.log"), std::string::npos);
}

TEST_F(Hostile, a_tape_of_a_gigabyte_is_a_finding) {
  {
    LogOptions o;
    o.folder = folder_;
    o.entropy = std::string(64, 'e');
    o.threaded = false;
    auto log = Log::open(disk_, o);
    ASSERT_TRUE(log.has_value());
    (*log)->observe("[\"h\",0]");
    ASSERT_TRUE((*log)->write(testing::example(1)).has_value());
  }
  fs::resize_file(folder_ / "00000001.tape", kGigabyte);
  const auto verified = verify(disk_, folder_, {});
  ASSERT_TRUE(verified.has_value());
  ASSERT_TRUE(verified->finding);
  EXPECT_EQ(verified->finding->fault, Fault::kTape);
}

TEST_F(Hostile, checkpoints_of_a_gigabyte_are_refused) {
  write("00000001.log", segment());
  write("checkpoints", "{", kGigabyte);
  const auto verified = verify(disk_, folder_, {});
  ASSERT_FALSE(verified.has_value());
  EXPECT_EQ(verified.error().code, ErrorCode::kInvalidConfig);
}

TEST_F(Hostile, a_line_without_an_end_and_one_of_a_hundred_thousand_brackets_are_findings) {
  for (const std::string& text :
       {std::string(15u << 20, 'x'), std::string(100'000, '[') + "\t" + std::string(64, 'a') + "\n",
        std::string(15u << 20, '\n'), std::string(1000, '\0')}) {
    write("00000001.log", text);
    const auto verified = verify(disk_, folder_, {});
    ASSERT_TRUE(verified.has_value()) << verified.error().message;
    ASSERT_TRUE(verified->finding);
    EXPECT_EQ(verified->finding->seq, 1u);
  }
}

TEST_F(Hostile, a_record_with_a_hostile_name_is_only_text) {
  Record r = testing::example(1);
  r.actor = "\"; DROP TABLE records; --";
  r.reason = std::string("\0\x1f\xff\xfe{}[]\t\n", 10);
  const std::string text = encode(r, {1, 1, Hash{}, 0});
  EXPECT_EQ(text.find('\t'), std::string::npos) << "a tab would end the record early";
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST_F(Hostile, a_tape_of_brackets_or_nonsense_ends_the_loop) {
  for (const std::string& text :
       {std::string(100'000, '[') + "\n", std::string(8u << 20, '{') + "\n",
        std::string("[\"o\",-1,[1e999]]\n"), std::string("[]\n")}) {
    Player player(text);
    EXPECT_EQ(player.next("o", "observes"), nullptr);
    EXPECT_TRUE(player.over());
    EXPECT_NE(player.difference(), "");
  }
}

}  // namespace
}  // namespace arqon::audit
